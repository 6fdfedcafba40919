// WindowSchedule: when a window closes. Windows are aligned to the clock (multiples of their length since
// 1970, UTC).
// Threads: one.
#pragma once

#include <optional>

#include "base/time.h"

namespace natsession {

// The beginning of the window in which a slice that ends at `end` lies. A slice that ends on a boundary
// belongs to the window before it.
[[nodiscard]] UnixMs window_of(UnixMs end, std::chrono::milliseconds length);

class WindowSchedule {
 public:
  WindowSchedule(std::chrono::milliseconds length, UnixMs now);

  // If the open window is over: its end, which is where its slices end; the window of `now` is open from then
  // on. When `now` is before the open window (the clock was stepped back), the window of `now` opens and
  // nothing closes.
  [[nodiscard]] std::optional<UnixMs> close_if_due(UnixMs now);

  // When the open window ends.
  [[nodiscard]] UnixMs next_boundary() const { return open_ + length_; }

 private:
  std::chrono::milliseconds length_;
  UnixMs open_;  // the beginning of the open window
};

}  // namespace natsession
