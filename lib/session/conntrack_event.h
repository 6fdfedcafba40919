// ConntrackEvent: one conntrack entry as the kernel told of it, in an event or in a dump.
// Threads: a plain value type.
#pragma once

#include <cstdint>
#include <optional>

#include "base/time.h"
#include "net/ip_address.h"
#include "record/session_record.h"

namespace natsession {

enum class EventType : std::uint8_t { kNew, kUpdate, kDestroy };

// One direction of a flow. Ports in host byte order.
// ICMP and ICMPv6: src_port is the id, dst_port is type*256+code. GRE: the ports are the keys. No ports: both
// 0.
struct Tuple {
  IpAddress src;
  IpAddress dst;
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  friend bool operator==(const Tuple&, const Tuple&) = default;
};

// Since the flow began; layer-3 bytes.
struct Counters {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  friend bool operator==(const Counters&, const Counters&) = default;
};

// enum ip_conntrack_status, the bits that matter here.
inline constexpr std::uint32_t kStatusSrcNat = 1U << 4;
inline constexpr std::uint32_t kStatusDstNat = 1U << 5;
inline constexpr std::uint32_t kStatusDying = 1U << 9;
inline constexpr std::uint32_t kStatusOffload = 1U << 14;  // a flowtable carries it

struct ConntrackEvent {
  EventType type = EventType::kNew;
  std::uint8_t protocol = 0;  // IANA number, of both tuples
  Tuple original;
  Tuple reply;
  std::uint32_t id = 0;  // CTA_ID; differs between flows that are alive together
  std::uint32_t status = 0;
  std::uint32_t mark = 0;
  std::uint16_t zone = 0;
  TcpState tcp_state = TcpState::kNone;
  std::optional<std::uint32_t> timeout_seconds;
  std::optional<Counters> original_counters;
  std::optional<Counters> reply_counters;
  std::optional<UnixNs> start;  // CTA_TIMESTAMP_START: when the flow was confirmed
  std::optional<UnixNs> stop;   // CTA_TIMESTAMP_STOP: when it was deleted
  std::optional<UnixNs> event;  // CTA_TIMESTAMP_EVENT (Linux 6.14): when the event was made
  friend bool operator==(const ConntrackEvent&, const ConntrackEvent&) = default;
};

}  // namespace natsession
