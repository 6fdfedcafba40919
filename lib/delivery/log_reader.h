// LogReader: one consumer's view of the log, which is a sequence of records numbered by ordinals. It is
// a bounded ring in memory (memory_log.h) or the ledger on disk (ledger_log.h). What a reader cannot get any
// more it hears of as Skipped, in either.
// Threads: one, the consumer's; status() any.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "ledger/coverage.h"
#include "ledger/ledger_reader.h"

namespace natsession {

// How far the log is from its reader's point of view.
struct LogStatus {
  Ordinal end = 0;                // one behind the newest record that can be read
  std::uint64_t overwritten = 0;  // records that it will not get, and has not heard of yet
  bool lagging = false;           // it took nothing for too long, and the log goes on without it
};

class LogReader {
 public:
  struct Block {
    std::span<const SessionRecord> records = {};  // good until the next read(); empty at the end
    Ordinal first = 0;                            // of the first of them; they follow one another
    std::optional<Skipped> skipped = {};          // comes alone: these are missing, and the next are behind
  };
  enum class Hold {
    kHolds,   // what it has not read is kept for it, and so may hold the collectors back
    kWaits,   // disabled: what is kept anyway is
    kClosed,  // it reads no more
  };

  virtual ~LogReader() = default;

  // The next records, at most some thousands; what they point to lives until they are acknowledged.
  // Errors: kIo, kPermission; the call may be repeated.
  [[nodiscard]] virtual Result<Block> read() = 0;
  // All before `next` are done with.
  virtual void acknowledge(Ordinal next) = 0;
  virtual void set_hold(Hold hold) = 0;
  // How much has ever been readable: it grows when new data comes.
  [[nodiscard]] virtual Ordinal high_watermark() const = 0;
  [[nodiscard]] virtual LogStatus status() const = 0;
  // What is proved of the log, each by the records below its end. In memory nothing is.
  [[nodiscard]] virtual std::vector<CoverageClaim> claims() const { return {}; }
};

}  // namespace natsession
