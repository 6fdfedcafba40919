// GroupDecoder: the records of one group of frames, in the order of their ordinals, with what of it is
// damaged.
// Threads: one.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/frame.h"
#include "ledger/segment_walker.h"

namespace natsession {

class GroupDecoder {
 public:
  // What cannot be read of a group.
  struct Damage {
    std::size_t frames = 0;
    std::string why;            // of the last
    UnixMs min_start, max_end;  // of all of them
  };

  // Replaces `out` by what can be read of `group`: ascending, without doubles, within the bounds of the
  // headers.
  // Errors: kIo, kPermission; `out` is empty then, and the call may be repeated.
  [[nodiscard]] Result<Damage> decode(const SegmentFile& file, const FrameGroup& group, RecordBlock& out);

  // Adds the records of one frame to `out`. Returns why it is damaged, `out` being unchanged then; empty if
  // it is not.
  // Errors: kIo, kPermission.
  [[nodiscard]] Result<std::string> add(const SegmentFile& file, const FramePlace& frame, RecordBlock& out);

 private:
  void merge(RecordBlock& block);

  FrameDecoder decoder_;
  std::vector<std::byte> bytes_;
  std::vector<std::size_t> order_;
};

}  // namespace natsession
