// Builds ctnetlink messages for tests, attribute by attribute, right or wrong as the test wants them.
//   auto message = NlMessageBuilder::event(NlMessageBuilder::kNew)
//                      .tuple(CTA_TUPLE_ORIG, tcp("10.0.0.2", 4000, "198.51.100.2", 80))
//                      .tuple(CTA_TUPLE_REPLY, tcp("198.51.100.2", 80, "203.0.113.1", 5000))
//                      .be32(CTA_STATUS, 0x198).build();
#pragma once

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include <endian.h>

#include "net/ip_address.h"

namespace natsession::testing {

struct TupleSpec {
  IpAddress src;
  IpAddress dst;
  std::uint8_t protocol = 0;
  std::uint16_t src_port = 0;  // the id, for ICMP and ICMPv6
  std::uint16_t dst_port = 0;  // type*256+code, for ICMP and ICMPv6
};

inline TupleSpec tuple_spec(std::uint8_t protocol, std::string_view src, std::uint16_t src_port,
                            std::string_view dst, std::uint16_t dst_port) {
  return {*IpAddress::parse(src), *IpAddress::parse(dst), protocol, src_port, dst_port};
}
inline TupleSpec tcp(std::string_view src, std::uint16_t src_port, std::string_view dst,
                     std::uint16_t dst_port) {
  return tuple_spec(IPPROTO_TCP, src, src_port, dst, dst_port);
}
inline TupleSpec udp(std::string_view src, std::uint16_t src_port, std::string_view dst,
                     std::uint16_t dst_port) {
  return tuple_spec(IPPROTO_UDP, src, src_port, dst, dst_port);
}

class NlMessageBuilder {
 public:
  using Bytes = std::vector<std::byte>;
  using Fill = std::function<void(NlMessageBuilder&)>;
  enum Kind { kNew, kUpdate, kDestroy };

  NlMessageBuilder(std::uint16_t type, std::uint16_t flags, std::uint8_t family = AF_INET) {
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = flags;
    append(&header, sizeof(header));
    nfgenmsg generic{};
    generic.nfgen_family = family;
    append(&generic, sizeof(generic));
  }

  static NlMessageBuilder event(Kind kind, std::uint8_t family = AF_INET) {
    const auto message = kind == kDestroy ? IPCTNL_MSG_CT_DELETE : IPCTNL_MSG_CT_NEW;
    const auto flags = kind == kNew ? NLM_F_CREATE | NLM_F_EXCL : 0;
    return {static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message),
            static_cast<std::uint16_t>(flags), family};
  }

  NlMessageBuilder& attribute(std::uint16_t type, std::span<const std::byte> payload) {
    nlattr header{};
    header.nla_type = type;
    header.nla_len = static_cast<std::uint16_t>(sizeof(header) + payload.size());
    append(&header, sizeof(header));
    append(payload.data(), payload.size());
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
    return *this;
  }
  NlMessageBuilder& u8(std::uint16_t type, std::uint8_t value) { return scalar(type, value); }
  NlMessageBuilder& be16(std::uint16_t type, std::uint16_t value) { return scalar(type, htobe16(value)); }
  NlMessageBuilder& be32(std::uint16_t type, std::uint32_t value) { return scalar(type, htobe32(value)); }
  NlMessageBuilder& be64(std::uint16_t type, std::uint64_t value) { return scalar(type, htobe64(value)); }

  // The length of the nest is what `fill` puts into it, plus `lie`: for lengths that are wrong.
  NlMessageBuilder& nest(std::uint16_t type, const Fill& fill, int lie = 0) {
    const std::size_t at = bytes_.size();
    nlattr header{};
    append(&header, sizeof(header));
    fill(*this);
    header.nla_type = static_cast<std::uint16_t>(type | NLA_F_NESTED);
    header.nla_len = static_cast<std::uint16_t>(static_cast<int>(bytes_.size() - at) + lie);
    std::memcpy(bytes_.data() + at, &header, sizeof(header));
    return *this;
  }

