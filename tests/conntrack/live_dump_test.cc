// Dumps against the kernel, in a network namespace of its own.
#include <linux/netfilter/nfnetlink.h>

#include <catch2/catch.hpp>

#include "conntrack/live_fixture.h"

namespace natsession::testing {

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

}  // namespace natsession::testing
