// LedgerReader: reads a ledger's records in their order, from any place on, while it is being written, sealed
// and deleted from, in any process. It takes no lock and leaves no trace.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "ledger/record_block.h"

namespace natsession {

// Records that are not there any more, or cannot be read. What a reader hears instead of them.
struct Skipped {
  Ordinal first = 0;
  Ordinal last = 0;                           // inclusive
  RecordReason reason = RecordReason::kNone;  // kLedgerFull: deleted by the byte limit or by age before this
                                              // reader came; kDamaged
  // The uncertain time, as far as the frames around and seek() tell. Where nothing tells when it begins,
  // `from` is when the segment was made that the records should be in, or, if that is gone too, the epoch.
  UnixMs from, until;
  std::string why;  // for people: which file, where, what
  [[nodiscard]] std::uint64_t records() const { return last - first + 1; }
  // The gap record that says so. It points to `origin`.
  [[nodiscard]] SessionRecord gap(const Origin& origin) const;
};

class LedgerReader {
 public:
  // Errors: kUnavailable if there is no ledger at `directory`; kPermission, kIo.
  [[nodiscard]] static Result<std::unique_ptr<LedgerReader>> open(const std::string& directory);
  ~LedgerReader();

  [[nodiscard]] Ordinal begin();  // the oldest record that is there
  [[nodiscard]] Ordinal end();    // one behind the newest that is written; looks at the disk

  // The next read() begins with the record `place`, or the first behind it. `ended`: when the one before it
  // did, if that is known: what is missing from there on is missing since then.
  void seek(Ordinal place, UnixMs ended = {});
  [[nodiscard]] Ordinal place() const;

  // Replaces `out` by the next records, at most one frame's worth and whole frames where it can be; empty at
  // the end. If records are missing before them, nothing else is returned but what is missing, and place() is
  // behind it.
  // Errors: kIo, kPermission; place() is unchanged and the call may be repeated. Damage is no error.
  struct Outcome {
    std::optional<Skipped> skipped;  // then `out` is empty
  };
  [[nodiscard]] Result<Outcome> read(RecordBlock& out);

  // The oldest time that an unread record may have ended at; nullopt at the end. From frame headers, so
  // cheap.
  [[nodiscard]] std::optional<UnixMs> oldest_waiting();

 private:
  class Impl;
  explicit LedgerReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace natsession
