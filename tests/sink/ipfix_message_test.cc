#include "sink/ipfix/ipfix_message.h"

#include <random>

#include <catch2/catch.hpp>

#include "sink/ipfix_reader.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;

namespace {

constexpr IpfixBatch::Moment kMoment{UnixMs(1'795'263'663s), 0ns};
constexpr std::size_t kNoLimit = 1 << 30;

std::string in_hex(std::string_view bytes) {
  std::string hex;
  for (const char byte : bytes) {
    hex += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

IpAddress address(std::string_view text) {
  return *IpAddress::parse(text);
}

// The record of the test bytes: 10.0.0.5:51000 as 203.0.113.7:40123 to 198.51.100.9:443.
SessionRecord tcp_record(RecordEvent event = RecordEvent::kEnd) {
  SessionRecord record;
  record.origin = &test_origin();
  record.event = event;
  record.protocol = 6;
  record.pri_ip = address("10.0.0.5");
  record.pub_ip = address("198.51.100.9");
  record.nat_ip = address("203.0.113.7");
  record.pri_port = 51'000;
  record.pub_port = 443;
  record.nat_port = 40'123;
  record.bytes_from_vpc = Count(1234);
  record.pkts_from_vpc = Count(10);
  record.bytes_from_pub = Count(5678);
  record.pkts_from_pub = Count(12);
  record.start_time = UnixMs(1'795'263'600'000ms);
  record.end_time = UnixMs(1'795'263'662'108ms);
  record.session_id = 0x1122334455667788;
  return record;
}

SessionRecord gap(std::optional<std::uint64_t> lost) {
  SessionRecord record;
  record.origin = &test_origin();
  record.event = RecordEvent::kGap;
  record.reason = RecordReason::kOverrun;
  record.start_time = UnixMs(1'795'263'600'000ms);
  record.end_time = UnixMs(1'795'263'601'000ms);
  if (lost) record.events_lost = Count(*lost);
  return record;
}

// All that a peer sees of these records.
IpfixReader read(const std::vector<SessionRecord>& records, const IpfixSettings& settings = {}) {
  IpfixBatch batch(settings, std::nullopt);
  batch.set_longest(IpfixBatch::kLongest);
  batch.fill(records, kNoLimit, kMoment);
  CHECK(batch.taken() == records.size());
  IpfixReader reader;
  for (std::size_t i = 0; i < batch.messages().size(); ++i) reader.read(batch.message(i));
  return reader;
}

IpfixSeen read_one(const SessionRecord& record, const IpfixSettings& settings = {}) {
  const IpfixReader reader = read({record}, settings);
  REQUIRE(reader.records.size() == 1);
  return reader.records[0];
}

void read_into(IpfixReader& reader, const IpfixBatch& batch, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) reader.read(batch.message(i));
}

}  // namespace

// The bytes are the specification's (network-sinks.md, IPFIX, test bytes).
TEST_CASE("a NAT44 delete and its template are the specification's bytes", "[sink][ipfix]") {
  IpfixBatch batch({.options = false, .fields = FieldSet::kCloud}, 1min);
  batch.set_longest(1400);
  const std::vector<SessionRecord> records{tcp_record()};
  batch.fill(records, kNoLimit, kMoment);
  CHECK(in_hex(batch.message(0)) ==
        "000a00646b018caf000000000000000100020054010000110143000800e600010008000400e10004000400010007000200e3"
        "0002000c"
        "000400e20004000b000200e400020098000800990008000100080002000880010008000072798002000800007279");
  batch.sent(batch.messages().size());
  batch.fill(records, kNoLimit, kMoment);
  REQUIRE(batch.messages().size() == 1);
  std::string data(batch.message(0));
  restamp_ipfix(data, 1, kMoment.wall);  // it is the second record
  CHECK(in_hex(data) ==
        "000a00666b018caf000000000000000101000056000001a1fe0d881c050a000005cb00710706c7389cbbc6336409c6336409"
        "01bb01bb"
        "000001a1fe0c9580000001a1fe0d881c00000000000004d2000000000000000a000000000000162e000000000000000c");
}

TEST_CASE("each event has its rule", "[sink][ipfix]") {
  SECTION("a session's end is a delete, with what both directions counted") {
    const IpfixSeen seen = read_one(tcp_record());
    CHECK(seen.value(230) == 5);
    CHECK(seen.value(323) == 1'795'263'662'108);
    CHECK(seen.value(1) == 1234);
    CHECK(seen.value(2) == 10);
    CHECK(seen.value(1, kReverse) == 5678);
    CHECK(seen.value(2, kReverse) == 12);
    CHECK_FALSE(seen.has(136));
  }
  SECTION("a session's beginning is a create, at its time, and counts nothing") {
    SessionRecord record = tcp_record(RecordEvent::kStart);
    record.bytes_from_vpc = record.pkts_from_vpc = record.bytes_from_pub = record.pkts_from_pub = Count();
    const IpfixSeen seen = read_one(record);
    CHECK(seen.value(230) == 4);
    CHECK(seen.value(323) == 1'795'263'600'000);
    for (const std::uint32_t enterprise : {0U, kReverse}) {
      CHECK_FALSE(seen.has(1, enterprise));
      CHECK_FALSE(seen.has(2, enterprise));
    }
  }
  SECTION("what a window counted is a flow record, and neither create nor delete") {
    const IpfixSeen seen = read_one(tcp_record(RecordEvent::kInterim));
    CHECK_FALSE(seen.has(230));
    CHECK(seen.value(136) == 2);
    CHECK(seen.value(1) == 1234);
    CHECK(seen.value(2, kReverse) == 12);
    CHECK(seen.value(152) == 1'795'263'600'000);
    CHECK(seen.value(153) == 1'795'263'662'108);
  }
}

TEST_CASE("a counter that is not known is no element, and never 0", "[sink][ipfix]") {
  SessionRecord record = tcp_record();
  record.bytes_from_pub = Count();
  const IpfixSeen half = read_one(record);
  CHECK(half.has(1));
  CHECK_FALSE(half.has(1, kReverse));
  CHECK_FALSE(half.has(2, kReverse));
  record.pkts_from_vpc = Count();
  CHECK_FALSE(read_one(record).has(1));
}

TEST_CASE("NAT of other families has its events and elements", "[sink][ipfix]") {
  SessionRecord record = tcp_record();
  record.pri_ip = address("fd64::2");
  SECTION("NAT64: where the host meant to go is IPv6, where it came to is not") {
    record.has_orig_dst = true;
    record.orig_dst_ip = address("64:ff9b::c633:6409");
    record.orig_dst_port = 8443;
    const IpfixSeen seen = read_one(record);
    CHECK(seen.value(230) == 7);
    CHECK(seen.address(27) == "fd64::2");
    CHECK(seen.address(225) == "203.0.113.7");
    CHECK(seen.address(28) == "64:ff9b::c633:6409");
    CHECK(seen.address(226) == "198.51.100.9");
    CHECK(seen.value(11) == 8443);
    CHECK(seen.value(228) == 443);
    record.event = RecordEvent::kStart;
    CHECK(read_one(record).value(230) == 6);
  }
  SECTION("IPv6 to IPv6, for which RFC 8158 has no event, has the registry's general ones") {
    record.nat_ip = address("2001:db8:113::1");
    record.pub_ip = address("2001:db8:113::80");
    const IpfixSeen seen = read_one(record);
    CHECK(seen.value(230) == 2);
    CHECK(seen.address(281) == "2001:db8:113::1");
    CHECK(seen.address(282) == "2001:db8:113::80");
    CHECK(seen.address(28) == "2001:db8:113::80");
    CHECK_FALSE(seen.has(225));
    record.event = RecordEvent::kStart;
    CHECK(read_one(record).value(230) == 1);
  }
}

TEST_CASE("destination NAT beside source NAT shows where the host meant to go and where it came to",
          "[sink][ipfix]") {
  SessionRecord record = tcp_record();
  record.has_orig_dst = true;
  record.orig_dst_ip = address("10.64.0.1");
  record.orig_dst_port = 8000;
  const IpfixSeen seen = read_one(record);
  CHECK(seen.address(12) == "10.64.0.1");
  CHECK(seen.address(226) == "198.51.100.9");
  CHECK(seen.value(11) == 8000);
  CHECK(seen.value(228) == 443);
}

TEST_CASE("ICMP has its type and code in their element, behind the ports that nfcapd reads them from",
          "[sink][ipfix]") {
  SessionRecord record = tcp_record();
  record.protocol = 1;
  record.pri_port = 4711;
  record.nat_port = 4712;
  record.pub_port = 8 * 256;
  const IpfixSeen seen = read_one(record);
  CHECK(seen.value(7) == 4711);
  CHECK(seen.value(227) == 4712);
  CHECK(seen.value(32) == 8 * 256);
  CHECK_FALSE(seen.has(139));
  std::string data;
  const IpfixSettings settings;
  append_ipfix_record(record, IpfixShape::of(record, settings), settings, data);
  CHECK(data.ends_with(std::string_view("\x08\x00", 2)));
  record.protocol = 58;
  record.pub_port = 128 * 256;
  CHECK(read_one(record).value(139) == 128 * 256);
}

TEST_CASE("zone, session, network and instance have their elements, where they have a value",
          "[sink][ipfix]") {
  const Origin origin{"nat-1", "blue"};
  SessionRecord record = tcp_record();
  const IpfixSeen plain = read_one(record);
  CHECK(plain.value(148) == 0x1122334455667788);
  for (const int absent : {234, 236, 300, 463}) CHECK_FALSE(plain.has(static_cast<std::uint16_t>(absent)));
  record.origin = &origin;
  record.zone = 7;
  record.vpc_id = "vpc-office";
  const IpfixSeen seen = read_one(record, {.instance_id = 77, .with_netns = true});
  CHECK(seen.value(234) == 7);
  CHECK(seen.bytes(236) == "vpc-office");
  CHECK(seen.bytes(300) == "blue");
  CHECK(seen.value(463) == 77);
  const IpfixSeen cloud = read_one(record, {.fields = FieldSet::kCloud, .with_netns = true});
  CHECK(cloud.bytes(236) == "vpc-office");
  for (const int absent : {148, 234, 300}) CHECK_FALSE(cloud.has(static_cast<std::uint16_t>(absent)));
}

TEST_CASE("without destination nothing tells whom a session was with", "[sink][ipfix]") {
  for (const RecordEvent event : {RecordEvent::kStart, RecordEvent::kInterim, RecordEvent::kEnd}) {
    const IpfixSeen seen = read_one(tcp_record(event), {.destination = false});
    for (const int absent : {11, 12, 28, 226, 228, 282})
      CHECK_FALSE(seen.has(static_cast<std::uint16_t>(absent)));
    for (const auto& [element, bytes] : seen.fields)
      CHECK(bytes.find("\xc6\x33\x64\x09") == std::string::npos);
    CHECK(seen.address(225) == "203.0.113.7");
  }
}

TEST_CASE("a text is UTF-8, and cut between characters where it is long", "[sink][ipfix]") {
  SessionRecord record = tcp_record();
  record.vpc_id = "a\xff";
  CHECK(read_one(record).bytes(236) == "a\xef\xbf\xbd");
  const std::string umlauts = [] {
    std::string text = "x";
    while (text.size() < 1000) text += "\xc3\xa4";
    return text;
  }();
  record.vpc_id = umlauts;
  const std::string cut = read_one(record).bytes(236);
  CHECK(cut.size() <= IpfixBatch::kLongestText);
  CHECK(cut.size() >= IpfixBatch::kLongestText - 2);
  CHECK(umlauts.starts_with(cut.substr(0, cut.size() - 3)));
}

TEST_CASE("no time is before 1970", "[sink][ipfix]") {
  SessionRecord record = tcp_record();
  record.start_time = UnixMs(-5ms);
  CHECK(read_one(record).value(152) == 0);
}

TEST_CASE("a gap is a record of what was not sent, and adds up", "[sink][ipfix]") {
  const IpfixReader reader = read({gap(1532), gap(std::nullopt), gap(8)});
  CHECK(reader.records.empty());
  REQUIRE(reader.options.size() == 4);
  CHECK(reader.options[0].bytes(300) == "nat-1");
  CHECK(reader.options[0].value(149) == 1);
  CHECK(reader.options[1].value(166) == 1532);
  CHECK(reader.options[1].value(152) == 1'795'263'600'000);
  CHECK(reader.options[1].value(153) == 1'795'263'601'000);
  CHECK_FALSE(reader.options[2].has(166));
  CHECK(reader.options[3].value(166) == 1540);
  SECTION("also where nobody knows when it began") {
    SessionRecord started = gap(std::nullopt);
    started.start_time = kUnknownStart;
    CHECK_FALSE(read({started}).options[1].has(152));
  }
  SECTION("without options there is nothing but sessions, and all records are taken") {
    const IpfixReader sessions = read({gap(1532), tcp_record(), gap(1)}, {.options = false});
    CHECK(sessions.options.empty());
    CHECK(sessions.records.size() == 1);
    CHECK(sessions.sequence == 1);
  }
}

TEST_CASE("a block of ports is allocated and free, with its ports", "[sink][ipfix][blocks]") {
  SessionRecord block = tcp_record(RecordEvent::kAllocate);
  block.nat_port = 40'064;
  block.orig_dst_port = 40'127;
  SessionRecord free = block;
  free.event = RecordEvent::kFree;
  free.zone = 9;
  const IpfixReader reader = read({block, free}, {.instance_id = 4});
  REQUIRE(reader.records.size() == 2);
  const IpfixSeen& allocated = reader.records[0];
  CHECK(allocated.value(323) == 1'795'263'600'000);
  CHECK(allocated.value(230) == 16);
  CHECK(allocated.address(8) == "10.0.0.5");
  CHECK(allocated.address(225) == "203.0.113.7");
  CHECK(allocated.value(361) == 40'064);
  CHECK(allocated.value(362) == 40'127);
  CHECK(allocated.value(463) == 4);
  CHECK_FALSE(allocated.has(234));
  CHECK_FALSE(allocated.has(12));
  CHECK_FALSE(allocated.options);
  CHECK(reader.records[1].value(323) == 1'795'263'662'108);
  CHECK(reader.records[1].value(230) == 17);
  CHECK(reader.records[1].value(234) == 9);
}

TEST_CASE("the template of a block has an id that tells its fields", "[sink][ipfix][blocks]") {
  std::vector<std::string> seen;
  for (unsigned id = IpfixBlockShape::kFirst; id <= IpfixBlockShape::kLast; ++id) {
    const auto number = static_cast<std::uint16_t>(id);
    CHECK(IpfixBlockShape::from_id(number).id() == number);
    std::string text;
    append_ipfix_template(number, text);
    seen.push_back(text.substr(2));  // behind the id
  }
  std::sort(seen.begin(), seen.end());
  CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
}

TEST_CASE("every template's id tells its fields", "[sink][ipfix]") {
  std::vector<std::string> seen;
  for (unsigned id = IpfixShape::kFirst; id <= IpfixShape::kLast; ++id) {
    const auto number = static_cast<std::uint16_t>(id);
    if (IpfixShape::from_id(number).id() != number) FAIL("id " << id);
    // Of an address that is left out, the family is no choice.
    const IpfixShape shape = IpfixShape::from_id(number);
    if (!shape.destination && (shape.destination_v6 || shape.pub_v6)) continue;
    std::string text;
    append_ipfix_template(number, text);
    seen.push_back(text.substr(2));  // behind the id
  }
  std::sort(seen.begin(), seen.end());
  CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
  CHECK(static_cast<std::uint16_t>(IpfixOptions::kLast) > IpfixShape::kLast);
}

namespace {

// Records of every shape, with texts of every length.
std::vector<SessionRecord> various_records(std::size_t count, std::mt19937& random) {
  static const Origin kOrigins[] = {{"nat-1", "blue"}, {"nat-2", std::string(300, 'n')}};
  static const std::string kLong(300, 'v');
  std::vector<SessionRecord> records;
  const auto coin = [&] { return random() % 2 == 0; };
  while (records.size() < count) {
    SessionRecord record = coin() ? tcp_record(static_cast<RecordEvent>(random() % 3)) : gap(random() % 9);
    record.origin = &kOrigins[random() % 40 == 0];
    record.start_time = at_second(static_cast<std::int64_t>(records.size()));
    if (record.event != RecordEvent::kGap) {
      if (coin()) record.pri_ip = address("fd00::1");
      if (coin()) record.pub_ip = address("fd00::2");
      if (coin()) record.nat_ip = address("fd00::3");
      if (coin()) record.bytes_from_pub = Count();
      record.zone = static_cast<std::uint16_t>(random() % 2);
      record.protocol = coin() ? 6 : 58;
      record.vpc_id = std::string_view(kLong).substr(0, random() % 2 * (random() % 300));
    }
    records.push_back(record);
  }
  return records;
}

}  // namespace

TEST_CASE("no message is too long, and the sequence is exact, whatever does not go out", "[sink][ipfix]") {
  std::mt19937 random(7);
  const auto records = various_records(3000, random);
  for (const std::size_t longest : {IpfixBatch::kShortest, std::size_t{1472}, IpfixBatch::kLongest}) {
    IpfixBatch batch({.with_netns = true}, 10s);
    IpfixReader reader;
    IpfixBatch::Moment now = kMoment;
    std::size_t taken = 0;
    std::size_t data = 0;
    while (taken < records.size()) {
      batch.set_longest(longest);
      batch.fill(std::span(records).subspan(taken), 20'000, now);
      for (std::size_t i = 0; i < batch.messages().size(); ++i) CHECK(batch.message(i).size() <= longest);
      const std::size_t sent =
          random() % 3 == 0 ? random() % (batch.messages().size() + 1) : batch.messages().size();
      read_into(reader, batch, sent);
      batch.sent(sent);
      taken += sent == batch.messages().size() ? batch.taken()
               : sent == 0                     ? 0
                                               : batch.messages()[sent - 1].taken;
      now.wall += 1s;
      now.steady += 1s;
    }
    for (const SessionRecord& record : records) data += record.event != RecordEvent::kGap;
    CHECK(reader.records.size() == data);
    for (std::size_t i = 1; i < reader.records.size(); ++i)
      if (number_of(reader.records[i]) <= number_of(reader.records[i - 1])) FAIL("out of order");
  }
}

TEST_CASE("over UDP a template comes twice at first, and again when its time has come", "[sink][ipfix]") {
  IpfixBatch batch({.options = false}, 60s);
  batch.set_longest(1400);
  IpfixReader reader;
  const auto send = [&](std::vector<SessionRecord> records, IpfixBatch::Moment now) {
    batch.fill(records, kNoLimit, now);
    read_into(reader, batch, batch.messages().size());
    batch.sent(batch.messages().size());
  };
  send({tcp_record()}, kMoment);
  CHECK(reader.templates == 2);
  CHECK(reader.messages == 2);
  send({tcp_record()}, {kMoment.wall + 59s, kMoment.steady + 59s});
  CHECK(reader.templates == 2);
  send({}, {kMoment.wall + 60s, kMoment.steady + 60s});
  CHECK(reader.templates == 3);
  send({tcp_record()}, {kMoment.wall + 61s, kMoment.steady + 61s});
  CHECK(reader.templates == 3);
  CHECK(reader.records.size() == 3);
}

TEST_CASE("messages that go out again count from 0, behind their templates, and others go on behind them",
          "[sink][ipfix]") {
  IpfixBatch batch({}, std::nullopt);
  batch.set_longest(600);
  const auto records = numbered_records(0, 50);
  batch.fill(std::span(records).first(20), kNoLimit, kMoment);
  batch.sent(batch.messages().size());
  batch.fill(std::span(records).subspan(20, 20), kNoLimit, kMoment);
  std::string again(batch.text());
  batch.sent(batch.messages().size());

  const UnixMs later = kMoment.wall + 5s;
  const std::uint32_t first = ipfix_sequence(again);
  restamp_ipfix(again, first, later);
  IpfixReader reader;
  reader.read_stream(batch.begin_session_again(first, later));
  CHECK(reader.templates > 0);
  reader.read_stream(again);
  batch.fill(std::span(records).subspan(40), kNoLimit, {later, 0ns});
  reader.read_stream(batch.text());
  CHECK(numbers_of(reader.records) == numbers(20, 50));
}
