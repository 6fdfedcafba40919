#include "routes/interface_table.h"

#include <sys/socket.h>

#include <array>
#include <optional>

#include <catch2/catch.hpp>

#include "routes/ip_command.h"

namespace natsession::testing {
namespace {

InterfaceTable open_table() {
  auto table = InterfaceTable::open();
  if (!table) FAIL(table.error().message);
  return *std::move(table);
}

bool changes(InterfaceTable& table) {
  const auto changed = table.on_readable();
  if (!changed) FAIL(changed.error().message);
  return *changed;
}

const Interface& named(const InterfaceTable& table, std::string_view name) {
  const Interface* const interface = table.find(name);
  INFO(name);
  REQUIRE(interface != nullptr);
  return *interface;
}

InterfaceAddress on(const std::string& own, const std::string& prefix) {
  return {address(own), *Prefix::parse(prefix)};
}

}  // namespace

TEST_CASE("interfaces that are there at the start are known with their addresses", "[routes][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  ip("link add a0 type veth peer name b0");
  ip("addr add 10.1.2.3/24 dev a0");
  ip("addr add fd01::3/64 dev a0 nodad");
  ip("addr add 192.0.2.1 peer 192.0.2.9 dev b0");
  const InterfaceTable table = open_table();
  const Interface& a0 = named(table, "a0");
  CHECK(table.find(a0.index) == &a0);
  CHECK(a0.addresses == std::vector{on("10.1.2.3", "10.1.2.0/24"), on("fd01::3", "fd01::/64")});
  CHECK(named(table, "b0").addresses == std::vector{on("192.0.2.1", "192.0.2.9/32")});
  CHECK(table.find("lo") != nullptr);
  CHECK(table.find("c0") == nullptr);
  CHECK(table.find(4711U) == nullptr);
  CHECK(table.relisted() == 0);
}

TEST_CASE("an interface that comes, is renamed, gets and loses addresses is followed", "[routes][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  InterfaceTable table = open_table();
  CHECK_FALSE(changes(table));
  ip("link add a0 type veth");
  CHECK(changes(table));
  const std::uint32_t index = named(table, "a0").index;
  ip("addr add 10.1.2.3/24 dev a0");
  ip("addr add 10.1.2.4/24 dev a0");
  CHECK(changes(table));
  CHECK(table.with_address(address("10.1.2.4")) == table.find(index));
  CHECK(table.within(*Prefix::parse("10.1.0.0/16")) == std::vector{index});
  CHECK(table.within(*Prefix::parse("10.2.0.0/16")).empty());
  ip("addr del 10.1.2.3/24 dev a0");  // the second goes with it, its network's first
  ip("link set a0 name b0");
  CHECK(changes(table));
  CHECK(table.find("a0") == nullptr);
  CHECK(named(table, "b0").index == index);
  CHECK(named(table, "b0").addresses.empty());
  CHECK(table.with_address(address("10.1.2.4")) == nullptr);
  CHECK_FALSE(changes(table));
}

TEST_CASE("an interface that is gone is still known by its index, and no more by its name", "[routes][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  InterfaceTable table = open_table();
  ip("link add a0 type veth");
  ip("addr add 10.1.2.3/24 dev a0");
  REQUIRE(changes(table));
  const std::uint32_t index = named(table, "a0").index;
  ip("link del a0");
  CHECK(changes(table));
  CHECK(table.find("a0") == nullptr);
  REQUIRE(table.find(index) != nullptr);
  CHECK(table.find(index)->name == "a0");
  CHECK_FALSE(table.find(index)->present);
  CHECK(table.within(*Prefix::parse("10.0.0.0/8")).empty());
  ip("link add a0 index " + std::to_string(index) + " type veth");
  CHECK(changes(table));
  CHECK(named(table, "a0").index == index);
  CHECK(named(table, "a0").addresses.empty());
}

TEST_CASE("a table of interfaces that another process opened is taken over", "[routes][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  std::optional<InterfaceTable> first = open_table();
  std::array<UniqueFd, InterfaceTable::kDescriptors> kept;
  for (std::size_t i = 0; i < kept.size(); ++i) kept[i].reset(::dup(first->descriptors()[i]));
  first.reset();
  ip("link add a0 type veth");
  auto second = InterfaceTable::adopt(kept);
  REQUIRE(second);
  CHECK(second->find("a0") != nullptr);
  ip("link set a0 name b0");
  CHECK(changes(*second));
  CHECK(second->find("b0") != nullptr);
}

TEST_CASE("a port that leaves its bridge is not gone", "[routes][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  InterfaceTable table = open_table();
  ip("link add br0 type bridge");
  ip("link add a0 type veth");
  ip("addr add 10.1.2.3/24 dev a0");
  ip("link set a0 master br0");
  REQUIRE(changes(table));
  CHECK(named(table, "a0").master == named(table, "br0").index);
  ip("link set a0 nomaster");
  CHECK(changes(table));
  CHECK(named(table, "a0").master == 0);
  CHECK(named(table, "a0").addresses == std::vector{on("10.1.2.3", "10.1.2.0/24")});
}

TEST_CASE("lost interface events make all be listed anew", "[routes][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  InterfaceTable table = open_table();
  ip("link add a0 type veth");
  ip("addr add 10.1.2.3/24 dev a0");
  REQUIRE(changes(table));
  const std::uint32_t index = named(table, "a0").index;
  const int small = 1;
  REQUIRE(::setsockopt(table.fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
  for (int i = 0; i < 6; ++i) ip("link set a0 mtu " + std::to_string(1400 + i));
  ip("link del a0");
  ip("link add z0 type veth");
  ip("addr add 10.9.9.9/24 dev z0");
  CHECK(changes(table));
  CHECK(table.relisted() == 1);
  CHECK(table.find("a0") == nullptr);
  CHECK_FALSE(table.find(index)->present);
  CHECK(named(table, "z0").addresses == std::vector{on("10.9.9.9", "10.9.9.0/24")});
}

}  // namespace natsession::testing
