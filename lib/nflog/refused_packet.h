// One copy of a packet that a rule refused, as the kernel's nfnetlink_log hands it on, and its decoder.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/time.h"
#include "net/ip_address.h"

namespace natsession {

struct RefusedPacket {
  IpAddress src;
  IpAddress dst;
  std::uint16_t src_port = 0;  // 0: no port, or it was not in the copy: a fragment, a long chain of headers
  std::uint16_t dst_port = 0;
  std::uint8_t protocol = 0;   // of the last header that the copy holds
  std::uint8_t tcp_flags = 0;  // as on the wire
  std::uint8_t hook = 0;
  bool egress = false;              // refused on its way out
  std::uint16_t group = 0;          // of NFLOG
  std::uint32_t in_interface = 0;   // 0: none; of a bridge's port the bridge
  std::uint32_t out_interface = 0;  // likewise
  std::uint32_t in_port = 0;        // the bridge's port that it came by; 0: no bridge
  std::uint32_t out_port = 0;
  std::uint32_t mark = 0;
  std::uint64_t length = 0;  // bytes of the whole packet, by its IP header
  UnixNs time{};             // the kernel's; 1970: it told none
  bool has_sequence = false;
  std::uint32_t sequence = 0;  // of the group, from 0; wraps

  // The interface that the entry of a flow log is of.
  [[nodiscard]] std::uint32_t interface() const { return egress ? out_interface : in_interface; }
  friend bool operator==(const RefusedPacket&, const RefusedPacket&) = default;
};

enum class RefusedKind : std::uint8_t {
  kPacket,
  kNotIp,      // ARP, say. Group, sequence and interfaces are set.
  kMalformed,  // the message, or what the packet says of itself. What could be read of the former is set.
};

// Decodes one message of nfnetlink_log.
// Shape:  `message` is what stands behind nlmsghdr: nfgenmsg and attributes. A packet may begin with VLAN tags.
// Units:  numbers in this machine's byte order.
// Errors: kNotIp, kMalformed; `out` is then set as far as told above. Nothing is read outside of `message`.
// Source: linux/netfilter/nfnetlink_log.h; RFC 791, 8200, 2675, 4302, 9293
[[nodiscard]] RefusedKind decode_refused(std::span<const std::byte> message, RefusedPacket& out);

// What a flow log's tcp-flags say of one packet, to be or-ed: FIN 1, SYN 2, RST 4, PSH 8, URG 32, and 18
// where SYN and ACK are both set. ACK alone is none.
[[nodiscard]] constexpr std::uint8_t flow_log_flags(std::uint8_t tcp_flags) {
  constexpr unsigned kSynAck = 18;
  const unsigned told = tcp_flags & 0x2fU;
  return static_cast<std::uint8_t>((tcp_flags & kSynAck) == kSynAck ? told | kSynAck : told);
}

}  // namespace natsession
