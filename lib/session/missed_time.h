// MissedTime: the time in which nothing was logged, measured by the time since boot as well: the wall clock
// may be set meanwhile.
// Threads: plain value types.
#pragma once

#include <optional>

#include "base/time.h"

namespace natsession {

struct MissedTime {
  UnixMs since;  // until now, by the clock of now
  // The clock was set back: by the clock of then it was another time, which lies ahead of now in part.
  struct Span {
    UnixMs from, until;
  };
  std::optional<Span> by_old_clock;
};

// The time since `since`, by the clock of then, when it is `now`, and `passed` has passed.
[[nodiscard]] MissedTime missed_over(UnixMs since, std::chrono::milliseconds passed, UnixMs now);

// What was missed since `logged_until`, when the machine had been booted as `then` says. After a reboot how
// long it was off is not known: then it is what the clock says, and the time since that boot at least.
[[nodiscard]] MissedTime missed_since(UnixMs logged_until, const Booted& then, const Clock& clock);

}  // namespace natsession
