// LedgerSnapshot: the segments that a ledger had at one moment, for queries: their bounds in time, and of
// each, when it is asked for, the frames. What is deleted or sealed meanwhile does not hurt: a segment that
// was opened stays readable.
// Threads: one for each object; what open() returns, any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/segment_file.h"

namespace natsession {

struct SnapshotSegment {
  SegmentName name;
  SegmentBounds bounds;  // no frames: then its times mean nothing
  std::uint64_t bytes = 0;
};

// A segment with its frames, in the order of the file. Bytes of a frame: file->read_at(place.offset,
// info.bytes of it).
struct OpenSegment {
  std::shared_ptr<const SegmentFile> file;
  std::vector<FramePlace> frames;
  std::uint64_t damaged_bytes = 0;  // that are no frame; a frame's own checksums tell of what is in it
};

class LedgerSnapshot {
 public:
  // Errors: kUnavailable if there is no ledger at `directory`; kPermission, kIo.
  [[nodiscard]] static Result<LedgerSnapshot> take(const std::string& directory);

  // In the order of their ordinals. Segments that cannot be read are in unreadable() instead, with why.
  [[nodiscard]] const std::vector<SnapshotSegment>& segments() const { return segments_; }
  [[nodiscard]] const std::vector<std::string>& unreadable() const { return unreadable_; }

  // Also when the segment has been sealed since. Frames: from the index where it is sealed, else from their
  // headers.
  // Errors: kUnavailable if it was deleted; kMalformed if it has more than kMaxIndexEntries frames;
  // kPermission, kIo.
  [[nodiscard]] Result<OpenSegment> open(const SnapshotSegment& segment) const;

 private:
  explicit LedgerSnapshot(LedgerDirectory directory) : directory_(std::move(directory)) {}

  LedgerDirectory directory_;
  std::vector<SnapshotSegment> segments_;
  std::vector<std::string> unreadable_;
};

}  // namespace natsession
