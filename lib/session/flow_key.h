// FlowKey: what tells one flow from all others that are alive with it: id, zone, protocol and both tuples.
// The id alone would nearly do, but the kernel derives it from an address in memory, so it comes back.
// Threads: plain value types.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "session/conntrack_event.h"

namespace natsession {

// How an address is kept in the table: 4 bytes for IPv4, so that a session fits a cache line, and 16 for
// IPv6.
struct V4 {
  using Stored = std::uint32_t;  // network byte order
  static Stored store(const IpAddress& address) { return address.v4(); }
  static IpAddress load(Stored stored) { return IpAddress::from_v4(stored); }
};
struct V6 {
  using Stored = std::array<std::uint8_t, 16>;
  static Stored store(const IpAddress& address) { return address.bytes(); }
  static IpAddress load(const Stored& stored) { return IpAddress::from_v6(stored); }
};

template <typename Family>
struct FlowKey {
  typename Family::Stored original_src;
  typename Family::Stored original_dst;
  typename Family::Stored reply_src;
  typename Family::Stored reply_dst;
  std::uint16_t original_src_port;
  std::uint16_t original_dst_port;
  std::uint16_t reply_src_port;
  std::uint16_t reply_dst_port;
  std::uint32_t id;
  std::uint16_t zone;
  std::uint8_t protocol;
  std::uint8_t zero;  // no padding, so that bytes can be hashed and compared

  [[nodiscard]] static FlowKey of(const ConntrackEvent& event) {
    return FlowKey{Family::store(event.original.src),
                   Family::store(event.original.dst),
                   Family::store(event.reply.src),
                   Family::store(event.reply.dst),
                   event.original.src_port,
                   event.original.dst_port,
                   event.reply.src_port,
                   event.reply.dst_port,
                   event.id,
                   event.zone,
                   event.protocol,
                   0};
  }

  [[nodiscard]] Tuple original() const {
    return {Family::load(original_src), Family::load(original_dst), original_src_port, original_dst_port};
  }
  [[nodiscard]] Tuple reply() const {
    return {Family::load(reply_src), Family::load(reply_dst), reply_src_port, reply_dst_port};
  }

  friend bool operator==(const FlowKey& a, const FlowKey& b) { return std::memcmp(&a, &b, sizeof a) == 0; }
};

static_assert(std::has_unique_object_representations_v<FlowKey<V4>> && sizeof(FlowKey<V4>) == 32);
static_assert(std::has_unique_object_representations_v<FlowKey<V6>> && sizeof(FlowKey<V6>) == 80);

// 64 bits, good enough to stand for the key itself in a set of recently ended flows.
[[nodiscard]] std::uint64_t hash_bytes(const void* data, std::size_t size);

template <typename Family>
[[nodiscard]] std::uint64_t hash_key(const FlowKey<Family>& key) {
  return hash_bytes(&key, sizeof key);
}

}  // namespace natsession
