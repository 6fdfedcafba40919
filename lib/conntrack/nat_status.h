// Which bits of a flow's status word a NatSelection asks for.
// Threads: pure functions.
#pragma once

#include <cstdint>

#include "session/conntrack_event.h"
#include "session/settings.h"

namespace natsession {

// A flow is selected if one of these bits is set.
[[nodiscard]] constexpr std::uint32_t nat_status_mask(NatSelection selection) {
  switch (selection) {
    case NatSelection::kSnat:
      return kStatusSrcNat;
    case NatSelection::kDnat:
      return kStatusDstNat;
    case NatSelection::kAny:
      break;
  }
  return kStatusSrcNat | kStatusDstNat;
}

}  // namespace natsession
