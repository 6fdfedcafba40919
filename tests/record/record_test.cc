#include <set>
#include <vector>

#include <catch2/catch.hpp>

#include "record/encoder.h"
#include "record/fields.h"
#include "record/golden.h"
#include "record/labels.h"

namespace natsession::testing {
namespace {

TEST_CASE("names of formats, time formats and field sets are read back as what they were written from",
          "[record][names]") {
  for (const auto format : {RecordFormat::kJson, RecordFormat::kCsv, RecordFormat::kLogfmt}) {
    REQUIRE(parse_record_format(to_string(format)));
    CHECK(*parse_record_format(to_string(format)) == format);
  }
  for (const auto format : {TimeFormat::kUnix, TimeFormat::kUnixMs, TimeFormat::kRfc3339}) {
    REQUIRE(parse_time_format(to_string(format)));
    CHECK(*parse_time_format(to_string(format)) == format);
  }
  for (const auto fields : {FieldSet::kAll, FieldSet::kCloud}) {
    REQUIRE(parse_field_set(to_string(fields)));
    CHECK(*parse_field_set(to_string(fields)) == fields);
  }
  CHECK(to_string(RecordFormat::kLogfmt) == "logfmt");
  CHECK(to_string(TimeFormat::kUnixMs) == "unix_ms");
  CHECK(to_string(FieldSet::kCloud) == "cloud");
}

TEST_CASE("a name that is none is refused, with those that would do", "[record][names]") {
  const auto format = parse_record_format("xml");
  REQUIRE_FALSE(format);
  CHECK(format.error().kind == ErrorKind::kUsage);
  CHECK(format.error().message == "'xml' is not a format: json, csv or logfmt");
  CHECK(parse_time_format("iso").error().message == "'iso' is not a time format: unix, unix_ms or rfc3339");
  CHECK(parse_field_set("").error().message == "'' is not a set of fields: all or cloud");
  CHECK_FALSE(parse_record_format("JSON"));
  CHECK_FALSE(parse_record_format("json "));
}

TEST_CASE("events, reasons and TCP states have the names of the specification and of nf_conntrack",
          "[record][names]") {
  CHECK(to_string(RecordEvent::kStart) == "start");
  CHECK(to_string(RecordEvent::kInterim) == "interim");
  CHECK(to_string(RecordEvent::kEnd) == "end");
  CHECK(to_string(RecordEvent::kGap) == "gap");

  CHECK(to_string(RecordReason::kNone).empty());
  CHECK(to_string(RecordReason::kDestroyed) == "destroyed");
  CHECK(to_string(RecordReason::kVanished) == "vanished");
  CHECK(to_string(RecordReason::kOverrun) == "overrun");
  CHECK(to_string(RecordReason::kTableGuard) == "table_guard");
  CHECK(to_string(RecordReason::kStopped) == "stopped");
  CHECK(to_string(RecordReason::kSinkStalled) == "sink_stalled");
  CHECK(to_string(RecordReason::kLedgerFull) == "ledger_full");
  CHECK(to_string(RecordReason::kDamaged) == "damaged");
  CHECK(to_string(RecordReason::kStarted) == "started");

  // Oracle: tcp_conntrack_names in net/netfilter/nf_conntrack_proto_tcp.c.
  CHECK(to_string(TcpState::kNone).empty());
  CHECK(to_string(TcpState::kSynSent) == "SYN_SENT");
  CHECK(to_string(TcpState::kSynRecv) == "SYN_RECV");
  CHECK(to_string(TcpState::kEstablished) == "ESTABLISHED");
  CHECK(to_string(TcpState::kFinWait) == "FIN_WAIT");
  CHECK(to_string(TcpState::kCloseWait) == "CLOSE_WAIT");
  CHECK(to_string(TcpState::kLastAck) == "LAST_ACK");
  CHECK(to_string(TcpState::kTimeWait) == "TIME_WAIT");
  CHECK(to_string(TcpState::kClose) == "CLOSE");
  CHECK(to_string(TcpState::kSynSent2) == "SYN_SENT2");
}

TEST_CASE("no word is longer than the room that is kept for it", "[record][names]") {
  for (int value = 0; value < 256; ++value) {
    CHECK(to_string(static_cast<RecordEvent>(value)).size() <= kMaxWordLength);
    CHECK(to_string(static_cast<RecordReason>(value)).size() <= kMaxWordLength);
    CHECK(to_string(static_cast<TcpState>(value)).size() <= kMaxWordLength);
  }
  CHECK(kGapLogStatus.size() <= kMaxWordLength);
}

TEST_CASE("equal texts are one label, which outlives the text that it came from", "[record][labels]") {
  std::string text = "vpc-a";
  const std::string_view first = *intern_label(text);
  const Origin* const origin = *intern_origin(text, "blue");
  text = "gone!";
  CHECK(first == "vpc-a");
  CHECK(intern_label("vpc-a")->data() == first.data());
  CHECK(origin->instance == "vpc-a");
  CHECK(*intern_origin("vpc-a", "blue") == origin);
  CHECK(*intern_origin("vpc-ab", "lue") != origin);
  CHECK(*intern_origin("vpc-a", "") != origin);
}

TEST_CASE("labels stay where they are while more come", "[record][labels]") {
  LabelTable table;
  std::vector<std::string_view> labels;
  for (int i = 0; i < 5000; ++i) labels.push_back(*table.intern("vpc-" + std::to_string(i)));
  for (int i = 0; i < 5000; ++i) CHECK(labels[static_cast<std::size_t>(i)] == "vpc-" + std::to_string(i));
}

TEST_CASE("a full table refuses what is new by its name, and still knows what it has", "[record][labels]") {
  LabelTable few(2);
  REQUIRE(few.intern("a"));
  REQUIRE(few.intern(""));
  const auto refused = few.intern("b");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == ErrorKind::kUsage);
  CHECK_THAT(refused.error().message,
             Catch::Contains("the label 'b' is one too many: a process keeps 2 labels"));
  CHECK(*few.intern("a") == "a");
  REQUIRE(few.intern("gw-1", ""));
  REQUIRE(few.intern("gw-2", ""));
  CHECK_FALSE(few.intern("gw-3", ""));
  CHECK(few.intern("gw-2", ""));

