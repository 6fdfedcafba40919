// Least privilege: what ctnetlink needs is CAP_NET_ADMIN, and nothing else is kept.
// Threads: called while there is one; threads started later inherit.
#pragma once

#include "base/result.h"

namespace natsession {

// Gives up every capability but CAP_NET_ADMIN, also for programs that this one might start.
// Errors: the kernel refused, with the cause.
Result<void> keep_only_net_admin();

}  // namespace natsession
