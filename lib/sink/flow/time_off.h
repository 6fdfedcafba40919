// TimeOff: a time in which a flow log was turned off.
// Threads: a plain value type.
#pragma once

#include "base/time.h"

namespace natsession {

struct TimeOff {
  UnixMs from, until;
  friend bool operator==(const TimeOff&, const TimeOff&) = default;
};

}  // namespace natsession