  LabelTable small(1000, 10);
  REQUIRE(small.intern("123456"));
  CHECK_FALSE(small.intern("12345"));
  CHECK(small.intern("1234"));
  REQUIRE(small.intern("12345", "12345"));
  CHECK_FALSE(small.intern("1", ""));
}

// Oracle: the bytes of FORMAT.md packed with Python's struct and ipaddress, hashed by `xxhsum -H3` 0.8.1.

TEST_CASE("session_id has the values that xxhsum gives for the documented bytes", "[record][session_id]") {
  SessionRecord record = golden_tcp();
  CHECK(derive_session_id(record) == 0xf486'a9c5'3363'29a0);
  record.session_start = at_ms(1'795'263'297'311);
  CHECK(derive_session_id(record) == 0x84b0'aaab'32ce'9a7f);
  record.session_start.reset();
  CHECK(derive_session_id(record) == 0xe273'28eb'1a58'19bb);
  record.seq = 0;
  CHECK(derive_session_id(record) == 0x81cd'83bd'df68'e235);  // end_time and twin 0
  record = golden_tcp();
  record.seq = (3U << kSeqBits) + 1;
  CHECK(derive_session_id(record) == 0x9d5a'f4ce'2738'5f62);  // twin 3
  record.seq = 0;
  record.end_time = *record.session_start;
  CHECK(derive_session_id(record) == 0x0aab'3404'69a0'803c);  // twin 0

  SessionRecord ipv6 = golden_ipv6();
  ipv6.zone = 7;
  ipv6.has_orig_dst = true;
  ipv6.orig_dst_ip = ip("2001:db8:2::53");
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
  other.orig_dst_ip = ip("192.0.2.1");  // means nothing while has_orig_dst is false
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
  add([](SessionRecord& record) { record.pri_ip = ip("192.168.1.24"); });
  add([](SessionRecord& record) { ++record.pri_port; });
  add([](SessionRecord& record) { record.pub_ip = ip("198.51.100.81"); });
  add([](SessionRecord& record) { ++record.pub_port; });
  add([](SessionRecord& record) { record.nat_ip = ip("203.0.113.8"); });
  add([](SessionRecord& record) { ++record.nat_port; });
  add([](SessionRecord& record) {
    record.has_orig_dst = true;
    record.orig_dst_ip = ip("192.0.2.1");
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
