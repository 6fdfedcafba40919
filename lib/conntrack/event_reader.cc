#include "conntrack/event_reader.h"

#include <linux/netlink.h>

#include <algorithm>
#include <cstring>

namespace natsession {

bool EventReader::read(const ReceiveRing::Datagram& datagram, EventSource::Handler& handler,
                       EventCounters& counters) const {
  if (datagram.sender_port != 0) {
    ++counters.foreign;
    return true;
  }
  if (datagram.truncated) {
    ++counters.truncated;
    return false;
  }
  // The kernel sends one event in a datagram; netlink allows several.
  std::span<const std::byte> rest = datagram.bytes;
  while (!rest.empty()) {
    ConntrackEvent event;
    const DecodeResult result = decode(rest, event, counters.decode);
    if (result == DecodeResult::kMalformed) return false;  // where a next one would begin is not known
    if (result == DecodeResult::kEvent) {
      if ((event.status & status_mask_) != 0) {
        handler.on_event(event);
      } else {
        ++counters.not_selected;
      }
    }
    nlmsghdr header{};
    std::memcpy(&header, rest.data(), sizeof(header));
    rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
  }
  return true;
}

}  // namespace natsession
