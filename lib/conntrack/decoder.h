// The decoder: one ctnetlink message, as the kernel wrote it, becomes one ConntrackEvent.
// A pure function over bytes; it allocates nothing and never reads outside `message`, whatever is in it.
// Threads: any; `counters` belongs to the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "session/conntrack_event.h"
#include "session/settings.h"

namespace natsession {

enum class DecodeResult : std::uint8_t {
  kEvent,      // `out` holds it
  kSkipped,    // a well-formed message that is no conntrack entry: another type, another family
  kMalformed,  // a length does not fit, or what makes a flow is missing or contradicts itself
};

struct DecodeCounters {
  std::uint64_t new_events = 0;
  std::uint64_t update_events = 0;  // entries of a dump are among them
  std::uint64_t destroy_events = 0;
  std::uint64_t skipped = 0;
  std::uint64_t malformed = 0;
  std::uint64_t unknown_attributes = 0;  // of a kernel newer than this program; skipped
  std::uint64_t without_status = 0;      // events whose NAT bits had to be inferred
  friend bool operator==(const DecodeCounters&, const DecodeCounters&) = default;
};

// Decodes one message.
// Shape:  `message` is one nlmsghdr, header included, at any address. What stands behind nlmsg_len is not
// looked at.
// Units:  counters in bytes and packets since the flow began; times in ns since 1970, UTC. All integers come
// out in
//         host byte order.
// What the kernel left out stays empty. A direction whose counters are not both there has none; a stamp of 0
// is no stamp. Without CTA_STATUS the two NAT bits are inferred from the tuples and all others are 0. An
// attribute that stands twice counts as it stood last. The zone is CTA_ZONE, else that of the original tuple,
// else that of the reply: a flow has one zone number, and the kernel writes it to the direction that it holds
// for.
// Errors: kMalformed if a length exceeds its parent or an attribute is shorter than its type; if a tuple
// lacks
//         an address or its protocol, or mixes IPv4 and IPv6; if the tuples differ in protocol or family.
//         `out` is unchanged unless kEvent is returned.
// Source: linux/netfilter/nfnetlink_conntrack.h, CTA_*; net/netfilter/nf_conntrack_netlink.c
[[nodiscard]] DecodeResult decode(std::span<const std::byte> message, ConntrackEvent& out,
                                  DecodeCounters& counters);
// The same into an event that is as it was made, and that is to be thrown away unless kEvent is returned.
[[nodiscard]] DecodeResult decode_new(std::span<const std::byte> message, ConntrackEvent& event,
                                      DecodeCounters& counters);

// Which bits of a flow's status word a NatSelection asks for.
// Threads: pure functions.

// A flow is selected if one of these bits is set; all are, where there is none.
[[nodiscard]] constexpr bool is_selected(std::uint32_t status, std::uint32_t mask) {
  return mask == 0 || (status & mask) != 0;
}
[[nodiscard]] constexpr std::uint32_t nat_status_mask(NatSelection selection) {
  switch (selection) {
    case NatSelection::kSnat:
      return kStatusSrcNat;
    case NatSelection::kDnat:
      return kStatusDstNat;
    case NatSelection::kAny:
      return kStatusSrcNat | kStatusDstNat;
    case NatSelection::kAll:
      break;
  }
  return 0;
}

}  // namespace natsession
