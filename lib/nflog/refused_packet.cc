#include "nflog/refused_packet.h"

#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "net/netlink_attribute.h"

namespace natsession {
namespace {

using Bytes = std::span<const std::byte>;

constexpr unsigned kNetdevEgress = 1;  // NF_NETDEV_EGRESS, since Linux 5.16
constexpr unsigned kHopByHop = 0;
constexpr unsigned kDestinationOptions = 60;
constexpr unsigned kMobility = 135;
constexpr unsigned kHostIdentity = 139;
constexpr unsigned kShim6 = 140;
constexpr std::uint8_t kJumboPayload = 0xc2;
constexpr std::size_t kV6Header = 40;

std::uint8_t octet(Bytes bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}

// For a place that is known to be inside.
std::uint16_t be16_at(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(octet(bytes, at) << 8U | octet(bytes, at + 1));
}

std::uint32_t be32_at(Bytes bytes, std::size_t at) {
  return std::uint32_t{be16_at(bytes, at)} << 16U | be16_at(bytes, at + 2);
}

// Ports and flags, as far as the copy goes.
void read_transport(Bytes segment, RefusedPacket& out) {
  switch (out.protocol) {
    case IPPROTO_TCP:
      if (segment.size() > 13) out.tcp_flags = octet(segment, 13);
      [[fallthrough]];
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
      if (segment.size() < 4) return;
      out.src_port = be16_at(segment, 0);
      out.dst_port = be16_at(segment, 2);
      return;
    default:
      return;
  }
}

bool read_v4(Bytes packet, RefusedPacket& out) {
  constexpr std::size_t kLeast = 20;
  if (packet.size() < kLeast || octet(packet, 0) >> 4U != 4) return false;
  const std::size_t header = (octet(packet, 0) & 0xfU) * std::size_t{4};
  if (header < kLeast) return false;
  const std::size_t total = be16_at(packet, 2);
  // What was joined to more than 64 KiB says 0: how much it was, only the copy says, and that is its
  // beginning.
  if (total != 0 && total < header) return false;
  out.length = total != 0 ? total : std::max(packet.size(), header);
  out.protocol = octet(packet, 9);
  std::uint32_t address = 0;
  std::memcpy(&address, packet.data() + 12, sizeof address);
  out.src = IpAddress::from_v4(address);
  std::memcpy(&address, packet.data() + 16, sizeof address);
  out.dst = IpAddress::from_v4(address);
  const bool first = (be16_at(packet, 6) & 0x1fffU) == 0;
  if (first && header <= packet.size()) {
    // What stands behind the packet's own end is no part of it: padding of a short frame.
    const std::size_t end = total != 0 ? std::min(total, packet.size()) : packet.size();
    read_transport(packet.subspan(header, end - header), out);
  }
  return true;
}

// The length that a hop-by-hop header gives a jumbogram, if it does.
std::optional<std::uint32_t> jumbo_length(Bytes options) {
  for (std::size_t at = 2; at + 1 < options.size();) {
    const std::uint8_t type = octet(options, at);
    if (type == 0) {  // one byte of padding
      ++at;
      continue;
    }
    const std::size_t length = octet(options, at + 1);
    if (type == kJumboPayload && length == 4 && at + 6 <= options.size()) return be32_at(options, at + 2);
    at += 2 + length;
  }
  return std::nullopt;
}

// How long an extension header is that `packet` begins with; 0: it is none, or not whole enough to tell.
std::size_t extension_length(unsigned header, Bytes packet) {
  if (packet.size() < 2) return 0;
  switch (header) {
    case kHopByHop:
    case IPPROTO_ROUTING:
    case kDestinationOptions:
    case kMobility:
    case kHostIdentity:
    case kShim6:
      return (octet(packet, 1) + std::size_t{1}) * 8;
    case IPPROTO_AH:
      return (octet(packet, 1) + std::size_t{2}) * 4;
    default:
      return 0;
  }
}

bool read_v6(Bytes packet, RefusedPacket& out) {
  if (packet.size() < kV6Header || octet(packet, 0) >> 4U != 6) return false;
  const std::size_t payload = be16_at(packet, 4);
  out.length = kV6Header + payload;
  std::array<std::uint8_t, 16> address{};
  std::memcpy(address.data(), packet.data() + 8, address.size());
  out.src = IpAddress::from_v6(address);
  std::memcpy(address.data(), packet.data() + 24, address.size());
  out.dst = IpAddress::from_v6(address);

  out.protocol = octet(packet, 6);
  const bool jumbo = payload == 0 && out.protocol == kHopByHop;
  Bytes rest = packet.subspan(kV6Header);
  if (!jumbo && payload < rest.size()) rest = rest.first(payload);
  for (;;) {
    if (out.protocol == IPPROTO_FRAGMENT) {
      if (rest.size() < 8) return true;
      const bool first = (be16_at(rest, 2) & 0xfff8U) == 0;
      out.protocol = octet(rest, 0);
      if (!first) return true;
      rest = rest.subspan(8);
      continue;
    }
    const std::size_t length = extension_length(out.protocol, rest);
    if (length == 0) break;
    const Bytes header = rest.first(std::min(length, rest.size()));
    if (jumbo && out.protocol == kHopByHop) {
      if (const auto told = jumbo_length(header)) out.length = kV6Header + *told;
    }
    if (length > rest.size()) return true;  // it goes beyond the copy
    out.protocol = octet(rest, 0);
    rest = rest.subspan(length);
  }
  read_transport(rest, out);
  return true;
}

// Where the IP header begins, and of which kind it is, in a copy that may begin with the link's header.
RefusedKind read_packet(Bytes packet, unsigned family, std::uint16_t ether_type, RefusedPacket& out) {
  if (family == NFPROTO_NETDEV && out.egress && packet.size() >= ETH_HLEN &&
      be16_at(packet, ETH_HLEN - 2) == ether_type)
    packet = packet.subspan(ETH_HLEN);  // on its way out a frame has its header already
  constexpr int kMostTags = 2;
  for (int tag = 0; tag < kMostTags && (ether_type == ETH_P_8021Q || ether_type == ETH_P_8021AD); ++tag) {
    if (packet.size() < 4) return RefusedKind::kMalformed;
    ether_type = be16_at(packet, 2);
    packet = packet.subspan(4);
  }
  const bool v4 = family == NFPROTO_IPV4 || ether_type == ETH_P_IP;
  const bool v6 = family == NFPROTO_IPV6 || ether_type == ETH_P_IPV6;
  if (!v4 && !v6) return RefusedKind::kNotIp;
  const bool read = family == NFPROTO_IPV6 || !v4 ? read_v6(packet, out) : read_v4(packet, out);
  return read ? RefusedKind::kPacket : RefusedKind::kMalformed;
}

bool leaves(unsigned family, unsigned hook) {
  if (family == NFPROTO_NETDEV) return hook == kNetdevEgress;
  return hook == NF_INET_LOCAL_OUT || hook == NF_INET_POST_ROUTING;
}

}  // namespace

RefusedKind decode_refused(Bytes message, RefusedPacket& out) {
  out = {};
  nfgenmsg generic{};
  if (message.size() < sizeof generic) return RefusedKind::kMalformed;
  std::memcpy(&generic, message.data(), sizeof generic);
  out.group = be16toh(generic.res_id);
  std::uint16_t ether_type = 0;
  bool has_header = false;
  Bytes packet;
  const bool whole = for_each_attribute(message.subspan(sizeof generic), [&](const Attribute& attribute) {
    const Bytes payload = attribute.payload;
    switch (attribute.type) {
      case NFULA_PACKET_HDR: {
        nfulnl_msg_packet_hdr header{};
        if (!load_host(payload, header)) return false;
        ether_type = be16toh(header.hw_protocol);
        out.hook = header.hook;
        out.egress = leaves(generic.nfgen_family, header.hook);
        has_header = true;
        return true;
      }
      case NFULA_MARK:
        return load_be(payload, out.mark);
      case NFULA_IFINDEX_INDEV:
        return load_be(payload, out.in_interface);
      case NFULA_IFINDEX_OUTDEV:
        return load_be(payload, out.out_interface);
      case NFULA_IFINDEX_PHYSINDEV:
        return load_be(payload, out.in_port);
      case NFULA_IFINDEX_PHYSOUTDEV:
        return load_be(payload, out.out_port);
      case NFULA_SEQ:
        out.has_sequence = load_be(payload, out.sequence);
        return out.has_sequence;
      case NFULA_TIMESTAMP: {
        std::uint64_t seconds = 0;
        std::uint64_t microseconds = 0;
        if (payload.size() < 2 * sizeof seconds || !load_be(payload, seconds) ||
            !load_be(payload.subspan(sizeof seconds), microseconds))
          return false;
        constexpr std::uint64_t kLastSecond = 9'000'000'000;  // what is later overflows, and is no time
        if (seconds < kLastSecond && microseconds < 1'000'000) {
          out.time = UnixNs(std::chrono::seconds(seconds) + std::chrono::microseconds(microseconds));
        }
        return true;
      }
      case NFULA_PAYLOAD:
        packet = payload;
        return true;
      default:
        return true;
    }
  });
  if (!whole || !has_header) return RefusedKind::kMalformed;
  return read_packet(packet, generic.nfgen_family, ether_type, out);
}

}  // namespace natsession
