#include "conntrack/decoder.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <limits>

#include "conntrack/attribute.h"

namespace natsession {
namespace {

// Linux 6.14; the headers that this is built with may be older. The kernel's enum never renumbers.
constexpr std::uint16_t kCtaTimestampEvent = 27;
constexpr std::uint16_t kLastKnownAttribute = kCtaTimestampEvent;
// nf_conntrack_tcp.h, TCP_CONNTRACK_SYN_SENT2: the last state that a flow can be in.
constexpr std::uint8_t kLastTcpState = 9;

static_assert(CTA_STATUS_MASK == kCtaTimestampEvent - 1);
static_assert(static_cast<std::uint8_t>(TcpState::kSynSent2) == kLastTcpState);

using Bytes = std::span<const std::byte>;

bool load_counters(Bytes bytes, std::optional<Counters>& out, DecodeCounters& counters) {
  Counters wide;
  if (load_be64_pair(bytes, CTA_COUNTERS_PACKETS, CTA_COUNTERS_BYTES, wide.packets, wide.bytes)) {
    out = wide;
    return true;
  }
  std::uint32_t packets32 = 0;
  std::uint32_t bytes32 = 0;
  bool has_packets = false, has_bytes = false, has_packets32 = false, has_bytes32 = false;
  const bool ok = for_each_attribute(bytes, [&](const Attribute& attribute) {
    switch (attribute.type) {
      case CTA_COUNTERS_PACKETS:
        has_packets = true;
        return load_be(attribute.payload, wide.packets);
      case CTA_COUNTERS_BYTES:
        has_bytes = true;
        return load_be(attribute.payload, wide.bytes);
      case CTA_COUNTERS32_PACKETS:
        has_packets32 = true;
        return load_be(attribute.payload, packets32);
      case CTA_COUNTERS32_BYTES:
        has_bytes32 = true;
        return load_be(attribute.payload, bytes32);
      default:
        counters.unknown_attributes += attribute.type > CTA_COUNTERS_MAX ? 1 : 0;
        return true;
    }
  });
  if (!ok) return false;
  if (has_packets && has_bytes) {
    out = wide;
  } else if (has_packets32 && has_bytes32) {
    out = Counters{packets32, bytes32};
  }
  return true;
}

// 0 is how the kernel says that it has not stamped; what does not fit is no time that a clock can show.
void set_time(std::uint64_t ns, std::optional<UnixNs>& out) {
  if (ns != 0 && ns <= std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    out = UnixNs(std::chrono::nanoseconds(static_cast<std::int64_t>(ns)));
  }
}

bool load_time(Bytes payload, std::optional<UnixNs>& out) {
  std::uint64_t ns = 0;
  if (!load_be(payload, ns)) return false;
  set_time(ns, out);
  return true;
}

bool load_timestamps(Bytes bytes, ConntrackEvent& event, DecodeCounters& counters) {
  std::uint64_t start = 0;
  std::uint64_t stop = 0;
  if (load_be64_pair(bytes, CTA_TIMESTAMP_START, CTA_TIMESTAMP_STOP, start, stop)) {
    set_time(start, event.start);
    set_time(stop, event.stop);
    return true;
  }
  return for_each_attribute(bytes, [&](const Attribute& attribute) {
    switch (attribute.type) {
      case CTA_TIMESTAMP_START:
        return load_time(attribute.payload, event.start);
      case CTA_TIMESTAMP_STOP:
        return load_time(attribute.payload, event.stop);
      default:
        counters.unknown_attributes += attribute.type > CTA_TIMESTAMP_MAX ? 1 : 0;
        return true;
    }
  });
}

bool load_tcp_state(Bytes protoinfo, TcpState& out, DecodeCounters& counters) {
  return for_each_attribute(protoinfo, [&](const Attribute& protocol) {
    if (protocol.type != CTA_PROTOINFO_TCP) {
      counters.unknown_attributes += protocol.type > CTA_PROTOINFO_MAX ? 1 : 0;
      return true;
    }
    return for_each_attribute(protocol.payload, [&](const Attribute& attribute) {
      if (attribute.type != CTA_PROTOINFO_TCP_STATE) {
        counters.unknown_attributes += attribute.type > CTA_PROTOINFO_TCP_MAX ? 1 : 0;
        return true;
      }
      std::uint8_t state = 0;
      if (!load_be(attribute.payload, state)) return false;
      out = state <= kLastTcpState ? static_cast<TcpState>(state) : TcpState::kNone;
      return true;
    });
  });
}

bool is_icmp(std::uint8_t protocol) {
  return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

// What the kernel's status word would say: the reply does not go back to where the original came from (SNAT),
// or does not come from where the original went to (DNAT). ICMP carries one id, which source NAT translates.
std::uint32_t infer_nat_status(const ConntrackEvent& event) {
  const Tuple& original = event.original;
  const Tuple& reply = event.reply;
  const bool icmp = is_icmp(event.protocol);
  const std::uint16_t nat_port = icmp ? reply.src_port : reply.dst_port;
  std::uint32_t status = 0;
  if (original.src != reply.dst || original.src_port != nat_port) status |= kStatusSrcNat;
  if (original.dst != reply.src || (!icmp && original.dst_port != reply.src_port)) status |= kStatusDstNat;
  return status;
}

bool load_entry(Bytes bytes, ConntrackEvent& event, DecodeCounters& counters) {
  TupleParts original;
  TupleParts reply;
  bool has_status = false;
  bool has_zone = false;
  std::uint32_t timeout = 0;
  const bool ok = for_each_attribute(bytes, [&](const Attribute& attribute) {
    const Bytes payload = attribute.payload;
    switch (attribute.type) {
      case CTA_TUPLE_ORIG:
        return load_tuple(payload, original, counters.unknown_attributes);
      case CTA_TUPLE_REPLY:
        return load_tuple(payload, reply, counters.unknown_attributes);
      case CTA_STATUS:
        has_status = true;
        return load_be(payload, event.status);
      case CTA_PROTOINFO:
        return load_tcp_state(payload, event.tcp_state, counters);
      case CTA_TIMEOUT:
        if (!load_be(payload, timeout)) return false;
        event.timeout_seconds = timeout;
        return true;
      case CTA_MARK:
        return load_be(payload, event.mark);
      case CTA_COUNTERS_ORIG:
        return load_counters(payload, event.original_counters, counters);
      case CTA_COUNTERS_REPLY:
        return load_counters(payload, event.reply_counters, counters);
      case CTA_ID:
        return load_be(payload, event.id);
      case CTA_ZONE:
        has_zone = true;
        return load_be(payload, event.zone);
      case CTA_TIMESTAMP:
        return load_timestamps(payload, event, counters);
      case kCtaTimestampEvent:
        return load_time(payload, event.event);
      default:
        counters.unknown_attributes += attribute.type > kLastKnownAttribute ? 1 : 0;
        return true;
    }
  });
  if (!ok || !original.complete() || !reply.complete()) return false;
  if (original.protocol != reply.protocol || original.is_v4() != reply.is_v4()) return false;
  event.protocol = original.protocol;
  event.original = original.tuple;
  event.reply = reply.tuple;
  if (!has_zone) event.zone = original.has_zone ? original.zone : reply.zone;
  if (!has_status) {
    event.status = infer_nat_status(event);
    ++counters.without_status;
  }
  return true;
}

DecodeResult decode_checked(Bytes message, ConntrackEvent& event, DecodeCounters& counters) {
  nlmsghdr header{};
  nfgenmsg family{};
  if (message.size() < sizeof(header)) return DecodeResult::kMalformed;
  std::memcpy(&header, message.data(), sizeof(header));
  if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > message.size()) return DecodeResult::kMalformed;
  if (header.nlmsg_type >> 8U != NFNL_SUBSYS_CTNETLINK) return DecodeResult::kSkipped;
  switch (header.nlmsg_type & 0xffU) {
    case IPCTNL_MSG_CT_NEW:
      event.type =
          (header.nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL)) != 0 ? EventType::kNew : EventType::kUpdate;
      break;
    case IPCTNL_MSG_CT_DELETE:
      event.type = EventType::kDestroy;
      break;
    default:
      return DecodeResult::kSkipped;
  }
  constexpr std::size_t kFixedBytes = sizeof(header) + NLMSG_ALIGN(sizeof(family));
  if (header.nlmsg_len < kFixedBytes) return DecodeResult::kMalformed;
  std::memcpy(&family, message.data() + sizeof(header), sizeof(family));
  if (family.nfgen_family != AF_INET && family.nfgen_family != AF_INET6) return DecodeResult::kSkipped;
  const Bytes attributes = message.subspan(kFixedBytes, header.nlmsg_len - kFixedBytes);
  return load_entry(attributes, event, counters) ? DecodeResult::kEvent : DecodeResult::kMalformed;
}

}  // namespace

DecodeResult decode(Bytes message, ConntrackEvent& out, DecodeCounters& counters) {
  ConntrackEvent event;
  const DecodeResult result = decode_new(message, event, counters);
  if (result == DecodeResult::kEvent) out = event;
  return result;
}

DecodeResult decode_new(Bytes message, ConntrackEvent& event, DecodeCounters& counters) {
  const DecodeResult result = decode_checked(message, event, counters);
  switch (result) {
    case DecodeResult::kMalformed:
      ++counters.malformed;
      return result;
    case DecodeResult::kSkipped:
      ++counters.skipped;
      return result;
    case DecodeResult::kEvent:
      break;
  }
  switch (event.type) {
    case EventType::kNew:
      ++counters.new_events;
      break;
    case EventType::kUpdate:
      ++counters.update_events;
      break;
    case EventType::kDestroy:
      ++counters.destroy_events;
      break;
  }
  return result;
}

}  // namespace natsession
