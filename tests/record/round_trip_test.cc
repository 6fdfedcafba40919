// Random records, encoded, read back by other people's rules and compared field by field with what the
// specification asks for (expected_fields.cc).
#include <algorithm>
#include <random>

#include <catch2/catch.hpp>

#include "record/expected_fields.h"
#include "record/fields.h"
#include "record/golden.h"

namespace natsession::testing {
namespace {

constexpr int kRecords = 3000;

// The numbers that a plain field can have.
template <Field kField>
using FieldNumber =
    std::conditional_t<std::is_same_v<FieldType<kField>, Count>, std::uint64_t, FieldType<kField>>;

class RecordMaker {
 public:
  // The record points into this object and lives until the next call.
  SessionRecord make() {
    origin_ = {text(), text()};
    vpc_id_ = text();
    SessionRecord record;
    record.origin = &origin_;
    record.vpc_id = vpc_id_;
    record.protocol = number<std::uint8_t>();
    record.pri_ip = address();
    record.pub_ip = address();
    record.nat_ip = address();
    record.orig_dst_ip = address();
    record.pri_port = number<std::uint16_t>();
    record.pub_port = number<std::uint16_t>();
    record.nat_port = number<std::uint16_t>();
    record.orig_dst_port = number<std::uint16_t>();
    record.has_orig_dst = one_in(2);
    record.bytes_from_pub = count();
    record.pkts_from_pub = count();
    record.bytes_from_vpc = count();
    record.pkts_from_vpc = count();
    record.start_time = time();
    record.end_time = time();
    if (one_in(2)) record.session_start = time();
    record.session_id = number<std::uint64_t>();
    record.seq = number<std::uint32_t>();
    visit_plain([&]<Field kField>() {
      if (one_in(2)) set_plain<kField>(number<FieldNumber<kField>>(), record);
    });
    record.event = static_cast<RecordEvent>(random_() % 4);
    record.reason = static_cast<RecordReason>(random_() % 7);
    record.tcp_state = static_cast<TcpState>(random_() % 10);
    return record;
  }

 private:
  bool one_in(unsigned n) { return random_() % n == 0; }

  // Of any magnitude; each edge often.
  template <typename T>
  T number() {
    if (one_in(8)) return 0;
    if (one_in(8)) return std::numeric_limits<T>::max();
    return static_cast<T>(static_cast<T>(random_()) >> (random_() % (8 * sizeof(T))));
  }
  Count count() { return one_in(4) ? Count() : Count(number<std::uint64_t>()); }
  UnixMs time() { return at_ms(static_cast<std::int64_t>(number<std::uint64_t>())); }
  IpAddress address() {
    if (one_in(2)) return IpAddress::from_v4(number<std::uint32_t>());
    std::array<std::uint8_t, 16> bytes{};
    for (std::uint8_t& byte : bytes) byte = number<std::uint8_t>();
    return IpAddress::from_v6(bytes);
  }
  // Hostile, but UTF-8.
  std::string text() {
    static const std::string_view kPieces[] = {"natgw", "-1", "\"", "\\", "\n",   "\r\n", ",",  "=",
                                               " ",     "é",  "😀",  "\t", "\x7f", "\x01", "{}", "null"};
    std::string result;
    for (std::uint64_t pieces = random_() % 6; pieces > 0; --pieces)
      result += kPieces[random_() % std::size(kPieces)];
    return result;
  }

  std::mt19937_64 random_{19};
  Origin origin_;
  std::string vpc_id_;
};

EncoderOptions options_for(RecordFormat format, int i) {
  return {.format = format, .time_format = static_cast<TimeFormat>(i % 3), .with_netns = i % 2 == 0};
}

TEST_CASE("a random record's JSON has each field with its type and value, in order", "[record][round_trip]") {
  RecordMaker maker;
  for (int i = 0; i < kRecords; ++i) {
    const SessionRecord record = maker.make();
    const EncoderOptions options = options_for(RecordFormat::kJson, i);
    auto expected = expected_fields(record, options.time_format, options.with_netns);
    if (record.event != RecordEvent::kGap) expected.resize(expected.size() - 2);

    const std::string line = encode(record, options);
    INFO(line);
    REQUIRE(line.find('\n') == line.size() - 1);
    const auto members = read_json(line);
    REQUIRE(members);
    REQUIRE(members->size() == expected.size());
    for (std::size_t at = 0; at < expected.size(); ++at) {
      REQUIRE(members->at(at).key == expected[at].key);
      REQUIRE(members->at(at).kind == expected[at].kind);
      REQUIRE(members->at(at).text == expected[at].text);
    }
  }
}

TEST_CASE("a random record's CSV row has each value in the column that the header names",
          "[record][round_trip]") {
  RecordMaker maker;
  for (int i = 0; i < kRecords; ++i) {
    const SessionRecord record = maker.make();
    EncoderOptions options = options_for(RecordFormat::kCsv, i);
    auto expected = expected_fields(record, options.time_format, options.with_netns);
    if (i % 5 == 0) {
      options.fields = FieldSet::kCloud;
      expected.resize(15);
    }

    const auto encoder = make_encoder(options);
    std::string text(encoder->header());
    encoder->append(record, text);
    INFO(text);
    const auto rows = read_csv(text);
    REQUIRE(rows);
    REQUIRE(rows->size() == 2);
    REQUIRE(rows->at(0).size() == expected.size());
    REQUIRE(rows->at(1).size() == expected.size());
    for (std::size_t at = 0; at < expected.size(); ++at) {
      REQUIRE(rows->at(0)[at] == expected[at].key);
      REQUIRE(rows->at(1)[at] == expected[at].text);
    }
  }
}

TEST_CASE("a random record's logfmt line has the pairs that have a value, in order", "[record][round_trip]") {
  RecordMaker maker;
  for (int i = 0; i < kRecords; ++i) {
    const SessionRecord record = maker.make();
    EncoderOptions options = options_for(RecordFormat::kLogfmt, i);
    auto expected = expected_fields(record, options.time_format, options.with_netns);
    if (i % 5 == 0) options.fields = FieldSet::kCloud;
    if (options.fields == FieldSet::kCloud && record.event != RecordEvent::kGap) expected.resize(15);
    std::erase_if(expected, [](const JsonMember& member) { return member.kind == JsonMember::Kind::kNull; });

    const std::string line = encode(record, options);
    INFO(line);
    const auto pairs = read_logfmt(line);
    REQUIRE(pairs);
    REQUIRE(pairs->size() == expected.size());
    for (std::size_t at = 0; at < expected.size(); ++at) {
      REQUIRE(pairs->at(at).first == expected[at].key);
      REQUIRE(pairs->at(at).second == expected[at].text);
    }
  }
}

}  // namespace
}  // namespace natsession::testing
