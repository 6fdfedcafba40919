#include "session/window_schedule.h"

namespace natsession {
namespace {

UnixMs align_down(UnixMs time, std::chrono::milliseconds length) {
  const auto since_epoch = time.time_since_epoch();
  auto into = since_epoch % length;
  if (into < std::chrono::milliseconds(0)) into += length;
  return UnixMs(since_epoch - into);
}

}  // namespace

UnixMs window_of(UnixMs end, std::chrono::milliseconds length) {
  return align_down(end - std::chrono::milliseconds(1), length);
}

WindowSchedule::WindowSchedule(std::chrono::milliseconds length, UnixMs now)
    : length_(length), open_(align_down(now, length)) {}

std::optional<UnixMs> WindowSchedule::close_if_due(UnixMs now) {
  if (now >= open_ && now < next_boundary()) return std::nullopt;
  const bool stepped_back = now < open_;
  const UnixMs boundary = next_boundary();
  open_ = align_down(now, length_);
  if (stepped_back) return std::nullopt;
  return boundary;
}

}  // namespace natsession
