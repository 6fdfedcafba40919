#include "routes/route_table.h"

#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <optional>

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
  // Each address for itself, unless it is said.
  RouteTable open(std::size_t entries = 64, std::size_t max_prefixes = 0) {
    auto table = RouteTable::open(clock, entries, max_prefixes);
    if (!table) FAIL(table.error().message);
    return *std::move(table);
  }
};

Route by(std::uint32_t interface) {
  return {Route::Kind::kInterface, interface};
}
constexpr Route kHere{Route::Kind::kLocal, 0};
constexpr Route kNowhere{};

// Asks for as many addresses that are not remembered as it takes to list the routes.
void let_list_once(RouteTable& table) {
  static std::uint32_t next = 0;
  for (int i = 0; i < 20; ++i) (void)table.interface_of(IpAddress::from_v4(0xc0U | ++next << 8U));
}

// Until they are listed: the kernel's own routes of a new interface may come meanwhile, and then it is tried
// again later.
void let_list(Network& network, RouteTable& table) {
  for (int i = 0; i < 5 && !table.by_region(); ++i) {
    if (i > 0) network.clock.advance(std::chrono::seconds(2));
    let_list_once(table);
  }
}

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
  RouteTable table = network.open(4);  // in one place of the cache
  CHECK(table.interface_of(address("198.51.100.1"), 0) == by(network.b0));
  CHECK(table.interface_of(address("198.51.100.1"), 5) == by(network.c0));
  CHECK(table.interface_of(address("198.51.100.1"), 0) == by(network.b0));
  CHECK(table.asked() == 2);
}

TEST_CASE("the source counts only where a policy rule looks at it", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  RouteTable table = network.open(4);  // in one place of the cache
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
  ip("rule add ipproto 6 dport 80 table 66");
  table.on_readable();
  CHECK(table.by_more());
}

TEST_CASE("a table of routes that another process opened is taken over", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  std::optional<RouteTable> first = network.open();
  std::array<UniqueFd, RouteTable::kDescriptors> kept;
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i].reset(::dup(first->descriptors()[i]));
  first.reset();
  RouteTable second = RouteTable::adopt(kept, network.clock, 64, 100);
  CHECK(second.interface_of(address("198.51.100.1")) == by(network.b0));
  let_list(network, second);
  CHECK(second.by_region());
  ip("route add 198.51.100.0/24 dev c0");
  second.on_readable();
  CHECK(second.interface_of(address("198.51.100.1")) == by(network.c0));
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

TEST_CASE("few routes are listed once, and answer for all their addresses", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  RouteTable table = network.open(64, 100);
  let_list(network, table);
  REQUIRE(table.by_region());
  CHECK(table.interface_of(address("10.1.7.7")) == by(network.a0));
  CHECK(table.interface_of(address("198.51.100.1")) == by(network.b0));
  const std::uint64_t asked = table.asked();
  CHECK(table.interface_of(address("10.1.9.9")) == by(network.a0));
  CHECK(table.interface_of(address("203.0.113.9")) == by(network.b0));
  CHECK(table.asked() == asked);
  CHECK(table.interface_of(address("10.1.0.1")) == kHere);
  CHECK(table.interface_of(address("10.1.0.2")) == by(network.a0));

  ip("route add 203.0.113.0/24 dev c0");
  table.on_readable();
  CHECK_FALSE(table.by_region());
  CHECK(table.interface_of(address("203.0.113.9")) == by(network.c0));
  let_list_once(table);
  CHECK_FALSE(table.by_region());  // not all the time
  network.clock.advance(std::chrono::seconds(2));
  let_list(network, table);
  CHECK(table.by_region());
  CHECK(table.interface_of(address("203.0.113.10")) == by(network.c0));
  CHECK(table.interface_of(address("203.0.114.1")) == by(network.b0));
}

