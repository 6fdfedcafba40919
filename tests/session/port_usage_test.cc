#include "session/port_usage.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "support/tracker_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language

TEST_CASE("a port that several sessions use counts once, and each session counts", "[session][port_usage]") {
  PortUsage usage;
  usage.add(ip("203.0.113.1"), 6, 40000);
  usage.add(ip("203.0.113.1"), 6, 40000);
  usage.add(ip("203.0.113.1"), 6, 40001);
  const auto uses = usage.entries();
  REQUIRE(uses.size() == 1);
  CHECK(uses[0].ports == 2);
  CHECK(uses[0].sessions == 3);
}

TEST_CASE("ports are counted for each address and protocol", "[session][port_usage]") {
  PortUsage usage;
  usage.add(ip("203.0.113.2"), 17, 1);
  usage.add(ip("203.0.113.1"), 17, 1);
  usage.add(ip("203.0.113.1"), 6, 1);
  usage.add(ip("2001:db8::1"), 6, 65535);
  const auto uses = usage.entries();
  REQUIRE(uses.size() == 4);
  CHECK(std::all_of(uses.begin(), uses.end(), [](const PortUsage::Entry& use) { return use.ports == 1; }));
}

TEST_CASE("addresses beyond the limit are left out, and counted", "[session][port_usage]") {
  PortUsage usage;
  for (std::uint32_t i = 0; i < PortUsage::kMaxPairs + 3; ++i) usage.add(IpAddress::from_v4(i), 6, 1);
  CHECK(usage.entries().size() == PortUsage::kMaxPairs);
  CHECK(usage.left_out() == 3);
}

TEST_CASE("the port usage of a table is counted over source NAT of both families, in steps",
          "[session][port_usage]") {
  TrackerFixture f;
  for (std::uint16_t i = 0; i < 10; ++i) {
    f.tracker.on_event(flow().id(i).nat("203.0.113.1", static_cast<std::uint16_t>(50000 + i)).created());
  }
  f.tracker.on_event(
      flow().id(10).from("fd00::2", 1).to("2001:db8::7", 443).nat("2001:db8::1", 50000).created());
  f.tracker.on_event(flow().id(11).status(kStatusDstNat).nat("203.0.113.1", 60000).created());
  PortUsage usage;
  Tracker::TableCursor cursor;
  int steps = 1;
  while (!f.tracker.count_ports(usage, cursor, 3)) ++steps;
  CHECK(steps >= 4);
  REQUIRE(usage.entries().size() == 2);
  const auto v4 = usage.entries()[0].nat_ip.is_v4() ? usage.entries()[0] : usage.entries()[1];
  CHECK(v4.ports == 10);
  CHECK(v4.sessions == 10);
}

}  // namespace
}  // namespace natsession
