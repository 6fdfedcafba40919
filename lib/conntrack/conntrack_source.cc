#include "conntrack/conntrack_source.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "conntrack/decoder.h"

namespace natsession {

Result<std::unique_ptr<ConntrackSource>> ConntrackSource::open(const ConntrackOptions& options) {
  auto events = NetlinkSocket::open();
  if (!events) return events.error();
  if (auto sized = events->set_receive_buffer(options.receive_buffer); !sized) return sized.error();
  if (!options.force_userspace_filter) {
    if (auto attached = events->attach_filter(nat_event_filter(options.nat)); !attached)
      return attached.error();
  }
  if (options.reliable) {
    // Without ENOBUFS the socket goes on queueing after an overrun; drops are counted all the same.
    if (auto set = events->set_no_enobufs(); !set) return set.error();
    if (auto set = events->set_broadcast_error(true); !set) return set.error();
  }
  auto table = TableGauge::open();
  if (!table) return table.error();
  auto dump = NetlinkSocket::open();
  if (!dump) return dump.error();
  return make(options, *std::move(events), *std::move(dump), *std::move(table));
}

std::array<int, ConntrackSource::kDescriptors> ConntrackSource::descriptors() const {
  const auto files = table_.descriptors();
  return {events_.fd(), dump_.fd(), files[0], files[1], files[2]};
}

Result<std::unique_ptr<ConntrackSource>> ConntrackSource::adopt(
    const ConntrackOptions& options, std::span<UniqueFd, kDescriptors> descriptors) {
  auto events = NetlinkSocket::adopt(std::move(descriptors[0]));
  if (!events) return events.error();
  auto dump = NetlinkSocket::adopt(std::move(descriptors[1]));
  if (!dump) return dump.error();
  return make(options, *std::move(events), *std::move(dump),
              TableGauge({std::move(descriptors[2]), std::move(descriptors[3]), std::move(descriptors[4])}));
}

Result<std::unique_ptr<ConntrackSource>> ConntrackSource::make(const ConntrackOptions& options,
                                                               NetlinkSocket events, NetlinkSocket dump,
                                                               TableGauge table) {
  const auto granted = events.receive_buffer();
  if (!granted) return granted.error();
  auto region = MemoryRegion::anonymous(ReceiveRing::kRegionBytes);
  if (!region) return region.error();
  return std::unique_ptr<ConntrackSource>(new ConntrackSource(
      options, std::move(events), std::move(dump), *std::move(region), std::move(table), *granted));
}

ConntrackSource::ConntrackSource(const ConntrackOptions& options, NetlinkSocket events, NetlinkSocket dump,
                                 MemoryRegion region, TableGauge table, ByteCount granted)
    : options_(options),
      reader_(nat_status_mask(options.nat)),
      events_(std::move(events)),
      dump_(std::move(dump), nat_status_mask(options.nat),
            options.force_userspace_filter ? std::vector<StatusFilter>() : TableDump::passes_of(options.nat)),
      ring_(std::move(region)),
      table_(std::move(table)),
      granted_(granted) {}

std::vector<unsigned> ConntrackSource::groups() const {
  std::vector<unsigned> groups;
  if (options_.groups.new_) groups.push_back(NFNLGRP_CONNTRACK_NEW);
  if (options_.groups.update) groups.push_back(NFNLGRP_CONNTRACK_UPDATE);
  if (options_.groups.destroy) groups.push_back(NFNLGRP_CONNTRACK_DESTROY);
  return groups;
}

Result<void> ConntrackSource::subscribe() {
  for (const unsigned group : groups()) {
    if (auto joined = events_.join(group); !joined) return joined;
  }
  return {};
}

Result<void> ConntrackSource::unsubscribe() {
  for (const unsigned group : groups()) {
    if (auto left = events_.leave(group); !left) return left;
  }
  ReceiveRing::Round round;
  do {
    round = ring_.receive(events_.fd());
  } while (round.count > 0 || round.error_number == ENOBUFS);
  return {};
}

Result<EventSource::Received> ConntrackSource::receive(Handler& handler) {
  Received received;
  ReceiveRing::Round round = ring_.receive(events_.fd());
  if (round.error_number == ENOBUFS) {
    // Said once for each overrun, with what was queued before it still there: go on.
    ++counters_.overruns;
    received.overrun = true;
    round = ring_.receive(events_.fd());
  }
  if (round.error_number == ENOBUFS) {
    ++counters_.overruns;
    return received;
  }
  if (round.error_number == EAGAIN || round.error_number == EWOULDBLOCK) {
    received.drained = true;
    return received;
  }
  if (round.error_number != 0) return system_error("receive conntrack events", round.error_number);

  received.messages = round.count;
  received.drained = round.count < ReceiveRing::kSlots;
  gathered_.events.clear();
  for (std::size_t slot = 0; slot < round.count; ++slot) {
    if (!reader_.read(ring_.datagram(slot), gathered_, counters_)) ++received.unreadable;
  }
  handler.on_events(gathered_.events);
  for (std::size_t slot = 0; slot < round.count; ++slot) ring_.mark_handled(slot);
  return received;
}

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

SourceCounters ConntrackSource::counters() const {
  const DumpCounters& dumps = dump_.counters();
  return {.malformed = counters_.decode.malformed + dumps.decode.malformed,
          .truncated = counters_.truncated + dumps.truncated,
          .foreign = counters_.foreign + dumps.foreign,
          .unknown_attributes = counters_.decode.unknown_attributes + dumps.decode.unknown_attributes};
}

}  // namespace natsession
