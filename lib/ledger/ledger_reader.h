// LedgerReader: reads a ledger's records in their order, from any place on, while it is being written, sealed
// and deleted from, in any process. It takes no lock and leaves no trace.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "ledger/segment_iterator.h"
#include "ledger/segment_walker.h"

namespace natsession {

class LedgerReader {
 public:
  // Errors: kUnavailable if there is no ledger at `directory`; kPermission, kIo.
  [[nodiscard]] static Result<std::unique_ptr<LedgerReader>> open(const std::string& directory);

  [[nodiscard]] Ordinal begin();  // the oldest record that is there
  [[nodiscard]] Ordinal end();    // one behind the newest that is written; looks at the disk

  // The next read() begins with the record `place`, or the first behind it. `ended`: when the one before it
  // did, if that is known: what is missing from there on is missing since then.
  void seek(Ordinal place, UnixMs ended = {});
  [[nodiscard]] Ordinal place() const { return segments_.place(); }

  // Replaces `out` by the next records, at most one frame's worth and whole frames where it can be; empty at
  // the end. If records are missing before them, nothing else is returned but what is missing, and place() is
  // behind it.
  // Errors: kIo, kPermission; place() is unchanged and the call may be repeated. Damage is no error.
  struct Outcome {
    std::optional<Skipped> skipped;  // then `out` is empty
  };
  [[nodiscard]] Result<Outcome> read(RecordBlock& out);

 private:
  explicit LedgerReader(LedgerDirectory directory) : segments_(std::move(directory)) {}
  Result<SegmentIterator::Settled> decode();
  std::optional<Skipped> serve(RecordBlock& out);

  SegmentIterator segments_;
  GroupDecoder decoder_;

  // What was decoded of the group at the place and not yet handed out.
  bool serving_ = false;
  RecordBlock block_;
  std::size_t served_ = 0;
  GroupDecoder::Damage damage_;

  // For end(): the newest segment, as far as it was walked.
  struct Tail {
    std::shared_ptr<const SegmentFile> file;
    GroupWalker groups;
    Ordinal end = 0;
  };
  std::optional<Tail> tail_;
};

}  // namespace natsession
