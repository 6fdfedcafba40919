// Oracle: the bytes of FORMAT.md packed with Python's struct and ipaddress, hashed by `xxhsum -H3` 0.8.1.
#include <set>

#include <catch2/catch.hpp>

#include "record/golden.h"

namespace natsession::testing {
namespace {

TEST_CASE("session_id has the values that xxhsum gives for the documented bytes", "[record][session_id]") {
  SessionRecord record = golden_tcp();
  CHECK(derive_session_id(record) == 0xf486'a9c5'3363'29a0);
  record.session_start = at_ms(1'795'263'297'311);
  CHECK(derive_session_id(record) == 0x84b0'aaab'32ce'9a7f);
  record.session_start.reset();
  CHECK(derive_session_id(record) == 0xe273'28eb'1a58'19bb);

  SessionRecord ipv6 = golden_ipv6();
  ipv6.zone = 7;
  ipv6.has_orig_dst = true;
  ipv6.orig_dst_ip = address("2001:db8:2::53");
  ipv6.orig_dst_port = 53;
  CHECK(derive_session_id(ipv6) == 0xe8ee'92cb'c57c'c7fa);
}

TEST_CASE("session_id is the same for every record of one session", "[record][session_id]") {
  const std::uint64_t id = derive_session_id(golden_tcp());
  SessionRecord other = golden_tcp();
  const Origin elsewhere{"another gateway", "another namespace"};
  other.origin = &elsewhere;
  other.vpc_id = "vpc-renamed";
  other.start_time = at_ms(1);
  other.end_time = at_ms(2);
  other.bytes_from_pub = other.pkts_from_pub = other.bytes_from_vpc = other.pkts_from_vpc = Count();
  other.seq = 42;
  other.mark = 42;
  other.event = RecordEvent::kStart;
  other.reason = RecordReason::kNone;
  other.tcp_state = TcpState::kSynSent;
  other.session_id = 42;
  other.orig_dst_ip = address("192.0.2.1");  // means nothing while has_orig_dst is false
  other.orig_dst_port = 42;
  CHECK(derive_session_id(other) == id);
}

TEST_CASE("session_id differs when any part of the session's name does", "[record][session_id]") {
  std::set<std::uint64_t> ids{derive_session_id(golden_tcp())};
  const auto add = [&](auto change) {
    SessionRecord record = golden_tcp();
    change(record);
    ids.insert(derive_session_id(record));
  };
  add([](SessionRecord& record) { record.zone = 1; });
  add([](SessionRecord& record) { record.protocol = 17; });
  add([](SessionRecord& record) { record.pri_ip = address("192.168.1.24"); });
  add([](SessionRecord& record) { ++record.pri_port; });
  add([](SessionRecord& record) { record.pub_ip = address("198.51.100.81"); });
  add([](SessionRecord& record) { ++record.pub_port; });
  add([](SessionRecord& record) { record.nat_ip = address("203.0.113.8"); });
  add([](SessionRecord& record) { ++record.nat_port; });
  add([](SessionRecord& record) {
    record.has_orig_dst = true;
    record.orig_dst_ip = address("192.0.2.1");
  });
  add([](SessionRecord& record) {
    record.has_orig_dst = true;
    record.orig_dst_port = 80;
  });
  add([](SessionRecord& record) { *record.session_start += std::chrono::milliseconds(1); });
  add([](SessionRecord& record) { record.session_start = at_ms(0); });
  add([](SessionRecord& record) { record.session_start.reset(); });
  CHECK(ids.size() == 14);
}

}  // namespace
}  // namespace natsession::testing
