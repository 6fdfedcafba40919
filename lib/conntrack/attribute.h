// The decoder's parts that are in a header so that the hot path stays one function: attributes, tuples.
// Threads: pure functions.
#pragma once

#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <endian.h>

#include "net/netlink_attribute.h"
#include "session/conntrack_event.h"

namespace natsession {

// One direction of a flow, as CTA_TUPLE_ORIG and CTA_TUPLE_REPLY nest it. Part of the decoder, in a header so
// that the hot path stays one function.
// Errors: every load_*() is false if a length does not fit; `unknown` counts the attributes that were
// skipped.
// Threads: pure functions.

struct TupleParts {
  Tuple tuple;
  std::uint16_t zone = 0;
  std::uint8_t protocol = 0;
  bool src_v4 = false, dst_v4 = false, src_v6 = false, dst_v6 = false;
  bool has_protocol = false, has_zone = false;
  friend bool operator==(const TupleParts&, const TupleParts&) = default;

  [[nodiscard]] bool is_v4() const { return src_v4; }
  // A flow has two addresses of one family, and a protocol. Ports it may lack.
  [[nodiscard]] bool complete() const {
    const bool v4 = src_v4 && dst_v4 && !src_v6 && !dst_v6;
    const bool v6 = src_v6 && dst_v6 && !src_v4 && !dst_v4;
    return (v4 || v6) && has_protocol;
  }
};

inline bool load_v4(std::span<const std::byte> payload, IpAddress& out) {
  std::uint32_t address = 0;
  if (payload.size() < sizeof(address)) return false;
  std::memcpy(&address, payload.data(), sizeof(address));
  out = IpAddress::from_v4(address);
  return true;
}

inline bool load_v6(std::span<const std::byte> payload, IpAddress& out) {
  std::array<std::uint8_t, 16> address{};
  if (payload.size() < address.size()) return false;
  std::memcpy(address.data(), payload.data(), address.size());
  out = IpAddress::from_v6(address);
  return true;
}

inline bool load_addresses(std::span<const std::byte> bytes, TupleParts& parts, std::uint64_t& unknown) {
  return for_each_attribute(bytes, [&](const Attribute& attribute) {
    switch (attribute.type) {
      case CTA_IP_V4_SRC:
        parts.src_v4 = true;
        return load_v4(attribute.payload, parts.tuple.src);
      case CTA_IP_V4_DST:
        parts.dst_v4 = true;
        return load_v4(attribute.payload, parts.tuple.dst);
      case CTA_IP_V6_SRC:
        parts.src_v6 = true;
        return load_v6(attribute.payload, parts.tuple.src);
      case CTA_IP_V6_DST:
        parts.dst_v6 = true;
        return load_v6(attribute.payload, parts.tuple.dst);
      default:
        unknown += attribute.type > CTA_IP_MAX ? 1 : 0;
        return true;
    }
  });
}

// ICMP has no ports; what it has instead stands where the ports would: see Tuple.
inline bool load_protocol(std::span<const std::byte> bytes, TupleParts& parts, std::uint64_t& unknown) {
  Tuple& tuple = parts.tuple;
  return for_each_attribute(bytes, [&](const Attribute& attribute) {
    std::uint8_t octet = 0;
    switch (attribute.type) {
      case CTA_PROTO_NUM:
        parts.has_protocol = true;
        return load_be(attribute.payload, parts.protocol);
      case CTA_PROTO_SRC_PORT:
      case CTA_PROTO_ICMP_ID:
      case CTA_PROTO_ICMPV6_ID:
        return load_be(attribute.payload, tuple.src_port);
      case CTA_PROTO_DST_PORT:
        return load_be(attribute.payload, tuple.dst_port);
      case CTA_PROTO_ICMP_TYPE:
      case CTA_PROTO_ICMPV6_TYPE:
        if (!load_be(attribute.payload, octet)) return false;
        tuple.dst_port =
            static_cast<std::uint16_t>((tuple.dst_port & 0x00ffU) | (std::uint32_t{octet} << 8U));
        return true;
      case CTA_PROTO_ICMP_CODE:
      case CTA_PROTO_ICMPV6_CODE:
        if (!load_be(attribute.payload, octet)) return false;
        tuple.dst_port = static_cast<std::uint16_t>((tuple.dst_port & 0xff00U) | octet);
        return true;
      default:
        unknown += attribute.type > CTA_PROTO_MAX ? 1 : 0;
        return true;
    }
  });
}

// The tuple that nearly every flow has, IPv4 with two ports, as the kernel writes it: always the same
// headers.
// Shape: seven attributes; what is no header has the widths that their lengths say, and is padded to 4.
struct UsualTuple {
  std::array<std::uint16_t, 2> addresses, src;
  std::uint32_t src_address;
  std::array<std::uint16_t, 2> dst;
  std::uint32_t dst_address;
  std::array<std::uint16_t, 2> protocol, number;
  std::array<std::uint8_t, 4> protocol_number;
  std::array<std::uint16_t, 2> src_port;
  std::array<std::uint16_t, 2> src_port_number;
  std::array<std::uint16_t, 2> dst_port;
  std::array<std::uint16_t, 2> dst_port_number;
};
static_assert(sizeof(UsualTuple) == 48);

// False where it is any other tuple, or malformed; `parts` is unchanged then. Else what load_any_tuple() does
// attribute by attribute, at a fifth of its cost.
inline bool load_usual_tuple(std::span<const std::byte> bytes, TupleParts& parts) {
  using Header = std::array<std::uint16_t, 2>;  // nla_len, nla_type
  UsualTuple usual;                             // NOLINT: written at once
  if (bytes.size() != sizeof usual) return false;
  std::memcpy(&usual, bytes.data(), sizeof usual);
  const bool is_usual =
      usual.addresses == Header{20, NLA_F_NESTED | CTA_TUPLE_IP} && usual.src == Header{8, CTA_IP_V4_SRC} &&
      usual.dst == Header{8, CTA_IP_V4_DST} && usual.protocol == Header{28, NLA_F_NESTED | CTA_TUPLE_PROTO} &&
      usual.number == Header{5, CTA_PROTO_NUM} && usual.src_port == Header{6, CTA_PROTO_SRC_PORT} &&
      usual.dst_port == Header{6, CTA_PROTO_DST_PORT};
  if (!is_usual) return false;
  parts.src_v4 = parts.dst_v4 = parts.has_protocol = true;
  parts.tuple.src = IpAddress::from_v4(usual.src_address);
  parts.tuple.dst = IpAddress::from_v4(usual.dst_address);
  parts.protocol = usual.protocol_number[0];
  parts.tuple.src_port = be16toh(usual.src_port_number[0]);
  parts.tuple.dst_port = be16toh(usual.dst_port_number[0]);
  return true;
}

// Two 64-bit numbers, of the types `first` and `second`, and nothing else: as the kernel writes counters and
// stamps. False where it is anything else; the numbers are unchanged then.
inline bool load_be64_pair(std::span<const std::byte> bytes, std::uint16_t first, std::uint16_t second,
                           std::uint64_t& first_value, std::uint64_t& second_value) {
  constexpr std::uint16_t kLength = sizeof(nlattr) + sizeof(std::uint64_t);
  std::array<std::uint16_t, 4> headers;  // NOLINT: written at once
  if (bytes.size() != std::size_t{2} * kLength) return false;
  std::memcpy(headers.data(), bytes.data(), sizeof(nlattr));
  std::memcpy(headers.data() + 2, bytes.data() + kLength, sizeof(nlattr));
  if (headers != std::array<std::uint16_t, 4>{kLength, first, kLength, second}) return false;
  return load_be(bytes.subspan(sizeof(nlattr)), first_value) &&
         load_be(bytes.subspan(kLength + sizeof(nlattr)), second_value);
}

inline bool load_any_tuple(std::span<const std::byte> bytes, TupleParts& parts, std::uint64_t& unknown) {
  return for_each_attribute(bytes, [&](const Attribute& attribute) {
    switch (attribute.type) {
      case CTA_TUPLE_IP:
        return load_addresses(attribute.payload, parts, unknown);
      case CTA_TUPLE_PROTO:
        return load_protocol(attribute.payload, parts, unknown);
      case CTA_TUPLE_ZONE:
        parts.has_zone = true;
        return load_be(attribute.payload, parts.zone);
      default:
        unknown += attribute.type > CTA_TUPLE_MAX ? 1 : 0;
        return true;
    }
  });
}

inline bool load_tuple(std::span<const std::byte> bytes, TupleParts& parts, std::uint64_t& unknown) {
  return load_usual_tuple(bytes, parts) || load_any_tuple(bytes, parts, unknown);
}

}  // namespace natsession
