// Oracle: RFC 5424 by hand, and the reader in syslog_reader.h, which was written from its grammar. The lab
// compares what a real rsyslogd reads.
#include "sink/syslog/syslog_message.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include "sink/sink_fixture.h"
#include "sink/syslog_reader.h"

using namespace natsession;
using Catch::Matchers::Contains;
using namespace natsession::testing;
using Fields = std::map<std::string, std::string>;

namespace {

constexpr SyslogHeader kHeader{.process_id = 4711};
const EncoderOptions kLogfmt{.format = RecordFormat::kLogfmt};

std::string message_of(const SessionRecord& record, const SyslogHeader& header = kHeader,
                       const EncoderOptions& options = kLogfmt, bool nat = false) {
  std::string text;
  SyslogMessage(header, options, nat).append(record, text);
  return text;
}

SyslogSeen seen(const SessionRecord& record) {
  return read_syslog(message_of(record));
}

std::string without_newline(std::string text) {
  text.pop_back();
  return text;
}

}  // namespace

TEST_CASE("a record is a message of RFC 5424, to the byte", "[sink][syslog]") {
  SessionRecord record = numbered_record(7);
  record.vpc_id = "vpc-1";
  CHECK(
      message_of(record) ==
      "<134>1 1970-01-01T00:00:08.000Z nat-1 natsessiond 4711 end [natsession@32473 instance=\"nat-1\" "
      "vpc_id=\"vpc-1\" protocol=\"17\" pri_ip=\"10.0.0.2\" pri_port=\"40000\" pub_ip=\"198.51.100.7\" "
      "pub_port=\"53\" nat_ip=\"203.0.113.1\" nat_port=\"50000\" bytes_from_vpc=\"100\" pkts_from_vpc=\"1\" "
      "start_time=\"7.000\" end_time=\"8.000\" event=\"end\" session_id=\"1122334455667788\" seq=\"7\" "
      "reason=\"destroyed\"] " +
          without_newline(testing::text_of({record}, kLogfmt)));
}

// Oracle: a message of VPP, which has this form, and draft-ietf-behave-syslog-nat-logging-06.
TEST_CASE("format=nat makes a session's beginning SADD and its end SDEL", "[sink][syslog]") {
  const auto nat_message = [](const SessionRecord& record) {
    return message_of(record, kHeader, kLogfmt, true);
  };
  SessionRecord record = numbered_record(7);
  const std::string session =
      "[nsess SSUBIX=\"0\" SVLAN=\"0\" IATYP=\"IPv4\" ISADDR=\"10.0.0.2\" ISPORT=\"40000\" XATYP=\"IPv4\" "
      "XSADDR=\"203.0.113.1\" XSPORT=\"50000\" PROTO=\"17\" XDADDR=\"198.51.100.7\" XDPORT=\"53\"]";
  CHECK(nat_message(record) == "<134>1 1970-01-01T00:00:08.000Z nat-1 NAT 4711 SDEL " + session);
  record.event = RecordEvent::kStart;
  CHECK(nat_message(record) == "<134>1 1970-01-01T00:00:07.000Z nat-1 NAT 4711 SADD " + session);
  record.pri_ip = *IpAddress::parse("2001:db8::1");
  record.zone = 7;
  CHECK_THAT(nat_message(record), Contains("SSUBIX=\"7\"") &&
                                      Contains("IATYP=\"IPv6\" ISADDR=\"2001:db8::1\"") &&
                                      Contains("XATYP=\"IPv4\""));
  SECTION("what it has no message for keeps its own form") {
    for (const RecordEvent event : {RecordEvent::kInterim, RecordEvent::kGap}) {
      record.event = event;
      CHECK(nat_message(record) == message_of(record));
    }
  }
}

