#include "conntrack/conntrack_source.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "conntrack/decoder.h"

namespace natsession {
namespace {

struct Group {
  unsigned number;  // enum nfnetlink_groups
  bool EventGroups::*member;
};
constexpr std::array kGroups{Group{NFNLGRP_CONNTRACK_NEW, &EventGroups::new_},
                             Group{NFNLGRP_CONNTRACK_UPDATE, &EventGroups::update},
                             Group{NFNLGRP_CONNTRACK_DESTROY, &EventGroups::destroy}};

// Whether what a predecessor left is for one that is set up as `taker`. With DESTROY in both, NEW and UPDATE
// make no difference to what is on its way, as sessions are logged when they end.
bool may_take_up(RegionOwner left, RegionOwner taker) {
  constexpr std::uint32_t kEnds = 4;
  constexpr std::uint32_t kOthers = 3 | RegionOwner::kTrustsStamps;
  if ((left.events & taker.events & kEnds) != 0) {
    left.events &= ~kOthers;
    taker.events &= ~kOthers;
  }
  return left == taker;
}

}  // namespace

Result<std::unique_ptr<ConntrackSource>> ConntrackSource::open(const ConntrackOptions& options,
                                                               Inherited inherited) {
  const bool inherits = static_cast<bool>(inherited.events) && inherited.region != nullptr;
  auto events = inherits ? NetlinkSocket::adopt(std::move(inherited.events)) : NetlinkSocket::open();
  if (!events) return events.error();
  if (auto sized = events->set_receive_buffer(options.receive_buffer); !sized) return sized.error();
  if (!options.force_userspace_filter) {
    if (auto attached = events->attach_filter(nat_event_filter(options.nat)); !attached)
      return attached.error();
  }
  if (options.reliable) {
    // Without ENOBUFS the socket goes on queueing after an overrun; drops are counted all the same.
    if (auto set = events->set_no_enobufs(); !set) return set.error();
    // The guard may have turned it off on an inherited one: the collector learns of it by the pulse.
    if (auto set = inherits ? Result<void>() : events->set_broadcast_error(true); !set) return set.error();
  }
  auto table = TableGauge::open();
  if (!table) return table.error();
  auto dump = NetlinkSocket::open();
  if (!dump) return dump.error();
  auto region = inherits ? Result(std::move(inherited.region))
                         : EventRegion::make(options.journal ? EventRegion::kJournalBytes : 0);
  if (!region) return region.error();
  auto source = make(options, *std::move(events), *std::move(dump), *std::move(table), *std::move(region));
  if (source) (*source)->inherited_ = inherits;
  return source;
}

std::array<int, ConntrackSource::kDescriptors> ConntrackSource::descriptors() const {
  std::array<int, kDescriptors> numbers{events_.fd(), dump_.fd(), region_->fd()};
  const auto files = table_.descriptors();
  std::copy(files.begin(), files.end(), numbers.end() - files.size());
  return numbers;
}

Result<std::unique_ptr<ConntrackSource>> ConntrackSource::adopt(
    const ConntrackOptions& options, std::span<UniqueFd, kDescriptors> descriptors) {
  auto events = NetlinkSocket::adopt(std::move(descriptors[0]));
  if (!events) return events.error();
  auto dump = NetlinkSocket::adopt(std::move(descriptors[1]));
  if (!dump) return dump.error();
  auto region = EventRegion::adopt(std::move(descriptors[2]));
  if (!region) return region.error();
  TableGauge::Descriptors files;
  std::move(descriptors.end() - files.size(), descriptors.end(), files.begin());
  return make(options, *std::move(events), *std::move(dump), TableGauge(std::move(files)),
              *std::move(region));
}

Result<std::unique_ptr<ConntrackSource>> ConntrackSource::make(const ConntrackOptions& options,
                                                               NetlinkSocket events, NetlinkSocket dump,
                                                               TableGauge table,
                                                               std::shared_ptr<EventRegion> region) {
  const auto granted = events.receive_buffer();
  if (!granted) return granted.error();
  EventGroups joined;
  for (const Group& group : kGroups) {
    const auto member = events.is_member(group.number);
    if (!member) return member.error();
    joined.*group.member = *member;
  }
  return std::unique_ptr<ConntrackSource>(new ConntrackSource(
      options, std::move(events), std::move(dump), std::move(region), std::move(table), *granted, joined));
}

ConntrackSource::ConntrackSource(const ConntrackOptions& options, NetlinkSocket events, NetlinkSocket dump,
                                 std::shared_ptr<EventRegion> region, TableGauge table, ByteCount granted,
                                 const EventGroups& groups)
    : options_(options),
      groups_(groups),
      reader_(nat_status_mask(options.nat)),
      events_(std::move(events)),
      dump_(std::move(dump), nat_status_mask(options.nat),
            options.force_userspace_filter ? std::vector<StatusFilter>() : TableDump::passes_of(options.nat)),
      region_(std::move(region)),
      ring_(region_->slots(), region_->rounds()),
      table_(std::move(table)),
      granted_(granted) {}

std::uint32_t ConntrackSource::owner_events(const EventGroups& groups) const {
  return bits_of(groups) | static_cast<std::uint32_t>(options_.nat) << 8U |
         (options_.force_userspace_filter ? 1U << 16U : 0);
}

std::optional<Settled> ConntrackSource::take_up(RegionOwner owner, std::uint64_t written,
                                                const EventGroups& wanted) {
  owner.events = owner_events(wanted);
  std::optional<Settled> settled = inherited_ ? region_->settled() : std::nullopt;
  const std::uint64_t round = region_->rounds().load(std::memory_order_acquire);
  if (!may_take_up(region_->owner(), owner) || (settled && !region_->journal().take_up(written, round)))
    settled.reset();
  owner.events = owner_events(groups_) | (region_->owner().events & RegionOwner::kTrustsStamps);
  region_->set_owner(owner);
  // What is taken up stays so until more is settled: also where this start is refused, or killed at once.
  if (!settled) {
    region_->set_settled(std::nullopt);
    region_->journal().clear();
    for (std::size_t slot = 0; slot < ReceiveRing::kSlots; ++slot) ring_.mark_handled(slot);
  }
  left_behind_ = settled.has_value();
  return settled;
}

bool ConntrackSource::has_room() const {
  // What a predecessor left is in it already, however full it is.
  return left_behind_ || region_->journal().has_room(ReceiveRing::kSlots, ReceiveRing::kPayloadBytes);
}

// What a predecessor had handled, a part at a time, then what it had only received. How many messages.
std::size_t ConntrackSource::gather_left_behind(std::size_t& unreadable) {
  std::size_t count = 0;
  EventReader::Messages ignored;  // they are in the journal
  for (; count < ReceiveRing::kSlots; ++count) {
    const std::span<const std::byte> message = region_->journal().next();
    if (message.empty()) break;
    reader_.read({message, 0, false}, gathered_, counters_, ignored);
  }
  if (count > 0) return count;
  for (std::size_t slot = 0; slot < ReceiveRing::kSlots; ++slot) {
    const auto datagram = ring_.left_behind(slot);
    if (!datagram) continue;
    ++count;
    if (!region_->journal().has(static_cast<std::uint32_t>(slot))) {
      ends_.clear();
      if (!reader_.read(*datagram, gathered_, counters_, ends_)) ++unreadable;
      keep_ends(slot);
    }
    ring_.mark_handled(slot);
  }
  left_behind_ = false;
  return count;
}

void ConntrackSource::keep_ends(std::size_t slot) {
  const std::uint64_t round = region_->rounds().load(std::memory_order_relaxed);
  for (const std::span<const std::byte> message : ends_)
    region_->journal().add(message, round, static_cast<std::uint32_t>(slot));
}

Result<void> ConntrackSource::set_groups(const EventChoice& choice) {
  auto set = join_only(choice.groups);
  RegionOwner owner = region_->owner();
  owner.events =
      owner_events(groups_) | (choice.why == EventsWhy::kEndsTellAll ? RegionOwner::kTrustsStamps : 0);
  region_->set_owner(owner);
  return set;
}

Result<void> ConntrackSource::join_only(const EventGroups& groups) {
  for (const bool joins : {true, false}) {
    for (const Group& group : kGroups) {
      if (groups.*group.member != joins || groups_.*group.member == joins) continue;
      auto done = joins ? events_.join(group.number) : events_.leave(group.number);
      if (!done) return done;
      groups_.*group.member = joins;
    }
  }
  return {};
}

Result<void> ConntrackSource::unsubscribe() {
  if (auto left = join_only({false, false, false}); !left) return left;
  ReceiveRing::Round round;
  do {
    round = ring_.receive(events_.fd());
  } while (round.count > 0 || round.error_number == ENOBUFS);
  return {};
}

Result<EventSource::Received> ConntrackSource::receive(Handler& handler) {
  Received received;
  if (left_behind_) {
    gathered_.events.clear();
    received.messages = gather_left_behind(received.unreadable);
    handler.on_events(gathered_.events);
    return received;
  }
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
    ends_.clear();
    if (!reader_.read(ring_.datagram(slot), gathered_, counters_, ends_)) ++received.unreadable;
    if (options_.journal) keep_ends(slot);
    // What is not in the journal is gathered, and told again by what follows should this process end here.
    ring_.mark_handled(slot);
  }
  handler.on_events(gathered_.events);
  return received;
}

bool EventReader::read(const ReceiveRing::Datagram& datagram, EventSource::Handler& handler,
                       EventCounters& counters, Messages& ends) const {
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
    const DecodeResult result = decode_new(rest, event, counters.decode);
    if (result == DecodeResult::kMalformed) return false;  // where a next one would begin is not known
    if (result == DecodeResult::kEvent) {
      if (is_selected(event.status, status_mask_)) {
        handler.on_event(event);
        if (event.type == EventType::kDestroy) ends.push_back(rest);
      } else {
        ++counters.not_selected;
      }
    }
    nlmsghdr header{};
    std::memcpy(&header, rest.data(), sizeof(header));
    if (!ends.empty() && ends.back().data() == rest.data())
      ends.back() = rest.first(std::min<std::size_t>(header.nlmsg_len, rest.size()));
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