TEST_CASE("answers of regions are those of single addresses, whatever routes and rules come and go",
          "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  std::uint32_t state = 11;
  const auto chance = [&](std::uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (state >> 16U) % below;
  };
  // Close to each other: prefixes of chance would rarely meet.
  const auto some_v4 = [&] {
    return address("198." + std::to_string(50 + chance(2)) + "." + std::to_string(chance(4) * 64) + "." +
                   std::to_string(chance(256)));
  };
  const auto some_v6 = [&] {
    return address("2001:db8:" + std::to_string(chance(3)) + ":" + std::to_string(chance(2)) +
                   "00::" + std::to_string(chance(16)));
  };
  ip("rule add to 198.50.64.0/18 table 88");
  ip("rule add from 198.51.0.0/17 table 88");
  ip("rule add fwmark 3 to 198.51.128.0/18 table 88");
  ip("-6 rule add from 2001:db8:1::/48 table 88");
  ip("-6 rule add to 2001:db8:2::/47 table 88");
  RouteTable table = network.open(1024, 1000);
  for (int round = 0; round < 6; ++round) {
    CAPTURE(round);
    for (int i = 0; i < 20; ++i) {
      const std::string prefix =
          (i % 2 == 0 ? Prefix::of(some_v4(), 14 + chance(19)) : Prefix::of(some_v6(), 30 + chance(99)))
              .to_string();
      const std::string way =
          chance(6) == 0 ? "blackhole " + prefix : prefix + " dev " + (chance(2) == 0 ? "a0" : "c0");
      ip("route replace " + way + (chance(3) == 0 ? " table 88" : ""));
    }
    if (round % 2 == 1) ip("route flush table 88");
    if (round == 3) {
      ip("link set c0 down");
      ip("link set c0 up");
    }
    table.on_readable();
    network.clock.advance(std::chrono::seconds(2));
    let_list(network, table);
    REQUIRE(table.by_region());
    RouteTable single = network.open(1024);
    const std::uint64_t asked = table.asked();
    for (int i = 0; i < 1000; ++i) {
      const bool v4 = i % 2 == 0;
      const IpAddress to = v4 ? some_v4() : some_v6();
      const IpAddress from = v4 ? some_v4() : some_v6();
      const std::uint32_t mark = chance(2) * 3;
      INFO("to " << to.to_string() << " from " << from.to_string() << " mark " << mark);
      CHECK(table.interface_of(to, mark, &from) == single.interface_of(to, mark, &from));
      CHECK(table.interface_of(to, mark) == single.interface_of(to, mark));
    }
    CHECK(table.asked() - asked < single.asked());
  }
}

TEST_CASE("more routes than are listed, and routes of several ways, are asked by address", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  RouteTable few = network.open(64, 5);
  let_list(network, few);
  CHECK_FALSE(few.by_region());
  CHECK(few.interface_of(address("10.1.7.7")) == by(network.a0));
  ip("route add 203.0.113.0/24 nexthop via 10.1.0.7 nexthop via 10.3.0.7");
  RouteTable several = network.open(64, 100);
  let_list(network, several);
  CHECK_FALSE(several.by_region());
  ip("route del 203.0.113.0/24");
  several.on_readable();
  network.clock.advance(std::chrono::seconds(61));
  let_list(network, several);
  CHECK(several.by_region());
}

TEST_CASE("a route for sources of its own is found when the routes are listed", "[routes][lab]") {
  Network network;
  if (!network.entered()) return;
  ip("route add 2001:db8::/32 dev b0");
  ip("route add 2001:db8:7::/48 from fd01::/64 dev c0");
  RouteTable table = network.open(64, 100);
  let_list(network, table);
  CHECK(table.by_source());
  const IpAddress own = address("fd01::1");
  CHECK(table.interface_of(address("2001:db8:7::1"), 0, &own) == by(network.c0));
  CHECK(table.interface_of(address("2001:db8:8::1"), 0, &own) == by(network.b0));
}

}  // namespace natsession::testing
