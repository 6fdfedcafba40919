// Least privilege: a process keeps the capabilities that it uses while it runs, and no others.
// Threads: called while there is one; threads started later inherit.
#pragma once

#include <initializer_list>

#include "base/result.h"

namespace natsession {

// Gives up every capability but `kept` (CAP_*), as far as it has them, also for programs that this one might
// start.
// Errors: the kernel refused, with the cause.
Result<void> keep_only(std::initializer_list<int> kept);

}  // namespace natsession
