#include "routes/route_table.h"

#include <net/if.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "routes/ip_command.h"
#include "support/manual_clock.h"

namespace natsession::testing {
namespace {

const UnixNs kStart{std::chrono::seconds(1'790'000'000)};

// Three interfaces: a0 to 10.1.0.0/16 and fd01::/64, b0 to 10.2.0.0/16 and the world, c0.
struct Network {
  PrivateNetwork network;
  ManualClock clock{kStart};
  std::uint32_t a0 = 0, b0 = 0, c0 = 0;

  Network() {
    if (!entered()) return;
    sysctl_net("ipv4/ip_forward", "1");
    ip("link set lo up");
    for (const std::string name : {"a0", "b0", "c0"}) {
      ip("link add " + name + " type veth peer name " + name + "p");
      ip("link set " + name + " up");
      ip("link set " + name + "p up");
    }
    ip("addr add 10.1.0.1/16 dev a0");
    ip("addr add fd01::1/64 dev a0 nodad");
    ip("addr add 10.2.0.1/16 dev b0");
    ip("addr add 10.3.0.1/16 dev c0");
    ip("route add default via 10.2.0.254");
    a0 = ::if_nametoindex("a0");
    b0 = ::if_nametoindex("b0");
    c0 = ::if_nametoindex("c0");
  }
  [[nodiscard]] bool entered() const { return network.entered(); }
  RouteTable open(std::size_t entries = 64) {
    auto table = RouteTable::open(clock, entries);
    if (!table) FAIL(table.error().message);
    return *std::move(table);
  }
};

Route by(std::uint32_t interface) {
  return {Route::Kind::kInterface, interface};
}
constexpr Route kHere{Route::Kind::kLocal, 0};
constexpr Route kNowhere{};

}  // namespace

TEST_CASE("a route tells the interface to an address, here, or nothing", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  RouteTable table = network.open();
  CHECK(table.interface_of(address("10.1.7.7")) == by(network.a0));
  CHECK(table.interface_of(address("198.51.100.1")) == by(network.b0));
  CHECK(table.interface_of(address("fd01::99")) == by(network.a0));
  CHECK(table.interface_of(address("10.1.0.1")) == kHere);
  CHECK(table.interface_of(address("127.0.0.1")) == kHere);
  CHECK(table.interface_of(address("fd01::1")) == kHere);
  CHECK(table.interface_of(address("2001:db8::1")) == kNowhere);
  ip("route add blackhole 192.0.2.0/24");
  ip("route add unreachable 2001:db8:1::/48");
  table.on_readable();
  CHECK(table.interface_of(address("192.0.2.1")) == kNowhere);
  CHECK(table.interface_of(address("2001:db8:1::1")) == kNowhere);
}

TEST_CASE("a route is asked for once, until an event says that routes changed", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  RouteTable table = network.open();
  const IpAddress there = address("198.51.100.1");
  for (int i = 0; i < 3; ++i) CHECK(table.interface_of(there) == by(network.b0));
  CHECK(table.asked() == 1);
  table.on_readable();
  CHECK(table.emptied() == 0);

  ip("route add 198.51.100.0/24 dev c0");
  table.on_readable();
  CHECK(table.interface_of(there) == by(network.c0));
  ip("link set c0 down");  // IPv4 tells of no route that goes with it
  table.on_readable();
  CHECK(table.interface_of(there) == by(network.b0));
  ip("addr add 198.51.100.1/32 dev a0");
  table.on_readable();
  CHECK(table.interface_of(there) == kHere);
  ip("addr del 198.51.100.1/32 dev a0");
  ip("rule add to 198.51.100.1 table 77");
  ip("route add default dev a0 table 77");
  table.on_readable();
  CHECK(table.interface_of(there) == by(network.a0));
}

TEST_CASE("lost routing events empty the cache", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  RouteTable table = network.open();
  REQUIRE(table.interface_of(address("198.51.100.1")) == by(network.b0));
  const int small = 1;
  REQUIRE(::setsockopt(table.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
  for (int i = 0; i < 16; ++i) ip("route add 203.0.113." + std::to_string(i) + " dev a0");
  ip("route add 198.51.100.0/24 dev c0");
  table.on_readable();
  CHECK(table.interface_of(address("198.51.100.1")) == by(network.c0));
}

TEST_CASE("the mark chooses the route where a rule says so", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  ip("rule add fwmark 5 table 55");
  ip("route add default dev c0 table 55");
  RouteTable table = network.open();
  CHECK(table.interface_of(address("198.51.100.1"), 0) == by(network.b0));
  CHECK(table.interface_of(address("198.51.100.1"), 5) == by(network.c0));
  CHECK(table.interface_of(address("198.51.100.1"), 0) == by(network.b0));
  CHECK(table.asked() == 2);
}

TEST_CASE("the source counts only where a policy rule looks at it", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  RouteTable table = network.open();
  const IpAddress there = address("198.51.100.1");
  const IpAddress first = address("10.1.0.50");
  const IpAddress second = address("10.3.0.50");
  CHECK_FALSE(table.by_source());
  CHECK(table.interface_of(there, 0, &first) == by(network.b0));
  CHECK(table.interface_of(there, 0, &second) == by(network.b0));
  CHECK(table.asked() == 1);

  ip("rule add from 10.3.0.0/16 table 66");
  ip("route add default dev a0 table 66");
  table.on_readable();
  CHECK(table.by_source());
  CHECK(table.interface_of(there, 0, &first) == by(network.b0));
  CHECK(table.interface_of(there, 0, &second) == by(network.a0));
  CHECK(table.interface_of(there) == by(network.b0));
  const IpAddress own = address("10.3.0.1");
  CHECK(table.interface_of(there, 0, &own) == by(network.a0));
  const std::uint64_t asked = table.asked();
  CHECK(table.interface_of(there, 0, &second) == by(network.a0));
  CHECK(table.asked() == asked);

  ip("rule del from 10.3.0.0/16 table 66");
  table.on_readable();
  CHECK(table.interface_of(there, 0, &second) == by(network.b0));
  CHECK_FALSE(table.by_more());
  ip("rule add ipproto tcp dport 80 table 66");
  table.on_readable();
  CHECK(table.by_more());
}

TEST_CASE("what has no route is asked for again after a short while", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  RouteTable table = network.open();
  const IpAddress nowhere = address("2001:db8::1");
  for (int i = 0; i < 3; ++i) CHECK(table.interface_of(nowhere) == kNowhere);
  CHECK(table.asked() == 1);
  CHECK(table.unknown() == 1);
  network.clock.advance(RouteTable::kUnknownFor);
  CHECK(table.interface_of(nowhere) == kNowhere);
  CHECK(table.asked() == 2);
}

TEST_CASE("more addresses than the cache has room for are all answered", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  RouteTable table = network.open(16);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 500; ++i) {
      const std::string last = std::to_string(i / 250 + 5) + "." + std::to_string(i % 250);
      CHECK(table.interface_of(address("10.1." + last)) == by(network.a0));
      CHECK(table.interface_of(address("10.3." + last)) == by(network.c0));
    }
  }
}

}  // namespace natsession::testing
