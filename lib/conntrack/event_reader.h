// EventReader: what the event socket received, datagram by datagram, becomes calls of a handler. No I/O.
// Threads: one at a time.
#pragma once

#include <cstdint>

#include "conntrack/decoder.h"
#include "conntrack/receive_ring.h"
#include "session/event_source.h"

namespace natsession {

// All since the socket was opened.
struct EventCounters {
  DecodeCounters decode;
  std::uint64_t overruns = 0;      // how often the kernel said ENOBUFS
  std::uint64_t truncated = 0;     // messages longer than a slot: lost
  std::uint64_t foreign = 0;       // messages that another process sent, not the kernel: ignored
  std::uint64_t not_selected = 0;  // decoded, but without the NAT bits that are asked for
  friend bool operator==(const EventCounters&, const EventCounters&) = default;
};

class EventReader {
 public:
  // Events are handed on if their status has a bit of `status_mask`.
  explicit EventReader(std::uint32_t status_mask) : status_mask_(status_mask) {}

  // Returns false if the datagram was truncated or malformed: an event is lost, as in an overrun.
  bool read(const ReceiveRing::Datagram& datagram, EventSource::Handler& handler,
            EventCounters& counters) const;

 private:
  std::uint32_t status_mask_;
};

}  // namespace natsession
