// LedgerWriter: appends records to a ledger. There is one writer of a ledger at a time, in any process: it
// holds the directory's lock.
//
// What append() took stands in memory until its frame is written (sync()). When the disk is full nothing is
// lost and nothing stops: append() takes no more than one frame's worth beyond what could not be written, and
// the next call that finds room writes it.
//
// Threads: one, the writer's. status() from any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "ledger/frame.h"
#include "ledger/ledger_settings.h"

namespace natsession {

struct WriterStatus {
  std::uint64_t appended = 0;  // records taken since the start
  Ordinal written = 0;         // ordinals below this are in frames
  std::uint64_t pending = 0;   // records in memory
  std::string failure;         // why nothing can be written now: the disk is full; empty when all is well
};

class LedgerWriter {
 public:
  // Makes the directory when it is absent (0750), takes its lock, cuts a torn tail of the last segment.
  // Errors: kUnavailable if another writer has the lock, naming its pid; kPermission, kIo with the path.
  [[nodiscard]] static Result<std::unique_ptr<LedgerWriter>> open(const LedgerSettings& settings,
                                                                  const Clock& clock);
  ~LedgerWriter();

  // Takes records, from the front, and returns how many: all, unless the disk has been full for so long that
  // the writer's memory is. Copies what records point to. Writes frames as they fill up or fall due.
  std::size_t append(std::span<const SessionRecord> records);

  // Writes what is due: to be called again by the time that it returns (steady), also when nothing is
  // appended.
  std::optional<std::chrono::nanoseconds> tick();

  // Writes all there is, whatever the interval, and syncs unless SyncMode::kNever.
  // Errors: the cause, with the path; what could not be written stays in memory.
  Result<void> sync();

  // Called after each frame that is written, from the writer's thread: readers may look now.
  void on_written(std::function<void()> call);

  // When the last record before this start was written, if the predecessor did not close the ledger in order:
  // what was in its memory is lost, from then on.
  [[nodiscard]] std::optional<UnixMs> torn_since() const;

  [[nodiscard]] WriterStatus status() const;

 private:
  class Impl;
  explicit LedgerWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace natsession
