// What one session of a given destination is like: protocol, ports, packets, bytes, how long. See
// cgnat_day.h.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/chance.h"
#include "record/session_record.h"

namespace natsession::bench {

enum class Role : std::uint8_t { kWeb, kDns, kOtherTcp, kOtherUdp, kPeer, kIcmp };

struct Destination {
  std::uint32_t address = 0;  // IPv4, as a number
  std::uint16_t port = 0;
  Role role = Role::kWeb;
  bool quic = false;
};

struct Traffic {
  std::uint64_t bytes_from_vpc = 0;
  std::uint64_t bytes_from_pub = 0;
  std::uint32_t pkts_from_vpc = 0;
  std::uint32_t pkts_from_pub = 0;
  std::uint32_t active_ms = 0;   // from the first packet to the last
  std::uint32_t timeout_ms = 0;  // what conntrack waits then
  std::uint16_t pub_port = 0;
  std::uint8_t protocol = 0;
  TcpState state = TcpState::kNone;  // in the end
};

// The destinations of rank 0, 1, 2 …
[[nodiscard]] std::vector<Destination> make_destinations(std::uint32_t count, Chance& chance);

[[nodiscard]] Traffic make_traffic(const Destination& destination, Chance& chance);

}  // namespace natsession::bench