TEST_CASE("every field of a record is structured data", "[sink][syslog]") {
  const Origin origin{"gw", "blue"};
  SessionRecord record = numbered_record(0, origin);
  record.pri_ip = *IpAddress::parse("2001:db8::1");
  record.bytes_from_pub = Count(std::numeric_limits<std::uint64_t>::max() - 1);
  record.pkts_from_pub = Count(0);
  record.session_start = testing::at_second(3);
  record.tcp_state = TcpState::kTimeWait;
  record.has_orig_dst = true;
  record.orig_dst_ip = *IpAddress::parse("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
  record.orig_dst_port = 65535;
  record.zone = 65535;
  record.mark = 0xffffffff;
  EncoderOptions options = kLogfmt;
  options.with_netns = true;
  options.time_format = TimeFormat::kRfc3339;
  CHECK(read_syslog(message_of(record, kHeader, options)).fields ==
        Fields{{"instance", "gw"},
               {"vpc_id", ""},
               {"protocol", "17"},
               {"pri_ip", "2001:db8::1"},
               {"pri_port", "40000"},
               {"pub_ip", "198.51.100.7"},
               {"pub_port", "53"},
               {"nat_ip", "203.0.113.1"},
               {"nat_port", "50000"},
               {"bytes_from_pub", "18446744073709551614"},
               {"pkts_from_pub", "0"},
               {"bytes_from_vpc", "100"},
               {"pkts_from_vpc", "1"},
               {"start_time", "1970-01-01T00:00:00.000Z"},
               {"end_time", "1970-01-01T00:00:01.000Z"},
               {"event", "end"},
               {"session_id", "1122334455667788"},
               {"seq", "0"},
               {"session_start", "1970-01-01T00:00:03.000Z"},
               {"tcp_state", "TIME_WAIT"},
               {"reason", "destroyed"},
               {"orig_dst_ip", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
               {"orig_dst_port", "65535"},
               {"zone", "65535"},
               {"mark", "4294967295"},
               {"netns", "blue"}});
}

TEST_CASE("a gap is a warning with its reason and number, and nothing of a session", "[sink][syslog]") {
  SessionRecord gap;
  gap.origin = &testing::test_origin();
  gap.event = RecordEvent::kGap;
  gap.reason = RecordReason::kOverrun;
  gap.events_lost = Count(12);
  const SyslogSeen told = seen(gap);
  CHECK(told.severity == 4);
  CHECK(told.message_id == "gap");
  CHECK(told.fields == Fields{{"instance", "nat-1"},
                              {"vpc_id", ""},
                              {"start_time", "0.000"},
                              {"end_time", "0.000"},
                              {"event", "gap"},
                              {"reason", "overrun"},
                              {"events_lost", "12"},
                              {"log_status", "SKIPDATA"}});
  // Sessions that are told as errors have no gaps below them.
  CHECK(read_syslog(message_of(gap, {.severity = 3})).severity == 3);
}

TEST_CASE("facility, severity and text are as chosen", "[sink][syslog]") {
  const SessionRecord record = numbered_record(1);
  const SyslogSeen told = read_syslog(
      message_of(record, {.facility = 23, .severity = 7, .process_id = 1}, {.format = RecordFormat::kJson}));
  CHECK(told.facility == 23);
  CHECK(told.severity == 7);
  CHECK(told.process == "1");
  CHECK(told.application == "natsessiond");
  CHECK(told.element == "natsession@32473");
  CHECK(told.text == without_newline(testing::text_of({record})));
  CHECK(read_syslog(message_of(record, {})).process == "-");
  CHECK(message_of(record, {.facility = 0, .severity = 0}).starts_with("<0>1 "));
}

TEST_CASE("texts that would end a value or a message do neither", "[sink][syslog]") {
  const auto [text, value] = GENERATE(table<std::string, std::string>({
      {"a\"b", "a\"b"},
      {"a\\b", "a\\b"},
      {"a]b", "a]b"},
      {"\\\"]", "\\\"]"},
      {"] [x@1 y=\"z\"", "] [x@1 y=\"z\""},
      {"a\nb\r\t", "a\\nb\\r\\t"},
      {std::string("a\0b\x7f\x1f", 5), "a\\u0000b\\u007f\\u001f"},
      {"caf\xc3\xa9", "caf\xc3\xa9"},
      {"caf\xe9", "caf\xef\xbf\xbd"},
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {"", ""},
  }));
  CAPTURE(text);
  const Origin origin{text, text};
  SessionRecord record = numbered_record(5, origin);
  record.vpc_id = text;
  const std::string message =
      message_of(record, kHeader, {.format = RecordFormat::kLogfmt, .with_netns = true});
  const SyslogSeen told = read_syslog(message);
  CHECK(told.fields.at("instance") == value);
  CHECK(told.fields.at("vpc_id") == value);
  CHECK(told.fields.at("netns") == value);
  CHECK(told.fields.at("seq") == "5");
}

TEST_CASE("the host is the instance, in characters that a host name may have", "[sink][syslog]") {
  const auto host = [](const std::string& instance) {
    const Origin origin{instance, ""};
    return seen(numbered_record(0, origin)).hostname;
  };
  CHECK(host("gw-1.example.org") == "gw-1.example.org");
  CHECK(host("my gateway\n\xc3\xa9") == "my_gateway___");
  CHECK(host("") == "-");
  CHECK(host(std::string(300, 'x')) == std::string(255, 'x'));
}

TEST_CASE("a time that RFC 3339 cannot say is left out of the header", "[sink][syslog]") {
  const auto [ms, shown] = GENERATE(table<std::int64_t, std::string>({
      {1'795'263'662'108, "2026-11-21T12:21:02.108Z"},
      {-62'167'219'200'000, "0000-01-01T00:00:00.000Z"},
      {-62'167'219'200'001, "-"},
      {253'402'300'799'999, "9999-12-31T23:59:59.999Z"},
      {253'402'300'800'000, "-"},
      {std::numeric_limits<std::int64_t>::min(), "-"},
      {std::numeric_limits<std::int64_t>::max(), "-"},
  }));
  SessionRecord record = numbered_record(0);
  record.end_time = UnixMs(std::chrono::milliseconds(ms));
  CHECK(seen(record).timestamp == shown);
}

TEST_CASE("a record of the longest texts fits the room that was made for it", "[sink][syslog]") {
  for (const char byte : {'\x01', '"', '\xff', 'x'}) {
    const Origin origin{std::string(2000, byte), std::string(2000, byte)};
    SessionRecord record = numbered_record(0, origin);
    record.vpc_id = origin.instance;
    CHECK(read_syslog(message_of(record, kHeader, {.with_netns = true})).fields.at("seq") == "0");
  }
}

TEST_CASE("messages are framed by their length, by a newline, or not at all", "[sink][syslog]") {
  const auto records = numbered_records(0, 3);
  SyslogSettings settings{.header = kHeader, .options = kLogfmt};
  std::vector<std::string> expected;
  for (const SessionRecord& record : records) expected.push_back(message_of(record));
  SyslogBatch batch([&] {
    settings.framing = GENERATE(SyslogFraming::kNone, SyslogFraming::kOctets, SyslogFraming::kNewline);
    return settings;
  }());
  batch.fill(records, 1 << 20);
  REQUIRE(batch.ends().size() == 3);
  switch (settings.framing) {
    case SyslogFraming::kNone:
      for (std::size_t i = 0; i < 3; ++i) CHECK(batch.message(i) == expected[i]);
      break;
    case SyslogFraming::kOctets:
      CHECK(testing::split_octets(batch.text()) == expected);
      break;
    case SyslogFraming::kNewline:
      CHECK(testing::split_lines(batch.text()) == expected);
      break;
  }
  batch.fill(records, 1);
  CHECK(batch.ends().size() == 1);
}

TEST_CASE("a message that is too long is refused with its length, and hides none before it",
          "[sink][syslog]") {
  const Origin origin{std::string(3000, 'x'), ""};
  std::vector<SessionRecord> records = numbered_records(0, 3);
  records[1].origin = &origin;
  SyslogBatch batch({.header = kHeader, .options = kLogfmt, .max_message = 2048});
  batch.fill(records, 1 << 20);
  CHECK(batch.ends().size() == 1);
  CHECK(batch.refusal().empty());
  batch.fill(std::span(records).subspan(1), 1 << 20);
  CHECK(batch.ends().empty());
  CHECK_THAT(batch.refusal(), Contains(std::to_string(message_of(records[1]).size())) && Contains("2048"));
  batch.fill(std::span(records).subspan(2), 1 << 20);
  CHECK(batch.ends().size() == 1);
  CHECK(batch.refusal().empty());
}
