#include "sink/cloud/log_group.h"

#include <catch2/catch.hpp>

#include "sink/encoding/compressor.h"
#include "sink/encoding/protobuf.h"
#include "sink/log_group_reader.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;

namespace {

ReadLog read_log(const SessionRecord& record, const EncoderOptions& options = {}) {
  std::string text;
  LogEncoder(options).append(record, text);
  const ReadGroup group = read_group(text);
  REQUIRE(group.logs.size() == 1);
  return group.logs.front();
}

}  // namespace

// Oracles: the specification's example of a LogGroupList (computed there), and protobuf's document for 150.
TEST_CASE("protobuf is written as its examples", "[sink][cloud]") {
  std::string number(1 + kMaxVarint, '\0');
  number[0] = varint_key(1);
  number.resize(static_cast<std::size_t>(write_varint(number.data() + 1, 150) - number.data()));
  CHECK(number == from_hex("089601"));
  std::string content;
  append_bytes(content, 1, "k");
  append_bytes(content, 2, "v");
  std::string log(1 + kMaxVarint, '\0');
  log[0] = varint_key(1);
  log.resize(static_cast<std::size_t>(write_varint(log.data() + 1, 1405409656) - log.data()));
  append_bytes(log, 2, content);
  std::string group;
  append_bytes(group, 1, log);
  append_bytes(group, 2, "A-0");
  append_bytes(group, 4, "s");
  std::string list;
  append_bytes(list, 1, group);
  CHECK(list == from_hex("0a180a0e08f8b2939e0512060a016b1201761203412d30220173"));
  for (const std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128}, ~std::uint64_t{0}}) {
    std::array<char, kMaxVarint> bytes;
    const char* const end = write_varint(bytes.data(), value);
    CHECK(static_cast<std::size_t>(end - bytes.data()) == varint_length(value));
    std::string_view text(bytes.data(), varint_length(value));
    CHECK(read_varint(text) == value);
  }
}

TEST_CASE("a record is a log with its fields under their names, and its time in seconds", "[sink][cloud]") {
  SessionRecord record = numbered_record(7);
  record.end_time = UnixMs(1'795'263'662'108ms);
  record.start_time = UnixMs(1'795'263'600'000ms);
  record.bytes_from_pub = Count();
  record.bytes_from_vpc = Count(2954);
  const ReadLog log = read_log(record);
  CHECK(log.time == 1'795'263'662);
  CHECK(log.contents.at("instance") == record.origin->instance);
  CHECK(log.contents.at("bytes_from_vpc") == "2954");
  CHECK(log.contents.count("bytes_from_pub") == 0);
  CHECK(log.contents.at("end_time") == "1795263662.108");
  CHECK(log.contents.at("session_id") == "1122334455667788");
  CHECK(log.contents.at("seq") == "7");
  CHECK(log.contents.count("log_status") == 0);
  record.event = RecordEvent::kStart;
  CHECK(read_log(record).time == 1'795'263'600);
  const ReadLog cloud = read_log(record, {.time_format = TimeFormat::kUnixMs, .fields = FieldSet::kCloud});
  CHECK(cloud.contents.at("end_time") == "1795263662108");
  CHECK(cloud.contents.count("session_id") == 0);
  record.event = RecordEvent::kGap;
  record.reason = RecordReason::kOverrun;
  const ReadLog gap = read_log(record, {.fields = FieldSet::kCloud});
  CHECK(gap.contents.at("log_status") == "SKIPDATA");
  CHECK(gap.contents.at("reason") == "overrun");
  CHECK(gap.contents.count("pri_ip") == 0);
}

TEST_CASE("texts of any length and bytes arrive whole, as UTF-8", "[sink][cloud]") {
  for (const std::size_t length : std::initializer_list<std::size_t>{
           0,   1,   100, 110, 111, 112,    113,    114,    115,    116,      117,
           118, 119, 127, 128, 200, 16'000, 16'383, 16'384, 70'000, 2'100'000}) {
    CAPTURE(length);
    const Origin origin{std::string(length, 'x'), ""};
    const ReadLog log = read_log(numbered_record(1, origin));
    CHECK((log.contents.at("instance") == origin.instance));
    CHECK(log.contents.at("seq") == "1");
  }
  CHECK(read_log(numbered_record(1, hostile_origin())).contents.at("instance").find("\xef\xbf\xbd") !=
        std::string::npos);
}

TEST_CASE("a time that seconds of 32 bits do not have is the nearest that they have", "[sink][cloud]") {
  SessionRecord record = numbered_record(7);
  record.end_time = UnixMs(-1ms);
  CHECK(read_log(record).time == 0);
  record.end_time = UnixMs(std::chrono::hours(24 * 365 * 200));
  CHECK(read_log(record).time == 0xffffffff);
  record.end_time = UnixMs::min();
  CHECK(read_log(record).time == 0);
}

TEST_CASE("a text compressed for a cloud is what it was", "[sink][cloud]") {
  for (const std::string& text :
       {std::string("x"), std::string(100'000, 'y'), text_of(numbered_records(0, 100))}) {
    std::string packed;
    REQUIRE(lz4_text(text, packed));
    CHECK((unlz4(packed, text.size()) == text));
    REQUIRE(zstd_text(text, packed));
    CHECK((unzstd(packed) == text));
  }
}
