// ConntrackSource's events against the kernel, in a network namespace of its own. Entries are made through
// ctnetlink, and the kernel makes the events before that returns.
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <poll.h>

#include "conntrack/decoder_fixture.h"
#include "conntrack/live_fixture.h"

namespace natsession::testing {
namespace {

TEST_CASE("source receives NEW, UPDATE and DESTROY of source-NAT flows only", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  network.set_sysctl("nf_conntrack_acct", "1");
  network.set_sysctl("nf_conntrack_timestamp", "1");
  const bool userspace = GENERATE(false, true);
  CAPTURE(userspace);
  ConntrackOptions options;
  options.force_userspace_filter = userspace;
  const auto source = open_source(options);
  ConntrackTable table;
  table.create(kPlain);
  table.create(kSnat);
  table.create(kDnat);
  table.set_mark(kSnat, 42);
  table.set_mark(kPlain, 43);
  table.destroy(kPlain);
  table.destroy(kSnat);
  table.destroy(kDnat);

  EventList list;
  const auto received = receive(*source, list);
  CHECK(received.drained);
  CHECK_FALSE(received.overrun);
  CHECK(received.messages == (userspace ? 8 : 3));
  CHECK(source->event_counters().not_selected == (userspace ? 5 : 0));
  REQUIRE(list.events.size() == 3);
  CHECK(list.events[0].type == EventType::kNew);
  CHECK(list.events[1].type == EventType::kUpdate);
  CHECK(list.events[1].mark == 42);
  CHECK(list.events[2].type == EventType::kDestroy);
  const Tuple original{*IpAddress::parse("10.0.0.2"), *IpAddress::parse("198.51.100.2"), 2000, 53};
  const Tuple reply{*IpAddress::parse("198.51.100.2"), *IpAddress::parse("203.0.113.1"), 53, 2000};
  for (const ConntrackEvent& event : list.events) {
    CHECK(event.original == original);
    CHECK(event.reply == reply);
    CHECK(event.protocol == IPPROTO_UDP);
    CHECK((event.status & kStatusSrcNat) != 0);
    CHECK(event.id == list.events[0].id);
  }
  CHECK(list.events[2].original_counters == Counters{});
  CHECK(list.events[2].start);
  CHECK(list.events[2].stop);
  CHECK(receive(*source, list).messages == 0);
}

TEST_CASE("source subscribes to the groups that are asked for", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  ConntrackOptions options;
  const auto source = open_source(options, {false, false, true});
  ConntrackTable table;
  table.create(kSnat);
  table.set_mark(kSnat, 42);
  table.destroy(kSnat);
  EventList list;
  CHECK(receive(*source, list).messages == 1);
  REQUIRE(list.events.size() == 1);
  CHECK(list.events[0].type == EventType::kDestroy);
}

TEST_CASE("source takes a round of at most the ring's slots", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  const auto source = open_source({});
  ConntrackTable table;
  for (std::uint16_t port = 0; port < ReceiveRing::kSlots + 10; ++port) table.create({port, true});
  EventList list;
  const auto first = receive(*source, list);
  CHECK(first.messages == ReceiveRing::kSlots);
  CHECK_FALSE(first.drained);
  const auto second = receive(*source, list);
  CHECK(second.messages == 10);
  CHECK(second.drained);
  CHECK(list.events.size() == ReceiveRing::kSlots + 10);
}

TEST_CASE("source counts an overrun and the exact number of events that were dropped", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  ConntrackOptions options;
  options.reliable = false;
  options.receive_buffer = ByteCount{16 * 1024};
  const auto source = open_source(options);
  CHECK(source->dropped() == 0);
  ConntrackTable table;
  constexpr std::size_t kFlows = 500;
  for (std::uint16_t port = 1; port <= kFlows; ++port) table.create({port, true});

  EventList list;
  bool overrun = false;
  for (bool drained = false; !drained;) {
    const auto received = receive(*source, list);
    overrun = overrun || received.overrun;
    drained = received.drained;
  }
  CHECK(overrun);
  CHECK(source->event_counters().overruns == 1);
  CHECK(list.events.size() < kFlows);
  CHECK(source->dropped() == kFlows - list.events.size());

  // It goes on as if nothing had been.
  table.create({60'000, true});
  EventList after;
  CHECK_FALSE(receive(*source, after).overrun);
  CHECK(after.events.size() == 1);
  CHECK(dump(*source).size() == kFlows + 1);
}

TEST_CASE("source in reliable mode gets every DESTROY, however small its buffer", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  ConntrackOptions options;
  options.reliable = true;
  options.receive_buffer = ByteCount{16 * 1024};
  const auto source = open_source(options, {false, false, true});
  ConntrackTable table;
  constexpr std::size_t kFlows = 500;
  for (std::uint16_t port = 1; port <= kFlows; ++port) table.create({port, true});
  CHECK(source->table_usage()->count == kFlows);
  table.flush();
  CHECK(source->dropped() > 0);  // delayed, not lost

  EventList list;
  while (list.events.size() < kFlows) {
    // The kernel tries again some milliseconds later.
    pollfd queue{source->event_fd(), POLLIN, 0};
    if (::poll(&queue, 1, 10'000) <= 0) break;
    CHECK_FALSE(receive(*source, list).overrun);
  }
  CHECK(list.events.size() == kFlows);
  const auto all = ports(list.events);
  CHECK(std::set<std::uint16_t>(all.begin(), all.end()).size() == kFlows);  // none twice
}

TEST_CASE("source's filter keeps other flows from overrunning the buffer", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  ConntrackOptions options;
  options.receive_buffer = ByteCount{16 * 1024};
  const auto source = open_source(options);
  ConntrackTable table;
  for (std::uint16_t port = 1; port <= 500; ++port) table.create({port});
  table.create({60'000, true});
  EventList list;
  CHECK_FALSE(receive(*source, list).overrun);
  CHECK(list.events.size() == 1);
  CHECK(source->dropped() == 0);
}

// Another process that sends messages to sockets of the source, as root can.
class Forger {
 public:
  Forger() : socket_(NetlinkSocket::open()) { REQUIRE(socket_); }
  void send_to(int fd) {
    sockaddr_nl target{};
    socklen_t length = sizeof(target);
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&target), &length) == 0);
    const auto forged = full_destroy().build();
    REQUIRE(::sendto(socket_->fd(), forged.data(), forged.size(), 0, reinterpret_cast<sockaddr*>(&target),
                     sizeof(target)) > 0);
  }

 private:
  Result<NetlinkSocket> socket_;
};

TEST_CASE("source ignores and counts messages that do not come from the kernel", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  const auto source = open_source({});
  ConntrackTable table;
  Forger forger;
  EventList list;
  SECTION("among events, in whatever slot of the ring they land") {
    forger.send_to(source->event_fd());
    table.create(kSnat);
    CHECK(receive(*source, list).messages == 2);
    REQUIRE(list.events.size() == 1);
    CHECK(list.events[0].original.src_port == 2000);
    CHECK(source->event_counters().foreign == 1);

    table.destroy(kSnat);  // into the slot that the forged one had
    CHECK(receive(*source, list).messages == 1);
    CHECK(list.events.size() == 2);
    forger.send_to(source->event_fd());  // and the other way round
    CHECK(receive(*source, list).messages == 1);
    CHECK(list.events.size() == 2);
    CHECK(source->event_counters().foreign == 2);
  }
  SECTION("in the middle of a dump") {
    table.create(kSnat);
    forger.send_to(source->dump_fd());
    CHECK(ports(dump(*source)) == std::multiset<std::uint16_t>{2000});
    CHECK(source->dump_counters().foreign == 1);
  }
}

TEST_CASE("source reports the receive buffer in the unit that it was asked in", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  ConntrackOptions options;
  options.receive_buffer = ByteCount{std::uint64_t{256} << 20};  // beyond any net.core.rmem_max
  CHECK(open_source(options)->granted_receive_buffer() == options.receive_buffer);
  options.receive_buffer = ByteCount{std::uint64_t{1} << 40};
  CHECK(open_source(options)->granted_receive_buffer() == kMaxReceiveBuffer);
}

TEST_CASE("groups change while the source runs, and no event of one that stays is missed",
          "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  const auto source = open_source({}, {false, false, true});
  CHECK(source->groups() == EventGroups{false, false, true});
  ConntrackTable table;
  table.create(kSnat);
  REQUIRE(source->set_groups({.groups = {true, false, true}}));
  table.create(kBothNats);
  table.destroy(kSnat);
  REQUIRE(source->set_groups({.groups = {false, false, true}}));
  CHECK(source->groups() == EventGroups{false, false, true});
  table.create({2001, true});
  table.destroy(kBothNats);
  table.destroy({2001, true});
  EventList list;
  receive(*source, list);
  std::vector<std::pair<EventType, std::uint16_t>> told;
  for (const ConntrackEvent& event : list.events) told.emplace_back(event.type, event.original.src_port);
  using enum EventType;
  CHECK(told == std::vector<std::pair<EventType, std::uint16_t>>{
                    {kNew, 4000}, {kDestroy, 2000}, {kDestroy, 4000}, {kDestroy, 2001}});
}

TEST_CASE("a source of another process's socket knows which groups that has joined", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  const auto source = open_source({}, {true, false, true});
  std::array<UniqueFd, ConntrackSource::kDescriptors> descriptors;
  const auto numbers = source->descriptors();
  for (std::size_t i = 0; i < numbers.size(); ++i) descriptors[i].reset(::dup(numbers[i]));
  const auto adopted = ConntrackSource::adopt({}, descriptors);
  REQUIRE(adopted);
  CHECK((*adopted)->groups() == EventGroups{true, false, true});
}

TEST_CASE("source names the missing permission", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  CHECK(as_nobody([] {
          ConntrackOptions options;
          options.receive_buffer = kMaxReceiveBuffer;
          auto source = ConntrackSource::open(options);
          if (!source) return 1;
          if ((*source)->granted_receive_buffer() >= kMaxReceiveBuffer) return 2;
          const auto subscribed = (*source)->set_groups({});
          if (subscribed || subscribed.error().kind != ErrorKind::kPermission) return 3;
          EventList list;
          if (!(*source)->start_dump()) return 4;
          const auto state = (*source)->continue_dump(list);
          if (state || state.error().kind != ErrorKind::kPermission) return 5;
          return 0;
        }) == 0);
}

// Dumps against the kernel, in a network namespace of its own.

TEST_CASE("source's dump shows the NAT that is asked for, filtered in the kernel or not",
          "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  ConntrackTable table;
  create_one_of_each(table);
  struct Row {
    NatSelection selection;
    std::multiset<std::uint16_t> ports;
  };
  for (const Row& row : {Row{NatSelection::kSnat, {2000, 4000}}, Row{NatSelection::kDnat, {3000, 4000}},
                         Row{NatSelection::kAny, {2000, 3000, 4000}}}) {
    CAPTURE(static_cast<int>(row.selection));
    ConntrackOptions options;
    options.nat = row.selection;
    const auto in_kernel = open_source(options);
    options.force_userspace_filter = true;
    const auto in_userspace = open_source(options);
    const auto entries = dump(*in_kernel);
    CHECK(ports(entries) == row.ports);
    CHECK(ports(dump(*in_userspace)) == row.ports);
    for (const ConntrackEvent& entry : entries) CHECK(entry.type == EventType::kUpdate);
    CHECK(in_kernel->dump_filters_in_kernel());
    CHECK(in_kernel->dump_counters().not_selected == 0);
    CHECK(in_userspace->dump_counters().not_selected == 4 - row.ports.size());
  }
}

TEST_CASE("source's dump comes in parts, one datagram a call, and can be repeated", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  ConntrackTable table;
  constexpr std::size_t kFlows = 1000;
  for (std::uint16_t port = 1; port <= kFlows; ++port) table.create({port, true});
  const auto source = open_source({});
  EventList list;
  REQUIRE(source->start_dump());
  CHECK_FALSE(source->start_dump());  // one at a time
  REQUIRE(*source->continue_dump(list) == EventSource::DumpState::kMore);
  CHECK_FALSE(list.events.empty());
  CHECK(list.events.size() < 200);
  while (*source->continue_dump(list) == EventSource::DumpState::kMore) {
  }
  CHECK(list.events.size() == kFlows);
  CHECK(dump(*source).size() == kFlows);
  CHECK_FALSE(source->continue_dump(list));  // none is under way
}

TEST_CASE("a dump goes on without the filter when the kernel refuses it, and stays so", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  ConntrackTable table;
  create_one_of_each(table);
  auto socket = NetlinkSocket::open();
  REQUIRE(socket);
  // A mask of 0 is EINVAL to the kernel.
  TableDump dump(*std::move(socket), kStatusSrcNat, {{kStatusSrcNat, 0}});
  for (int time = 0; time < 2; ++time) {
    EventList list;
    REQUIRE(dump.start());
    CHECK(dump.filters_in_kernel() == (time == 0));
    auto state = dump.step(list);
    while (state && *state == EventSource::DumpState::kMore) state = dump.step(list);
    REQUIRE(state);
    CHECK(*state == EventSource::DumpState::kDone);
    CHECK(ports(list.events) == std::multiset<std::uint16_t>{2000, 4000});
    CHECK_FALSE(dump.filters_in_kernel());
  }
  CHECK(dump.counters().not_selected == 4);
}

TEST_CASE("a dump that failed in the middle is emptied before the next begins", "[conntrack][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  ConntrackTable table;
  for (std::uint16_t port = 1; port <= 1000; ++port) table.create({port, true});
  auto socket = NetlinkSocket::open();
  REQUIRE(socket);
  // Events in the same queue overrun it, which is how reading a dump can be made to fail.
  REQUIRE(socket->set_receive_buffer(ByteCount{16 * 1024}));
  REQUIRE(socket->join(NFNLGRP_CONNTRACK_NEW));
  TableDump dump(*std::move(socket), kStatusSrcNat, TableDump::passes_of(NatSelection::kSnat));
  EventList list;
  REQUIRE(dump.start());
  REQUIRE(dump.step(list));
  for (std::uint16_t port = 2001; port <= 2200; ++port) table.create({port, true});
  const auto failed = dump.step(list);
  REQUIRE_FALSE(failed);
  CHECK_THAT(failed.error().message, Catch::Contains("No buffer space"));
  CHECK_FALSE(dump.step(list));  // it is over

  EventList again;
  REQUIRE(dump.start());
  auto state = dump.step(again);
  while (state && *state == EventSource::DumpState::kMore) state = dump.step(again);
  REQUIRE(state);
  CHECK(*state == EventSource::DumpState::kDone);
  CHECK(again.events.size() == 1200);
}

}  // namespace
}  // namespace natsession::testing
