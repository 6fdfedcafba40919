// How the tuples of a flow become pri, pub and nat.
#include <catch2/catch.hpp>

#include "support/tracker_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language

TEST_CASE("source NAT: pri is the original source, pub the reply source, nat the reply destination",
          "[session][nat]") {
  TrackerFixture f;
  f.event(flow()
              .from("10.0.0.2", 40000)
              .to("198.51.100.7", 443)
              .nat("203.0.113.1", 61000)
              .traffic({3, 300}, {2, 2000})
              .destroyed());
  const SessionRecord r = f.only();
  CHECK(r.protocol == 6);
  CHECK(r.pri_ip == ip("10.0.0.2"));
  CHECK(r.pri_port == 40000);
  CHECK(r.pub_ip == ip("198.51.100.7"));
  CHECK(r.pub_port == 443);
  CHECK(r.nat_ip == ip("203.0.113.1"));
  CHECK(r.nat_port == 61000);
  CHECK(r.bytes_from_vpc == Count(300));
  CHECK(r.pkts_from_vpc == Count(3));
  CHECK(r.bytes_from_pub == Count(2000));
  CHECK(r.pkts_from_pub == Count(2));
  CHECK_FALSE(r.has_orig_dst);
}

TEST_CASE("destination NAT alone: pri is the internal server, nat what the client asked for",
          "[session][nat]") {
  TrackerFixture f;
  f.event(flow()
              .status(kStatusDstNat)
              .from("198.51.100.9", 5555)
              .to("203.0.113.1", 80)
              .reached("10.0.0.80", 8080)
              .nat("198.51.100.9", 5555)
              .traffic({3, 300}, {2, 2000})
              .destroyed());
  const SessionRecord r = f.only();
  CHECK(r.pri_ip == ip("10.0.0.80"));
  CHECK(r.pri_port == 8080);
  CHECK(r.nat_ip == ip("203.0.113.1"));
  CHECK(r.nat_port == 80);
  CHECK(r.pub_ip == ip("198.51.100.9"));
  CHECK(r.pub_port == 5555);
  CHECK(r.bytes_from_pub == Count(300));
  CHECK(r.bytes_from_vpc == Count(2000));
}

TEST_CASE("both kinds are logged as source NAT, with the destination that was meant", "[session][nat]") {
  TrackerFixture f;
  f.event(flow()
              .status(kStatusSrcNat | kStatusDstNat)
              .from("10.0.0.2", 40000)
              .to("192.0.2.53", 53)
              .reached("198.51.100.53", 5353)
              .nat("203.0.113.1", 61000)
              .destroyed());
  const SessionRecord r = f.only();
  CHECK(r.pri_ip == ip("10.0.0.2"));
  CHECK(r.pub_ip == ip("198.51.100.53"));
  CHECK(r.pub_port == 5353);
  REQUIRE(r.has_orig_dst);
  CHECK(r.orig_dst_ip == ip("192.0.2.53"));
  CHECK(r.orig_dst_port == 53);
}

TEST_CASE("ICMP: ports are the ids before and after, and type and code", "[session][nat]") {
  TrackerFixture f;
  const auto protocol = GENERATE(std::uint8_t{1}, std::uint8_t{58});
  const std::uint16_t request = protocol == 1 ? 8 * 256 : 128 * 256;
  const std::uint16_t reply = protocol == 1 ? 0 : 129 * 256;
  f.event(flow()
              .protocol(protocol)
              .tuples({ip("10.0.0.2"), ip("198.51.100.7"), 77, request},
                      {ip("198.51.100.7"), ip("203.0.113.1"), 1077, reply})
              .destroyed());
  const SessionRecord r = f.only();
  CHECK(r.pri_port == 77);
  CHECK(r.pub_port == request);
  CHECK(r.nat_port == 1077);
}

TEST_CASE("IPv6 sessions are logged like IPv4 ones", "[session][nat]") {
  TrackerFixture f;
  const Flow v6 = flow().from("fd00::2", 40000).to("2001:db8::7", 443).nat("2001:db8:1::1", 61000);
  f.event(v6.created());
  CHECK(f.tracker.live() == 1);
  f.event(v6.destroyed());
  const SessionRecord r = f.only();
  CHECK(r.pri_ip == ip("fd00::2"));
  CHECK(r.pub_ip == ip("2001:db8::7"));
  CHECK(r.nat_ip == ip("2001:db8:1::1"));
  CHECK(f.tracker.live() == 0);
}

TEST_CASE("an IPv6 flow with an IPv4-mapped address on one side keeps all its addresses", "[session][nat]") {
  TrackerFixture f;
  const Flow odd = flow().from("::ffff:10.0.0.2", 40000).to("2001:db8::7", 443).nat("2001:db8:1::1", 61000);
  f.event(odd.created());
  f.event(odd.destroyed());
  const SessionRecord r = f.only();
  CHECK(r.pub_ip == ip("2001:db8::7"));
  CHECK(r.nat_ip == ip("2001:db8:1::1"));
}

TEST_CASE("zone, mark and TCP state come along", "[session][nat]") {
  TrackerFixture f;
  Flow tcp = flow().zone(7).mark(1);
  f.event(tcp.created());
  f.event(tcp.mark(2).tcp_state(TcpState::kTimeWait).updated());
  f.event(tcp.tcp_state(TcpState::kNone).destroyed());
  const SessionRecord r = f.only();
  CHECK(r.zone == 7);
  CHECK(r.mark == 2);
  CHECK(r.tcp_state == TcpState::kTimeWait);
}

}  // namespace
}  // namespace natsession
