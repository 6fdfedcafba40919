#include "session/port_census.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "support/tracker_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language

TEST_CASE("a port that several sessions use counts once, and each session counts", "[session][census]") {
  PortCensus census;
  census.add(ip("203.0.113.1"), 6, 40000);
  census.add(ip("203.0.113.1"), 6, 40000);
  census.add(ip("203.0.113.1"), 6, 40001);
  const auto uses = census.uses();
  REQUIRE(uses.size() == 1);
  CHECK(uses[0].ports == 2);
  CHECK(uses[0].sessions == 3);
}

TEST_CASE("ports are counted for each address and protocol", "[session][census]") {
  PortCensus census;
  census.add(ip("203.0.113.2"), 17, 1);
  census.add(ip("203.0.113.1"), 17, 1);
  census.add(ip("203.0.113.1"), 6, 1);
  census.add(ip("2001:db8::1"), 6, 65535);
  const auto uses = census.uses();
  REQUIRE(uses.size() == 4);
  CHECK(std::all_of(uses.begin(), uses.end(), [](const PortCensus::Use& use) { return use.ports == 1; }));
}

TEST_CASE("addresses beyond the limit are left out, and counted", "[session][census]") {
  PortCensus census;
  for (std::uint32_t i = 0; i < PortCensus::kMaxPairs + 3; ++i) census.add(IpAddress::from_v4(i), 6, 1);
  CHECK(census.uses().size() == PortCensus::kMaxPairs);
  CHECK(census.left_out() == 3);
}

TEST_CASE("the census of a table counts source NAT in both families, in steps", "[session][census]") {
  TrackerFixture f;
  for (std::uint16_t i = 0; i < 10; ++i) {
    f.tracker.on_event(flow().id(i).nat("203.0.113.1", static_cast<std::uint16_t>(50000 + i)).created());
  }
  f.tracker.on_event(
      flow().id(10).from("fd00::2", 1).to("2001:db8::7", 443).nat("2001:db8::1", 50000).created());
  f.tracker.on_event(flow().id(11).status(kStatusDstNat).nat("203.0.113.1", 60000).created());
  PortCensus census;
  Tracker::TableCursor cursor;
  int steps = 1;
  while (!f.tracker.count_ports(census, cursor, 3)) ++steps;
  CHECK(steps >= 4);
  REQUIRE(census.uses().size() == 2);
  const auto v4 = census.uses()[0].nat_ip.is_v4() ? census.uses()[0] : census.uses()[1];
  CHECK(v4.ports == 10);
  CHECK(v4.sessions == 10);
}

}  // namespace
}  // namespace natsession