  NlMessageBuilder& tuple(std::uint16_t type, const TupleSpec& spec, const Fill& extra = {}) {
    return nest(type, [&](NlMessageBuilder& tuple) {
      tuple.nest(CTA_TUPLE_IP, [&](NlMessageBuilder& ip) { ip.addresses(spec); });
      tuple.nest(CTA_TUPLE_PROTO, [&](NlMessageBuilder& proto) { proto.ports(spec); });
      if (extra) extra(tuple);
    });
  }
  NlMessageBuilder& addresses(const TupleSpec& spec) {
    if (spec.src.is_v4()) {
      scalar(CTA_IP_V4_SRC, spec.src.v4());
      return scalar(CTA_IP_V4_DST, spec.dst.v4());
    }
    attribute(CTA_IP_V6_SRC, std::as_bytes(std::span(spec.src.bytes())));
    return attribute(CTA_IP_V6_DST, std::as_bytes(std::span(spec.dst.bytes())));
  }
  NlMessageBuilder& ports(const TupleSpec& spec) {
    u8(CTA_PROTO_NUM, spec.protocol);
    const bool icmp = spec.protocol == IPPROTO_ICMP;
    if (!icmp && spec.protocol != IPPROTO_ICMPV6) {
      be16(CTA_PROTO_SRC_PORT, spec.src_port);
      return be16(CTA_PROTO_DST_PORT, spec.dst_port);
    }
    be16(icmp ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID, spec.src_port);
    u8(icmp ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE, static_cast<std::uint8_t>(spec.dst_port >> 8));
    return u8(icmp ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE, static_cast<std::uint8_t>(spec.dst_port));
  }
  NlMessageBuilder& counters(std::uint16_t type, std::uint64_t packets, std::uint64_t bytes) {
    return nest(type, [&](NlMessageBuilder& nested) {
      nested.be64(CTA_COUNTERS_PACKETS, packets).be64(CTA_COUNTERS_BYTES, bytes);
    });
  }
  NlMessageBuilder& tcp_state(std::uint8_t state) {
    return nest(CTA_PROTOINFO, [&](NlMessageBuilder& info) {
      info.nest(CTA_PROTOINFO_TCP,
                [&](NlMessageBuilder& nested) { nested.u8(CTA_PROTOINFO_TCP_STATE, state); });
    });
  }

  NlMessageBuilder& sequence(std::uint32_t number) {
    std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_seq), &number, sizeof(number));
    return *this;
  }
  NlMessageBuilder& add_flags(std::uint16_t flags) {
    std::uint16_t all = 0;
    std::memcpy(&all, bytes_.data() + offsetof(nlmsghdr, nlmsg_flags), sizeof(all));
    all = static_cast<std::uint16_t>(all | flags);
    std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_flags), &all, sizeof(all));
    return *this;
  }

  [[nodiscard]] Bytes build() const {
    Bytes message = bytes_;
    const auto length = static_cast<std::uint32_t>(message.size());
    std::memcpy(message.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof(length));
    return message;
  }

  // NLMSG_DONE or NLMSG_ERROR with its code, as the kernel ends a dump or refuses a request.
  static Bytes answer(std::uint16_t type, int code, std::uint32_t sequence, std::uint16_t flags = 0) {
    Bytes message(sizeof(nlmsghdr) + sizeof(code));
    const nlmsghdr header{static_cast<std::uint32_t>(message.size()), type, flags, sequence, 0};
    std::memcpy(message.data(), &header, sizeof(header));
    std::memcpy(message.data() + sizeof(header), &code, sizeof(code));
    return message;
  }

 private:
  template <typename T>
  NlMessageBuilder& scalar(std::uint16_t type, T value) {
    return attribute(type, std::as_bytes(std::span(&value, 1)));
  }
  void append(const void* data, std::size_t size) {
    const auto* start = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), start, start + size);
  }

  Bytes bytes_;
};

}  // namespace natsession::testing
