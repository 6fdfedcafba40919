// Lines, written out. Oracle: the log's specification, by hand; session_id by xxhsum -H3 (see
// record_test.cc). Whole lines of golden_tcp() and golden_gap() stand in FORMAT.md, where
// the last tests compare them; here what they do not show.
#include "record/golden.h"

#include <array>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "record/field_words.h"
#include "record/fields.h"

namespace natsession::testing {
namespace {

const EncoderOptions kJson{RecordFormat::kJson};
const EncoderOptions kCsv{RecordFormat::kCsv};
const EncoderOptions kLogfmt{RecordFormat::kLogfmt};

EncoderOptions with_netns(EncoderOptions options) {
  options.with_netns = true;
  return options;
}
EncoderOptions cloud(EncoderOptions options) {
  options.fields = FieldSet::kCloud;
  return options;
}
EncoderOptions timed(EncoderOptions options, TimeFormat format) {
  options.time_format = format;
  return options;
}

TEST_CASE("JSON shows an ICMP session with unknown counters as null", "[record][json]") {
  CHECK_THAT(
      encode(golden_icmp(), kJson),
      Catch::StartsWith(
          R"({"instance":"natgw-1","vpc_id":"","protocol":1,"pri_ip":"10.0.0.9","pri_port":4711,)"
          R"("pub_ip":"192.0.2.33","pub_port":2048,"nat_ip":"203.0.113.7","nat_port":0,)"
          R"("bytes_from_pub":null,"pkts_from_pub":null,"bytes_from_vpc":null,"pkts_from_vpc":null,)"
          R"("start_time":1795263662.000,"end_time":1795263662.000,"event":"end","session_id":"00000000000000ab",)"
          R"("seq":0,"session_start":null,"tcp_state":null,"reason":"vanished",)"
          R"("orig_dst_ip":"192.0.2.1","orig_dst_port":2048,"zone":7,"mark":4294967295)"));
}

TEST_CASE("JSON shows IPv6, known zero counters and a time before 1970", "[record][json]") {
  const std::string line = encode(golden_ipv6(), with_netns(kJson));
  CHECK_THAT(
      line,
      Catch::StartsWith(
          R"({"instance":"natgw-1","vpc_id":"vpc-office","protocol":17,"pri_ip":"2001:db8:1::23","pri_port":5353,)"
          R"("pub_ip":"2001:db8:ffff::35","pub_port":53,"nat_ip":"2001:db8:2::7","nat_port":61000,)"
          R"("bytes_from_pub":0,"pkts_from_pub":0,"bytes_from_vpc":18446744073709551614,"pkts_from_vpc":1,)"
          R"("start_time":-0.001,"end_time":0.000,"event":"interim","session_id":"0123456789abcdef",)"
          R"("seq":0,"session_start":-0.001,"tcp_state":null,"reason":null,)"
          R"("orig_dst_ip":null,"orig_dst_port":null,"zone":null,"mark":null,)"));
  CHECK_THAT(line, Catch::EndsWith(R"(,"netns":"edge"})"
                                   "\n"));
}

TEST_CASE("JSON shows a gap with the session's fields null, whatever they hold", "[record][json][gap]") {
  SessionRecord full = golden_tcp();
  full.vpc_id = "";
  full.has_orig_dst = true;
  full.zone = 1;
  full.mark = 1;
  full.event = RecordEvent::kGap;
  full.reason = RecordReason::kOverrun;
  full.start_time = golden_gap().start_time;
  full.end_time = golden_gap().end_time;
  full.events_lost = Count(1532);
  CHECK(encode(full, kJson) == encode(golden_gap(), kJson));
}

TEST_CASE("a gap whose losses were not counted has events_lost null", "[record][gap]") {
  SessionRecord gap = golden_gap();
  gap.events_lost = Count();
  gap.reason = RecordReason::kTableGuard;
  CHECK_THAT(encode(gap, kJson), Catch::EndsWith(R"("events_lost":null,"log_status":"SKIPDATA"})"
                                                 "\n"));
  CHECK_THAT(encode(gap, kCsv), Catch::EndsWith(",,SKIPDATA\n"));
  CHECK_THAT(encode(gap, kLogfmt), Catch::EndsWith(" event=gap reason=table_guard log_status=SKIPDATA\n"));
}

TEST_CASE("JSON has all fields also when only the cloud's are asked for", "[record][json]") {
  CHECK(encode(golden_tcp(), cloud(kJson)) == encode(golden_tcp(), kJson));
  CHECK(encode(golden_gap(), cloud(kJson)) == encode(golden_gap(), kJson));
}

TEST_CASE("times stand in the asked form, in quotes only where JSON needs them", "[record][time]") {
  CHECK_THAT(encode(golden_tcp(), timed(kJson, TimeFormat::kUnixMs)),
             Catch::Contains(R"("start_time":1795263600000,"end_time":1795263662108,)"));
  CHECK_THAT(
      encode(golden_tcp(), timed(kJson, TimeFormat::kRfc3339)),
      Catch::Contains(R"("start_time":"2026-11-21T12:20:00.000Z","end_time":"2026-11-21T12:21:02.108Z",)"));
  CHECK_THAT(encode(golden_tcp(), timed(kCsv, TimeFormat::kRfc3339)),
             Catch::Contains(",2026-11-21T12:20:00.000Z,2026-11-21T12:21:02.108Z,end,"));
  CHECK_THAT(encode(golden_tcp(), timed(kLogfmt, TimeFormat::kUnixMs)),
             Catch::Contains(" start_time=1795263600000 end_time=1795263662108 "));
}

TEST_CASE("CSV has a header line that names every column, and the other formats have none", "[record][csv]") {
  const std::string header(make_encoder(kCsv)->header());
  const std::string netns(make_encoder(with_netns(kCsv))->header());
  CHECK_THAT(netns, Catch::EndsWith(",netns,events_lost,log_status\n"));
  CHECK(header.size() == netns.size() - std::string(",netns").size());
  CHECK(make_encoder(with_netns(cloud(kCsv)))->header() == make_encoder(cloud(kCsv))->header());
  CHECK(make_encoder(kJson)->header().empty());
  CHECK(make_encoder(kLogfmt)->header().empty());
}

TEST_CASE("CSV shows a session, with nothing where a value is unknown", "[record][csv]") {
  const std::string line = encode(golden_icmp(), with_netns(kCsv));
  CHECK_THAT(line, Catch::StartsWith(
                       "natgw-1,,1,10.0.0.9,4711,192.0.2.33,2048,203.0.113.7,0,,,,,1795263662.000,"
                       "1795263662.000,end,00000000000000ab,0,,,vanished,192.0.2.1,2048,7,4294967295,"));
  CHECK_THAT(line, Catch::EndsWith(",edge,,\n"));
  CHECK(encode(golden_tcp(), cloud(kCsv)) ==
        "natgw-1,vpc-office,6,192.168.1.23,51514,198.51.100.80,443,203.0.113.7,40123,18234,21,2954,17,"
        "1795263600.000,1795263662.108\n");
}

TEST_CASE("logfmt shows a session without the fields that have no value", "[record][logfmt]") {
  CHECK(
      encode(golden_icmp(), with_netns(cloud(kLogfmt))) ==
      "instance=natgw-1 vpc_id=\"\" protocol=1 pri_ip=10.0.0.9 pri_port=4711 pub_ip=192.0.2.33 pub_port=2048 "
      "nat_ip=203.0.113.7 nat_port=0 start_time=1795263662.000 end_time=1795263662.000\n");
}

TEST_CASE("logfmt shows a gap in full also when only the cloud's fields are asked for",
          "[record][logfmt][gap]") {
  const std::string fields =
      "instance=natgw-1 vpc_id=\"\" start_time=1795263700.000 end_time=1795263701.250 event=gap "
      "reason=overrun";
  CHECK(encode(golden_gap(), cloud(kLogfmt)) == fields + " events_lost=1532 log_status=SKIPDATA\n");
  CHECK(encode(golden_gap(), with_netns(cloud(kLogfmt))) ==
        fields + " netns=edge events_lost=1532 log_status=SKIPDATA\n");
}

TEST_CASE("an encoder appends and leaves what was there", "[record]") {
  for (const EncoderOptions& options : {kJson, kCsv, kLogfmt}) {
    const auto encoder = make_encoder(options);
    std::string out = "before\n";
    encoder->append(golden_tcp(), out);
    encoder->append(golden_gap(), out);
    CHECK(out == "before\n" + encode(golden_tcp(), options) + encode(golden_gap(), options));
  }
}

TEST_CASE("an encoder does not allocate when the buffer has room", "[record]") {
  for (const EncoderOptions& options : {kJson, kCsv, kLogfmt}) {
    std::string out;
    out.reserve(8192);
    const char* const where = out.data();
    make_encoder(options)->append(golden_tcp(), out);
    CHECK(out.data() == where);
    CHECK(out.capacity() == 8192);
  }
}

// lib/record/FORMAT.md is what readers of the log rely on: its examples are what the code says.

std::vector<std::string> page_lines() {
  std::ifstream file(NATSESSION_FORMAT_PAGE);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line + "\n");
  return lines;
}

bool page_has_line(std::string_view wanted) {
  const auto lines = page_lines();
  return std::find(lines.begin(), lines.end(), wanted) != lines.end();
}

TEST_CASE("the example lines of FORMAT.md are what the encoders write", "[record][format_page]") {
  REQUIRE_FALSE(page_lines().empty());
  for (const RecordFormat format : {RecordFormat::kJson, RecordFormat::kCsv, RecordFormat::kLogfmt}) {
    for (const SessionRecord& record : {golden_tcp(), golden_gap()}) {
      const std::string line = encode(record, {.format = format});
      INFO(line);
      CHECK(page_has_line(line));
    }
  }
  const auto cloud = make_encoder({.format = RecordFormat::kCsv, .fields = FieldSet::kCloud});
  CHECK(page_has_line(make_encoder({.format = RecordFormat::kCsv})->header()));
  CHECK(page_has_line(cloud->header()));
  std::string gap;
  cloud->append(golden_gap(), gap);
  CHECK(page_has_line(gap));
}

TEST_CASE("FORMAT.md has a row for every field, in order, and no other", "[record][format_page]") {
  std::vector<std::string> documented;
  for (const std::string& line : page_lines()) {
    if (line.starts_with("| `")) documented.push_back(line.substr(3, line.find('`', 3) - 3));
  }
  std::vector<std::string> expected;
  for (const FieldSpec& spec : session_fields()) expected.emplace_back(spec.name);
  CHECK(documented == expected);
}

TEST_CASE("what is said of each field is what FORMAT.md says", "[record][format_page]") {
  for (std::string line : page_lines()) {
    if (!line.starts_with("| `")) continue;
    std::erase(line, '`');
    const auto field = parse_field(line.substr(2, line.find(' ', 2) - 2));
    REQUIRE(field);
    CAPTURE(line);
    CHECK(line.find(" | " + std::string(meaning_of(*field)) + " | ") != std::string::npos);
    const std::string_view unit = unit_of(*field);
    CHECK((unit.empty() || line.find(unit == "Unix seconds" ? "| time |" : ", " + std::string(unit) + " |") !=
                               std::string::npos));
  }
}

TEST_CASE("the worked example of session_id in FORMAT.md is that of its example record",
          "[record][format_page]") {
  // The page's bytes, written here once more from the record, not by the code under test.
  std::ostringstream id;
  id << std::hex << golden_tcp().session_id;
  CHECK(page_has_line("session_id   " + id.str() + "\n"));

  std::string bytes;
  bool inside = false;
  for (const std::string& line : page_lines()) {
    if (line.starts_with("zone         ")) inside = true;
    if (line.starts_with("session_id   ")) inside = false;
    if (inside) bytes += line.substr(13, line.find("  ", 13) - 13);
  }
  std::erase_if(bytes, [](char byte) { return byte == ' ' || byte == '\n'; });
  // Oracle: Python's struct and ipaddress; xxhsum -H3 makes the id above of it.
  CHECK(bytes ==
        "00000600000000000000000000ffffc0a80117c93a00000000000000000000ffffc633645001bb00000000000000000000ff"
        "ffcb007107"
        "9cbb000000000000000000000000000000000000000001a1fe07f71e");
}

}  // namespace
}  // namespace natsession::testing
