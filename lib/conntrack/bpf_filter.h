// The filter in the kernel: a classic BPF program that lets only events of NATed flows into the socket's
// queue, so that all others neither wake the collector nor fill its buffer. What it drops is not a lost event
// to the kernel.
// Threads: pure functions.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstdint>

#include "session/settings.h"

namespace natsession {

using BpfProgram = std::array<sock_filter, 12>;

// Passes: ctnetlink NEW, UPDATE and DESTROY whose CTA_STATUS has a bit of the selection, and those without
// CTA_STATUS,
//         about which user space then decides by the tuples.
// Drops:  everything else, NLMSG_ERROR and NLMSG_DONE included: so the socket cannot be used for requests.
[[nodiscard]] BpfProgram nat_event_filter(NatSelection selection);

}  // namespace natsession
