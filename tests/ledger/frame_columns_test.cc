#include "ledger/frame_columns.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "ledger/frame_fixture.h"
#include "ledger/frame_layout.h"
#include "record/golden.h"

namespace natsession::testing {
namespace {

// Whether a field's column says what each record does, by the table of fields.
bool says_the_same(FrameColumns& columns, const FieldSpec& spec, std::span<const SessionRecord> records) {
  const auto all = [&](const auto& column, auto none, auto number_of) {
    REQUIRE(column);
    REQUIRE(column->size() == records.size());
    return std::equal(
        column->begin(), column->end(), records.begin(), [&](auto value, const SessionRecord& record) {
          const FieldValue expected = spec.value(record);
          return value ==
                 (expected == FieldValue() ? none : static_cast<decltype(none)>(number_of(expected)));
        });
  };
  const auto number = [](const FieldValue& value) { return std::get<std::uint64_t>(value); };
  switch (spec.stored) {
    case Stored::kPorts:
      return all(columns.ports(spec.field), std::uint16_t{0}, number);
    case Stored::kCounts:
      return all(columns.counters(spec.field), kUnknownCount, number);
    case Stored::kSmall:
      return all(columns.small(spec.field), std::uint8_t{0}, number);
    case Stored::kTimes:
      return all(columns.times(spec.field), kUnknownTime,
                 [](const FieldValue& value) { return std::get<UnixMs>(value).time_since_epoch().count(); });
    default:
      break;
  }
  const auto column = columns.addresses(spec.field);
  REQUIRE(column);
  auto sorted = std::vector(column->distinct.begin(), column->distinct.end());
  std::sort(sorted.begin(), sorted.end());
  return std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end() &&
         std::equal(column->index.begin(), column->index.end(), records.begin(), records.end(),
                    [&](std::size_t index, const SessionRecord& record) {
                      return FieldValue(column->distinct[index]) == spec.value(record);
                    });
}

TEST_CASE("columns say what the records say", "[ledger][frame][columns]") {
  const Effort effort = GENERATE(Effort::kFast, Effort::kSmall);
  const unsigned strange = GENERATE(0U, 10U, 100U);
  RecordDice dice(31 + strange);
  const auto records = dice.roll_many(700, strange);
  const std::string frame = frame_of(records, effort, 5);
  FrameColumns columns;
  REQUIRE(columns.open(bytes_of(frame)));
  CHECK(columns.info().records == 700);
  for (const FieldSpec& spec : kFields) {
    CAPTURE(spec.name);
    if (spec.stored < Stored::kPlain) CHECK(says_the_same(columns, spec, records));
  }
  const auto ordinals = columns.ordinals();
  REQUIRE(ordinals);
  CHECK(std::vector(ordinals->begin(), ordinals->end()) == ordinals_from(5, 700));
}

TEST_CASE("columns make records of chosen rows, in any order", "[ledger][frame][columns]") {
  RecordDice dice(32);
  const auto records = dice.roll_many(500, 30);
  const std::string frame = frame_of(records);
  FrameColumns columns;
  REQUIRE(columns.open(bytes_of(frame)));
  const std::vector<std::uint32_t> rows = {499, 0, 7, 7, 250};
  RecordBlock block;
  REQUIRE(columns.materialise(rows, block));
  REQUIRE(block.records.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(same_records({&block.records[i], 1}, {&records[rows[i]], 1}));
    CHECK(block.ordinals[i] == 1000 + rows[i]);
  }
  REQUIRE(columns.materialise({}, block));
  CHECK(block.records.size() == rows.size());
}

TEST_CASE("one object opens frame after frame, and a bad one leaves nothing to ask for",
          "[ledger][frame][columns]") {
  RecordDice dice(33);
  FrameColumns columns;
  for (int round = 0; round < 20; ++round) {
    const auto records = dice.roll_many(1 + dice.pick(300), 30);
    const std::string frame = frame_of(records);
    REQUIRE(columns.open(bytes_of(frame)));
    RecordBlock block;
    REQUIRE(columns.materialise_all(block));
    REQUIRE(same_records(block.records, records));

    std::string bad = frame;
    bad[40] ^= 1;
    REQUIRE_FALSE(columns.open(bytes_of(bad)));
    CHECK(columns.info().records == 0);
    CHECK(columns.ports(Field::kNatPort)->empty());
    CHECK(columns.times(Field::kStartTime)->empty());
    CHECK(columns.counters(Field::kBytesFromPub)->empty());
    CHECK(columns.small(Field::kReason)->empty());
    CHECK(columns.addresses(Field::kNatIp)->index.empty());
    CHECK(columns.ordinals()->empty());
    CHECK(columns.counters(Field::kSeq)->empty());
    REQUIRE(columns.materialise_all(block));
    CHECK(block.records.size() == records.size());
  }
}

TEST_CASE("damage to one column does not hide those that do not depend on it", "[ledger][frame][columns]") {
  RecordDice dice(34);
  const auto records = dice.roll_many(300, 10);
  std::string frame = frame_of(records);
  frame.back() ^= 1;  // the last column is one of the rare ones
  FrameColumns columns;
  REQUIRE(columns.open(bytes_of(frame)));
  CHECK(columns.ports(Field::kNatPort));
  CHECK(columns.addresses(Field::kNatIp));
  CHECK(columns.times(Field::kEndTime));
  CHECK_FALSE(columns.verify());
  RecordBlock block;
  const auto all = columns.materialise_all(block);
  REQUIRE_FALSE(all);
  CHECK_THAT(all.error().message, Catch::Contains("column 2"));
  CHECK(block.records.empty());
}

// lib/ledger/FORMAT.md is what readers of a ledger rely on: its worked example is what the code writes, byte
// for byte. Its bytes were followed by hand, from the page's own text, when they were written down.

std::vector<SessionRecord> example_records() {
  static const Origin origin{"natgw-1", ""};
  SessionRecord first = golden_tcp();
  first.origin = &origin;
  SessionRecord second = first;
  second.protocol = 17;
  second.pri_port = second.nat_port = 40'001;
  second.pub_ip = ip("192.0.2.53");
  second.pub_port = 53;
  second.bytes_from_pub = Count(151);
  second.pkts_from_pub = Count(1);
  second.bytes_from_vpc = Count(62);
  second.pkts_from_vpc = Count(1);
  second.start_time = at_ms(1'795'263'631'950);
  second.session_start = second.start_time;
  second.end_time = at_ms(1'795'263'662'120);
  second.seq = 0;
  second.tcp_state = TcpState::kNone;

  for (SessionRecord* record : {&first, &second}) record->session_id = derive_session_id(*record);
  return {first, second};
}

// The bytes of the page's example: on each line, what comes before its first word.
std::string example_bytes() {
  std::ifstream page(NATSESSION_LEDGER_FORMAT_PAGE);
  std::string bytes;
  bool within = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      within = line == "```frame";
      continue;
    }
    if (!within) continue;
    std::istringstream words(line);
    for (std::string word; words >> word && word.size() == 2 &&
                           word.find_first_not_of("0123456789abcdef") == std::string::npos;) {
      bytes.push_back(static_cast<char>(std::stoi(word, nullptr, 16)));
    }
  }
  return bytes;
}

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    text += {kDigits[static_cast<unsigned char>(byte) >> 4], kDigits[byte & 15], ' '};
  }
  return text;
}

TEST_CASE("the worked example of FORMAT.md is what the encoder writes, byte for byte",
          "[ledger][frame][format]") {
  const std::string expected = example_bytes();
  REQUIRE(expected.size() > kFrameHeaderBytes);
  CHECK(hex(frame_of(example_records(), Effort::kSmall, 4711)) == hex(expected));
}

TEST_CASE("the worked example of FORMAT.md is read as the records that it gives", "[ledger][frame][format]") {
  RecordBlock block;
  REQUIRE(FrameDecoder().decode(bytes_of(example_bytes()), block));
  CHECK(same_records(block.records, example_records()));
  CHECK(block.ordinals == ordinals_from(4711, 2));
}

}  // namespace
}  // namespace natsession::testing
