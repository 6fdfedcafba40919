// Messages of nfnetlink_log for tests, as the kernel makes them, right or wrong as the test wants them.
#pragma once

#include <linux/if_ether.h>
#include <linux/netfilter/nfnetlink_log.h>

#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "nflog/refused_packet.h"
#include "support/nl_message_builder.h"

namespace natsession::testing {

// linux/netfilter.h has these, but cannot stand beside netinet/in.h.
inline constexpr std::uint8_t kArp = 3, kNetdev = 5, kBridge = 7;  // NFPROTO_*; IPv4's and IPv6's are AF_*'s
enum Hook : std::uint8_t { kPrerouting, kInput, kForward, kOutput, kPostrouting, kIngress };

using Packet = std::vector<std::uint8_t>;

inline void put16(Packet& packet, std::size_t at, std::size_t value) {
  packet[at] = static_cast<std::uint8_t>(value >> 8U);
  packet[at + 1] = static_cast<std::uint8_t>(value);
}

// Two ports and what TCP has up to its flags.
inline Packet segment(std::uint16_t src_port, std::uint16_t dst_port, std::uint8_t tcp_flags = 0x02) {
  Packet packet(20);
  put16(packet, 0, src_port);
  put16(packet, 2, dst_port);
  packet[13] = tcp_flags;
  return packet;
}

inline Packet v4_packet(std::string_view src, std::string_view dst, std::uint8_t protocol,
                        const Packet& behind, std::size_t option_words = 0) {
  Packet packet(20 + option_words * 4);
  packet[0] = static_cast<std::uint8_t>(0x45 + option_words);
  put16(packet, 2, packet.size() + behind.size());
  packet[9] = protocol;
  const std::uint32_t from = IpAddress::parse(src)->v4();
  const std::uint32_t to = IpAddress::parse(dst)->v4();
  std::memcpy(packet.data() + 12, &from, 4);
  std::memcpy(packet.data() + 16, &to, 4);
  packet.insert(packet.end(), behind.begin(), behind.end());
  return packet;
}

inline Packet v6_packet(std::string_view src, std::string_view dst, std::uint8_t next, const Packet& behind) {
  Packet packet(40);
  packet[0] = 0x60;
  put16(packet, 4, behind.size());
  packet[6] = next;
  std::memcpy(packet.data() + 8, IpAddress::parse(src)->bytes().data(), 16);
  std::memcpy(packet.data() + 24, IpAddress::parse(dst)->bytes().data(), 16);
  packet.insert(packet.end(), behind.begin(), behind.end());
  return packet;
}

// An extension header of 8 bytes and a multiple of 8, in front of `behind`.
inline Packet extended(std::uint8_t next, const Packet& behind, std::size_t more_words = 0) {
  Packet packet(8 + more_words * 8);
  packet[0] = next;
  packet[1] = static_cast<std::uint8_t>(more_words);
  packet[2] = 1;  // PadN over the rest
  packet[3] = static_cast<std::uint8_t>(packet.size() - 4);
  packet.insert(packet.end(), behind.begin(), behind.end());
  return packet;
}

inline NlMessageBuilder nflog_message(std::uint8_t family, std::uint8_t hook, std::uint16_t ether_type) {
  NlMessageBuilder builder(NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET, 0, family);
  const nfulnl_msg_packet_hdr header{htobe16(ether_type), hook, 0};
  return builder.attribute(NFULA_PACKET_HDR, std::as_bytes(std::span(&header, 1)));
}

inline NlMessageBuilder& with_packet(NlMessageBuilder& builder, const Packet& packet) {
  const std::size_t copied = std::min<std::size_t>(packet.size(), 64);
  return builder.attribute(NFULA_PAYLOAD, std::as_bytes(std::span(packet).first(copied)));
}

// What stands behind nlmsghdr, of that group.
inline std::vector<std::byte> behind_header(const NlMessageBuilder& builder, std::uint16_t group = 100) {
  std::vector<std::byte> message = builder.build();
  message.erase(message.begin(), message.begin() + sizeof(nlmsghdr));
  const std::uint16_t number = htobe16(group);
  std::memcpy(message.data() + offsetof(nfgenmsg, res_id), &number, sizeof number);
  return message;
}

struct DecodedRefusal {
  RefusedKind kind = RefusedKind::kMalformed;
  RefusedPacket packet;
};

// From a block of just that size, so that a sanitizer sees each read outside.
inline DecodedRefusal decode_refusal(std::span<const std::byte> message) {
  const auto copy = std::make_unique<std::byte[]>(message.size());
  if (!message.empty()) std::memcpy(copy.get(), message.data(), message.size());
  DecodedRefusal decoded;
  decoded.kind = decode_refused({copy.get(), message.size()}, decoded.packet);
  return decoded;
}

// A packet at a hook of IPv4 or IPv6, with interfaces 2 and 3.
inline DecodedRefusal decode_at(unsigned hook, const Packet& packet) {
  const bool v4 = packet.empty() || packet[0] >> 4U != 6;
  NlMessageBuilder builder =
      nflog_message(v4 ? AF_INET : AF_INET6, static_cast<std::uint8_t>(hook), v4 ? ETH_P_IP : ETH_P_IPV6);
  builder.be32(NFULA_IFINDEX_INDEV, 2).be32(NFULA_IFINDEX_OUTDEV, 3);
  return decode_refusal(behind_header(with_packet(builder, packet)));
}

inline RefusedPacket decoded_packet(const Packet& packet) {
  const DecodedRefusal decoded = decode_at(kInput, packet);
  CHECK(decoded.kind == RefusedKind::kPacket);
  return decoded.packet;
}

}  // namespace natsession::testing
