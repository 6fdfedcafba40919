#include "nflog/refused_table.h"

#include <map>
#include <numeric>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace natsession::testing {
namespace {

RefusedPacket refused(const char* src, std::uint16_t src_port, std::uint64_t length = 40,
                      std::int64_t ms = 1000, std::uint8_t tcp_flags = 0x02) {
  RefusedPacket packet;
  packet.src = *IpAddress::parse(src);
  packet.dst = *IpAddress::parse("203.0.113.1");
  packet.src_port = src_port;
  packet.dst_port = 443;
  packet.protocol = 6;
  packet.tcp_flags = tcp_flags;
  packet.in_interface = 2;
  packet.out_interface = 3;
  packet.length = length;
  packet.time = UnixNs(std::chrono::milliseconds(ms));
  return packet;
}

std::vector<RefusedFlow> closed(RefusedTable& table, std::size_t piece = 1000) {
  REQUIRE(table.close_window());
  std::vector<RefusedFlow> flows;
  while (table.take(piece, [&](const RefusedFlow& flow) { flows.push_back(flow); }) > 0) {
  }
  return flows;
}

void add(RefusedTable& table, const RefusedPacket& packet) {
  table.add(std::span(&packet, 1));
}

UnixMs at_ms(std::int64_t ms) {
  return UnixMs(std::chrono::milliseconds(ms));
}

}  // namespace

TEST_CASE("packets of one flow are one entry with their sums, times and flags", "[nflog][table]") {
  RefusedTable table(10);
  const std::vector packets{refused("10.0.0.1", 5, 40, 5000), refused("10.0.0.1", 5, 60, 4000, 0x12),
                            refused("10.0.0.1", 5, 100, 9000, 0x10)};
  table.add(packets);
  CHECK(table.flows() == 1);
  const auto flows = closed(table);
  REQUIRE(flows.size() == 1);
  CHECK(flows[0] == RefusedFlow{2, false, 6, 18, *IpAddress::parse("10.0.0.1"),
                                *IpAddress::parse("203.0.113.1"), 5, 443, 3, 200, at_ms(4000), at_ms(9000)});
}

TEST_CASE("each part of the key tells flows apart", "[nflog][table]") {
  std::vector<RefusedPacket> packets(9, refused("10.0.0.1", 5));
  packets[1].src = *IpAddress::parse("10.0.0.2");
  packets[2].dst = *IpAddress::parse("203.0.113.2");
  packets[3].src_port = 6;
  packets[4].dst_port = 80;
  packets[5].protocol = 17;
  packets[6].in_interface = 7;
  packets[7].egress = true;
  packets[8].src = *IpAddress::parse("::ffff:0:a00:1");
  RefusedTable table(100);
  for (int round = 0; round < 3; ++round) table.add(packets);
  const auto flows = closed(table);
  REQUIRE(flows.size() == packets.size());
  for (std::size_t i = 0; i < packets.size(); ++i) {
    CAPTURE(i);
    CHECK(flows[i].packets == 3);
    CHECK(flows[i].src == packets[i].src);
    CHECK(flows[i].dst == packets[i].dst);
    CHECK(flows[i].src_port == packets[i].src_port);
    CHECK(flows[i].dst_port == packets[i].dst_port);
    CHECK(flows[i].protocol == packets[i].protocol);
    CHECK(flows[i].egress == packets[i].egress);
    CHECK(flows[i].interface == packets[i].interface());
  }
  CHECK(flows[5].tcp_flags == 0);  // UDP has none
}

TEST_CASE("flows whose hashes are the same are told apart, as far as is looked", "[nflog][table]") {
  RefusedTable table(1000, SeededHash({1, 2, 3, 0}));  // by which all hashes are 0
  std::vector<RefusedPacket> packets(3, refused("10.0.0.1", 5));
  packets[1].protocol = 17;
  packets[2].egress = true;
  packets[2].out_interface = packets[2].in_interface;
  for (std::uint16_t port = 1000; port < 1100; ++port) packets.push_back(refused("10.0.0.1", port));
  for (int round = 0; round < 2; ++round) table.add(packets);
  const auto flows = closed(table);
  CHECK(flows.size() == 64);
  for (const RefusedFlow& flow : flows) CHECK(flow.packets == 2);
  REQUIRE(table.left_out().size() == 1);
  CHECK(table.left_out()[0].packets == 2 * (packets.size() - 64));
}

