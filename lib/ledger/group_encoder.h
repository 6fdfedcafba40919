// GroupEncoder: records that follow one another as a group of frames: those that last longer than a window
// stand in a frame of their own.
// Threads: one for each object.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "ledger/frame.h"

namespace natsession {

class GroupEncoder {
 public:
  // Appends one frame, or two, of which the one with the lower ordinal goes first.
  // Shape: 1 to kMaxFrameRecords records; `first` is the first one's ordinal.
  void encode(std::span<const SessionRecord> records, Ordinal first, std::chrono::milliseconds window,
              std::string& out);

 private:
  FrameEncoder encoder_{Effort::kFast};
  std::vector<SessionRecord> apart_[2];  // short and long ones
  std::vector<Ordinal> ordinals_[2];
};

}  // namespace natsession
