// What an rtnetlink message says of a neighbour.
// Shape:  `payload` is what stands behind nlmsghdr: ndmsg and attributes.
// Threads: pure functions.
// Source: linux/neighbour.h, rtnetlink(7)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "net/ip_address.h"

namespace natsession {

struct Neighbour {
  IpAddress address;
  std::uint32_t interface = 0;
  bool is_known = false;   // the hardware is known, and has not failed to answer
  bool has_ended = false;  // it did not answer, or is forgotten
  std::string mac;         // empty: not told
};

// None: of another kind than a host's address (a proxy entry, a bridge's, multicast), or not whole.
[[nodiscard]] std::optional<Neighbour> read_neighbour(std::uint16_t type, std::span<const std::byte> payload,
                                                      bool with_link_local);

}  // namespace natsession