TEST_CASE("what finds no room is counted by interface and direction, and what is there goes on",
          "[nflog][table]") {
  RefusedTable table(2);
  add(table, refused("10.0.0.1", 1));
  add(table, refused("10.0.0.2", 2));
  add(table, refused("10.0.0.3", 3, 100));
  add(table, refused("10.0.0.4", 4, 100));
  RefusedPacket leaving = refused("10.0.0.5", 5, 7);
  leaving.egress = true;
  add(table, leaving);
  add(table, refused("10.0.0.2", 2));
  CHECK(table.left_out_packets() == 3);
  CHECK(table.left_out_bytes() == 207);
  const auto flows = closed(table);
  REQUIRE(flows.size() == 2);
  CHECK(flows[1].packets == 2);
  const std::vector<RefusedLeftOut> left(table.left_out().begin(), table.left_out().end());
  CHECK(left == std::vector<RefusedLeftOut>{{2, false, 2, 200}, {3, true, 1, 7}});
  // The next windows begin with room.
  for (int window = 0; window < 3; ++window) {
    add(table, refused("10.0.0.9", 9));
    CHECK(closed(table).size() == 1);
    CHECK(table.left_out().empty());
  }
}

TEST_CASE("more interfaces than there are counters for are counted together", "[nflog][table]") {
  RefusedTable table(1);
  add(table, refused("10.0.0.1", 1));
  for (std::uint32_t interface = 1; interface <= 1000; ++interface) {
    RefusedPacket packet = refused("10.0.0.2", 2, 10);
    packet.in_interface = interface;
    add(table, packet);
  }
  (void)closed(table);
  CHECK(table.left_out().size() == RefusedTable::kMaxLeftOut);
  CHECK(table.left_out().back() == RefusedLeftOut{0, false, 1000 - RefusedTable::kMaxLeftOut + 1,
                                                  10 * (1000 - RefusedTable::kMaxLeftOut + 1)});
}

TEST_CASE("a closed window is handed on in pieces while the next is filled", "[nflog][table]") {
  RefusedTable table(1000);
  for (std::uint16_t port = 1; port <= 100; ++port) add(table, refused("10.0.0.1", port));
  REQUIRE(table.close_window());
  std::vector<std::uint16_t> ports;
  for (std::uint16_t port = 101;
       table.take(7, [&](const RefusedFlow& flow) { ports.push_back(flow.src_port); }) > 0; ++port) {
    add(table, refused("10.0.0.1", port));
    if (ports.size() < 100) CHECK_FALSE(table.close_window());
  }
  std::vector<std::uint16_t> wanted(100);
  std::iota(wanted.begin(), wanted.end(), std::uint16_t{1});
  CHECK(ports == wanted);
  const auto next = closed(table);
  CHECK(next.size() == 15);
  CHECK(next.front().src_port == 101);
}

TEST_CASE("window after window adds up to what was added, with few flows and with many", "[nflog][table]") {
  RefusedTable table(4096);
  std::uint64_t added = 0;
  std::uint64_t told = 0;
  for (const int flows : {3, 4096, 1, 2000, 0, 5000, 12}) {
    for (int i = 0; i < 3 * flows; ++i) {
      const auto place = static_cast<std::uint16_t>(i % std::max(flows, 1));
      add(table, refused("10.0.0.1", place, 1));
      ++added;
    }
    CHECK(table.flows() == static_cast<std::size_t>(std::min(flows, 4096)));
    for (const RefusedFlow& flow : closed(table)) told += flow.packets;
    for (const RefusedLeftOut& left : table.left_out()) told += left.packets;
    CHECK(told == added);
  }
}

TEST_CASE("a table of random packets says the same as a map", "[nflog][table]") {
  RefusedTable table(100'000);
  std::map<std::string, std::uint64_t> wanted;
  std::uint32_t state = 1;
  std::vector<RefusedPacket> packets;
  for (int i = 0; i < 60'000; ++i) {
    state = state * 1664525 + 1013904223;
    RefusedPacket packet = refused("10.0.0.1", static_cast<std::uint16_t>(state >> 20U));
    packet.src = IpAddress::from_v4(state >> 28U);
    packet.in_interface = state >> 18U & 3U;
    wanted[packet.src.to_string() + ":" + std::to_string(packet.src_port) + "@" +
           std::to_string(packet.in_interface)] += packet.length;
    packets.push_back(packet);
  }
  table.add(packets);
  std::map<std::string, std::uint64_t> told;
  for (const RefusedFlow& flow : closed(table))
    told[flow.src.to_string() + ":" + std::to_string(flow.src_port) + "@" + std::to_string(flow.interface)] +=
        flow.bytes;
  CHECK(told == wanted);
}

}  // namespace natsession::testing
