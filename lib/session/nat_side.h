// The translated side of a source-NAT session: where its replies go to.
// Threads: any; pure functions.
#pragma once

#include "session/session.h"

namespace natsession {

[[nodiscard]] constexpr bool is_icmp(std::uint8_t protocol) {
  return protocol == 1 || protocol == 58;  // ICMP, ICMPv6
}

struct NatSide {
  IpAddress ip;
  std::uint16_t port = 0;
};

// ICMP has one id and one type and code a direction; see Tuple for where they stand.
template <typename Family>
[[nodiscard]] NatSide nat_side(const Session<Family>& session) {
  const FlowKey<Family>& key = session.key;
  return {Family::load(key.reply_dst), is_icmp(key.protocol) ? key.reply_src_port : key.reply_dst_port};
}

}  // namespace natsession
