// A small language for conntrack events in tests: flow().from("10.0.0.2", 40000).to("198.51.100.7",
// 443).created().
#pragma once

#include <string_view>

#include "session/conntrack_event.h"
#include "support/session_between.h"

namespace natsession::testing {

inline UnixNs at_ms(std::int64_t ms) {
  return UnixNs(std::chrono::milliseconds(ms));
}

// One flow, source-NATed unless told otherwise, and the events that the kernel would make of it.
class Flow {
 public:
  Flow() {
    event_.protocol = 6;
    event_.id = 1;
    event_.status = kStatusSrcNat;
    from("10.0.0.2", 40000).to("198.51.100.7", 443).nat("203.0.113.1", 50000);
  }

  Flow& protocol(std::uint8_t number) {
    event_.protocol = number;
    return *this;
  }
  Flow& id(std::uint32_t id) {
    event_.id = id;
    return *this;
  }
  Flow& zone(std::uint16_t zone) {
    event_.zone = zone;
    return *this;
  }
  Flow& mark(std::uint32_t mark) {
    event_.mark = mark;
    return *this;
  }
  Flow& status(std::uint32_t status) {
    event_.status = status;
    return *this;
  }
  Flow& from(std::string_view address, std::uint16_t port) {
    event_.original.src = ip(address);
    event_.original.src_port = port;
    return *this;
  }
  Flow& to(std::string_view address, std::uint16_t port) {
    event_.original.dst = event_.reply.src = ip(address);
    event_.original.dst_port = event_.reply.src_port = port;
    return *this;
  }
  Flow& nat(std::string_view address, std::uint16_t port) {
    event_.reply.dst = ip(address);
    event_.reply.dst_port = port;
    return *this;
  }
  // Destination NAT: the server that is really reached.
  Flow& reached(std::string_view address, std::uint16_t port) {
    event_.reply.src = ip(address);
    event_.reply.src_port = port;
    return *this;
  }
  Flow& tuples(const Tuple& original, const Tuple& reply) {
    event_.original = original;
    event_.reply = reply;
    return *this;
  }
  Flow& stamped(UnixNs start) {
    event_.start = start;
    return *this;
  }
  Flow& tcp_state(TcpState state) {
    event_.tcp_state = state;
    return *this;
  }
  Flow& traffic(Counters original, Counters reply) {
    event_.original_counters = original;
    event_.reply_counters = reply;
    return *this;
  }

  // NEW and UPDATE carry neither counters nor the start, as in the kernel.
  [[nodiscard]] ConntrackEvent created() const { return bare(EventType::kNew); }
  [[nodiscard]] ConntrackEvent updated() const { return bare(EventType::kUpdate); }
  [[nodiscard]] ConntrackEvent dumped() const {
    ConntrackEvent event = event_;
    event.type = EventType::kUpdate;
    return event;
  }
  [[nodiscard]] ConntrackEvent destroyed() const {
    ConntrackEvent event = event_;
    event.type = EventType::kDestroy;
    return event;
  }
  [[nodiscard]] ConntrackEvent destroyed(UnixNs stop) const {
    ConntrackEvent event = destroyed();
    event.stop = stop;
    return event;
  }

 private:
  [[nodiscard]] ConntrackEvent bare(EventType type) const {
    ConntrackEvent event = event_;
    event.type = type;
    event.start.reset();
    event.original_counters.reset();
    event.reply_counters.reset();
    return event;
  }

  ConntrackEvent event_;
};

inline Flow flow() {
  return {};
}

}  // namespace natsession::testing
