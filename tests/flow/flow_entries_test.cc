#include "flow/flow_entries.h"

#include <catch2/catch.hpp>

#include "flow/flow_fixture.h"

using namespace natsession;
using namespace natsession::testing;

namespace {

// "eth1 in 10.0.0.2:1 > 10.0.0.3:2 20/2000"
std::vector<std::string> shown(const SessionRecord& record) {
  std::vector<SessionRecord> entries;
  append_entries(record, entries);
  std::vector<std::string> lines;
  for (const SessionRecord& e : entries) {
    const auto count = [](Count c) { return c.known() ? std::to_string(c.value()) : "-"; };
    lines.push_back(std::string(interface_of(e)) + (is_ingress(e) ? " in " : " out ") + e.pri_ip.to_string() +
                    ":" + std::to_string(e.pri_port) + " > " + e.pub_ip.to_string() + ":" +
                    std::to_string(e.pub_port) + " " + count(e.pkts_from_vpc) + "/" +
                    count(e.bytes_from_vpc));
  }
  return lines;
}
using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a translated session has four entries, by interface and direction", "[flow][entries]") {
  CHECK(shown(translated()) == Lines{"eth1 in 172.16.20.21:51514 > 106.11.12.203:12180 20/2000",
                                     "eth0 out 172.16.10.13:48155 > 106.11.12.203:12180 20/2000",
                                     "eth0 in 106.11.12.203:12180 > 172.16.10.13:48155 18/9000",
                                     "eth1 out 106.11.12.203:12180 > 172.16.20.21:51514 18/9000"});
}

TEST_CASE("a flow that is not translated has the same addresses at both interfaces", "[flow][entries]") {
  CHECK(shown(routed()) == Lines{"eth1 in 172.16.20.21:51514 > 106.11.12.203:12180 20/2000",
                                 "eth0 out 172.16.20.21:51514 > 106.11.12.203:12180 20/2000",
                                 "eth0 in 106.11.12.203:12180 > 172.16.20.21:51514 18/9000",
                                 "eth1 out 106.11.12.203:12180 > 172.16.20.21:51514 18/9000"});
}

TEST_CASE("destination NAT shows what was dialled outside and what was reached inside", "[flow][entries]") {
  SessionRecord record = routed();
  record.pri_ip = ip("198.51.100.9");
  record.nat_port = record.pri_port = 5000;
  record.has_orig_dst = true;
  record.orig_dst_ip = ip("203.0.113.1");
  record.orig_dst_port = 80;
  record.pub_ip = ip("10.0.0.80");
  record.pub_port = 8080;
  record.iif = "eth0";
  record.oif = "eth1";
  const Lines inward{"eth0 in 198.51.100.9:5000 > 203.0.113.1:80 20/2000",
                     "eth1 out 198.51.100.9:5000 > 10.0.0.80:8080 20/2000",
                     "eth1 in 10.0.0.80:8080 > 198.51.100.9:5000 18/9000",
                     "eth0 out 203.0.113.1:80 > 198.51.100.9:5000 18/9000"};
  CHECK(shown(record) == inward);
  // A host inside that dials the address outside: all four at one interface, source translated as well.
  record.pri_ip = ip("10.0.0.2");
  record.nat_ip = ip("10.0.0.1");
  record.nat_port = 6000;
  record.iif = record.oif = "eth1";
  CHECK(shown(record) == Lines{"eth1 in 10.0.0.2:5000 > 203.0.113.1:80 20/2000",
                               "eth1 out 10.0.0.1:6000 > 10.0.0.80:8080 20/2000",
                               "eth1 in 10.0.0.80:8080 > 10.0.0.1:6000 18/9000",
                               "eth1 out 203.0.113.1:80 > 10.0.0.2:5000 18/9000"});
}

TEST_CASE("what had no packets is no entry, and what the box itself sent has two", "[flow][entries]") {
  SessionRecord record = routed();
  record.pkts_from_pub = record.bytes_from_pub = Count(0);
  CHECK(shown(record).size() == 2);
  record.pkts_from_vpc = Count(0);
  CHECK(shown(record).empty());
  record = routed();
  record.iif = "lo";
  CHECK(shown(record) == Lines{"eth0 out 172.16.20.21:51514 > 106.11.12.203:12180 20/2000",
                               "eth0 in 106.11.12.203:12180 > 172.16.20.21:51514 18/9000"});
  record.oif = "lo";
  CHECK(shown(record).empty());
  record.iif = record.oif = {};
  CHECK(shown(record).empty());
}

TEST_CASE("unknown counters are told as such, not left out", "[flow][entries]") {
  SessionRecord record = routed();
  record.pkts_from_pub = record.bytes_from_pub = Count();
  CHECK(shown(record).back() == "eth1 out 106.11.12.203:12180 > 172.16.20.21:51514 -/-");
}

TEST_CASE("ICMP has no ports", "[flow][entries]") {
  SessionRecord record = routed();
  record.protocol = 1;
  CHECK(shown(record).front() == "eth1 in 172.16.20.21:0 > 106.11.12.203:0 20/2000");
}

TEST_CASE("refused packets are one entry, where they were refused", "[flow][entries]") {
  SessionRecord record = refused("eth0", 3);
  CHECK(shown(record) == Lines{"eth0 in 172.16.20.21:51514 > 106.11.12.203:12180 3/180"});
  record.iif = {};
  record.oif = "eth1";
  CHECK(shown(record) == Lines{"eth1 out 172.16.20.21:51514 > 106.11.12.203:12180 3/180"});
}

TEST_CASE("starts, gaps and closed windows are no entries", "[flow][entries]") {
  SessionRecord record = translated();
  record.event = RecordEvent::kStart;
  CHECK(shown(record).empty());
  record.event = RecordEvent::kGap;
  CHECK(shown(record).empty());
  record = routed();
  record.flow_kind = FlowKind::kWindowClosed;
  CHECK(shown(record).empty());
}
