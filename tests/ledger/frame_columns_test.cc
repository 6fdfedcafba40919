#include "ledger/frame_columns.h"

#include <algorithm>
#include <fstream>
#include <numeric>
#include <sstream>
#include <tuple>

#include <catch2/catch.hpp>

#include "ledger/frame_fixture.h"
#include "ledger/frame_layout.h"
#include "record/golden.h"

namespace natsession::testing {
namespace {

// Whether a field's column says what each record does, by the table of fields. `of`: the record of each row.
bool says_the_same(FrameColumns& columns, const FieldSpec& spec, std::span<const SessionRecord* const> of) {
  const auto all = [&](const auto& column, auto none, auto number_of) {
    REQUIRE(column);
    REQUIRE(column->size() == of.size());
    for (std::size_t row = 0; row < of.size(); ++row) {
      if (of[row] == nullptr) continue;  // not wanted
      const FieldValue expected = spec.value(*of[row]);
      const auto value = expected == FieldValue() ? none : static_cast<decltype(none)>(number_of(expected));
      if ((*column)[row] != value) return false;
    }
    return true;
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
  for (std::size_t row = 0; row < of.size(); ++row) {
    if (of[row] != nullptr && FieldValue(column->distinct[column->index[row]]) != spec.value(*of[row]))
      return false;
  }
  return true;
}

// The record of each row, of a frame whose first ordinal is that of the first record.
std::vector<const SessionRecord*> by_row(FrameColumns& columns, std::span<const SessionRecord> records) {
  const auto ordinals = columns.ordinals();
  REQUIRE(ordinals);
  std::vector<const SessionRecord*> of;
  for (const Ordinal ordinal : *ordinals) of.push_back(&records[ordinal - columns.info().first]);
  return of;
}

TEST_CASE("columns say what the records say", "[ledger][frame][columns]") {
  const Effort effort = GENERATE(Effort::kFast, Effort::kSmall);
  const unsigned strange = GENERATE(0U, 10U, 100U);
  RecordDice dice(31 + strange);
  const auto records = dice.roll_many(GENERATE(700U, 5000U), strange);
  const Peers peers = GENERATE(false, true) ? peers_of(records) : nullptr;
  const std::string frame = frame_of(records, effort, 5, peers.get());
  FrameColumns columns;
  REQUIRE(columns.open(bytes_of(frame), peers));
  CHECK(columns.info().records == records.size());
  auto of = by_row(columns, records);
  // nat_ip, pri_ip, ordinal: so they stand.
  CHECK(std::is_sorted(of.begin(), of.end(), [](const SessionRecord* a, const SessionRecord* b) {
    return std::tuple(a->nat_ip, a->pri_ip, a) < std::tuple(b->nat_ip, b->pri_ip, b);
  }));
  for (const FieldSpec& spec : kFields) {
    CAPTURE(spec.name);
    if (spec.stored < Stored::kPlain) CHECK(says_the_same(columns, spec, of));
  }
  std::sort(of.begin(), of.end());
  CHECK(std::adjacent_find(of.begin(), of.end()) == of.end());
}

TEST_CASE("columns say it of the rows that are wanted, whatever is asked for first",
          "[ledger][frame][columns]") {
  RecordDice dice(35);
  const auto records = dice.roll_many(9000, 10);
  const Peers peers = GENERATE(false, true) ? peers_of(records) : nullptr;
  const std::string frame = frame_of(records, Effort::kSmall, 5, peers.get());
  FrameColumns whole;
  REQUIRE(whole.open(bytes_of(frame), peers));
  const auto of = by_row(whole, records);
  std::vector<FieldSpec> fields;
  std::copy_if(kFields.begin(), kFields.end(), std::back_inserter(fields),
               [](const FieldSpec& spec) { return spec.stored < Stored::kPlain; });
  FrameColumns columns;
  for (int round = 0; round < 12; ++round) {
    REQUIRE(columns.open(bytes_of(frame), peers));
    auto wanted = std::vector<const SessionRecord*>(of.size(), nullptr);
    for (int more = 0; more < 3; ++more) {
      std::vector<std::uint32_t> rows;
      for (int i = 0; i < 3; ++i) rows.push_back(static_cast<std::uint32_t>(dice.pick(of.size())));
      columns.want(rows);
      std::fill(wanted.begin(), wanted.end(), nullptr);
      for (const std::uint32_t row : rows) wanted[row] = of[row];
      for (std::size_t i = 0; i < fields.size(); ++i) std::swap(fields[i], fields[dice.pick(fields.size())]);
      for (const FieldSpec& spec : fields) {
        CAPTURE(round, more, spec.name);
        REQUIRE(says_the_same(columns, spec, wanted));
      }
    }
  }
}

TEST_CASE("rows that are wanted later come out as if they had been wanted at once",
          "[ledger][frame][columns]") {
  RecordDice dice(41);
  const auto records = dice.roll_many(9000, 10);
  const Peers peers = GENERATE(false, true) ? peers_of(records) : nullptr;
  const std::string frame = frame_of(records, Effort::kSmall, 5, peers.get());
  FrameColumns whole;
  REQUIRE(whole.open(bytes_of(frame), peers));
  const auto of = by_row(whole, records);
  FrameColumns columns;
  for (int round = 0; round < 30; ++round) {
    REQUIRE(columns.open(bytes_of(frame), peers));
    // Now up to an early row of a block, now to a late one, now many, now all: whatever was decoded before.
    for (int more = 0; more < 6; ++more) {
      const std::size_t limit = 1 + dice.pick(of.size());
      const std::size_t count = dice.pick(4) == 0 ? 3000 : 1 + dice.pick(5);
      std::vector<std::uint32_t> rows;
      for (std::size_t i = 0; i < count; ++i) rows.push_back(static_cast<std::uint32_t>(dice.pick(limit)));
      if (dice.pick(8) == 0) {
        columns.want_all();
        rows.resize(of.size());
        std::iota(rows.begin(), rows.end(), 0U);
      } else {
        columns.want(rows);
      }
      CAPTURE(round, more, limit, count);
      if (dice.pick(2) == 0) {
        RecordBlock block;
        REQUIRE(columns.materialise(rows, block));
        for (std::size_t i = 0; i < rows.size(); ++i)
          REQUIRE(same_records({&block.records[i], 1}, {of[rows[i]], 1}));
        continue;
      }
      const FieldSpec& spec = kFields[dice.pick(kFields.size())];
      if (spec.stored >= Stored::kPlain) continue;
      CAPTURE(spec.name);
      std::vector<const SessionRecord*> wanted(of.size(), nullptr);
      for (const std::uint32_t row : rows) wanted[row] = of[row];
      REQUIRE(says_the_same(columns, spec, wanted));
    }
  }
}

TEST_CASE("columns are read part by part where only some of them are asked for", "[ledger][frame][columns]") {
  RecordDice dice(36);
  const auto records = dice.roll_many(20'000, 0);
  const std::string frame = frame_of(records, Effort::kSmall);
  std::uint64_t read = 0;
  FrameColumns columns;
  REQUIRE(columns.open(
      static_cast<std::uint32_t>(frame.size()),
      [&](std::uint64_t at, std::span<std::byte> out) {
        read += out.size();
        std::copy_n(bytes_of(frame).begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
        return true;
      },
      nullptr));
  const IpAddress nat = records[77].nat_ip;
  std::vector<std::uint32_t> rows;
  REQUIRE(columns.rows_of({[&](const IpAddress& each) { return each == nat; }, nat, nat}, {}, rows));
  REQUIRE_FALSE(rows.empty());
  RecordBlock block;
  REQUIRE(columns.materialise(rows, block));
  CHECK(read < frame.size() / 2);
  std::vector<SessionRecord> expected;
  for (const SessionRecord& record : records) {
    if (record.nat_ip == nat) expected.push_back(record);
  }
  std::vector<std::size_t> order(block.records.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return block.ordinals[a] < block.ordinals[b]; });
  REQUIRE(block.records.size() == expected.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    REQUIRE(same_records({&block.records[order[i]], 1}, {&expected[i], 1}));
  }
}

TEST_CASE("a frame that cannot be read further is an error", "[ledger][frame][columns]") {
  RecordDice dice(37);
  const std::string frame = frame_of(dice.roll_many(20'000, 0));
  std::uint64_t end = frame.size();
  FrameColumns columns;
  const auto read = [&](std::uint64_t at, std::span<std::byte> out) {
    if (at + out.size() > end) return false;
    std::copy_n(bytes_of(frame).begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
    return true;
  };
  REQUIRE(columns.open(static_cast<std::uint32_t>(frame.size()), read, {}));
  end = frame.size() - 1;
  RecordBlock block;
  CHECK_FALSE(columns.materialise_all(block));
  CHECK(block.records.empty());
  end = 100;
  CHECK_FALSE(columns.open(static_cast<std::uint32_t>(frame.size()), read, {}));
}

TEST_CASE("a frame finds the rows of its addresses", "[ledger][frame][columns]") {
  RecordDice dice(38);
  const auto records = dice.roll_many(6000, GENERATE(0U, 20U));
  const std::string frame = frame_of(records, Effort::kSmall);
  FrameColumns columns;
  REQUIRE(columns.open(bytes_of(frame)));
  const auto of = by_row(columns, records);
  const IpAddress lowest;
  const IpAddress highest = *IpAddress::parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  for (std::size_t i = 0; i < 100; ++i) {
    const SessionRecord& one = records[i * 31];
    const IpAddress from = std::min(one.pri_ip, records[i].pri_ip);
    const IpAddress to = std::max(one.pri_ip, records[i].pri_ip);
    const auto nat = [&](const IpAddress& address) { return address == one.nat_ip; };
    const auto pri = [&](const IpAddress& address) {
      return address == one.pri_ip || address == records[i].pri_ip;
    };
    std::vector<std::uint32_t> rows;
    std::vector<std::uint32_t> by_nat;
    std::vector<std::uint32_t> by_pri;
    std::vector<std::uint32_t> by_both;
    for (std::uint32_t row = 0; row < of.size(); ++row) {
      const bool none =
          of[row]->nat_ip == IpAddress();  // as of gap records, which are among them in any case
      if (none || nat(of[row]->nat_ip)) by_nat.push_back(row);
      if (none || pri(of[row]->pri_ip)) by_pri.push_back(row);
      if (none || (nat(of[row]->nat_ip) && pri(of[row]->pri_ip))) by_both.push_back(row);
    }
    REQUIRE(columns.rows_of({nat, lowest, highest}, {nullptr, lowest, highest}, rows));
    REQUIRE(rows == by_nat);
    REQUIRE(columns.rows_of({nullptr, lowest, highest}, {pri, from, to}, rows));
    REQUIRE(rows == by_pri);
    REQUIRE(columns.rows_of({nat, one.nat_ip, one.nat_ip}, {pri, from, to}, rows));
    REQUIRE(rows == by_both);
  }
}

TEST_CASE("a frame leaves the rows whose pub_ip passes, by its segment's dictionary or without",
          "[ledger][frame][columns]") {
  RecordDice dice(39);
  const auto records = dice.roll_many(9000, GENERATE(0U, 20U));
  const Peers peers = GENERATE(false, true) ? peers_of(records) : nullptr;
  const std::string frame = frame_of(records, Effort::kSmall, 5, peers.get());
  FrameColumns columns;
  REQUIRE(columns.open(bytes_of(frame), peers));
  const auto of = by_row(columns, records);
  std::vector<IpAddress> asked;
  for (std::size_t i = 0; i < 40; ++i) asked.push_back(records[i * 211].pub_ip);
  asked.push_back(*IpAddress::parse("255.255.255.255"));
  asked.push_back(IpAddress());
  std::sort(asked.begin(), asked.end());
  const auto passes = [&](const IpAddress& address) {
    return std::binary_search(asked.begin(), asked.end(), address);
  };
  std::vector<std::uint32_t> all(of.size());
  std::iota(all.begin(), all.end(), 0U);
  const std::vector<std::uint32_t> few = {3, 77, 4100, 8999};
  FrameColumns::PubMarks marks[2];
  for (const auto& begun : {few, all, few}) {
    std::vector<std::uint32_t> expected;
    std::copy_if(begun.begin(), begun.end(), std::back_inserter(expected),
                 [&](std::uint32_t row) { return passes(of[row]->pub_ip); });
    for (const bool listed : {false, true}) {
      auto rows = begun;
      columns.want(rows);
      REQUIRE(columns.keep_pub_ips(passes,
                                   listed ? std::span<const IpAddress>(asked) : std::span<const IpAddress>(),
                                   marks[listed ? 1 : 0], rows));
      CHECK(rows == expected);
    }
  }
}

TEST_CASE("a list of pub_ip leaves the same rows where all are IPv4, and whatever else is asked before",
          "[ledger][frame][columns]") {
  RecordDice dice(42);
  auto records = dice.roll_many(9000, 0);
  // Some in the dictionary, some that one record has, none of IPv6.
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto low =
        static_cast<std::uint32_t>(dice.pick(3) == 0 ? 0x0100'0000 + 7919 * i : 77 * dice.pick(500));
    records[i].pub_ip = IpAddress::from_v4(low);
    records[i].session_id = derive_session_id(records[i]);
  }
  const Peers peers = peers_of(records);
  REQUIRE(peers != nullptr);
  const std::string frame = frame_of(records, Effort::kSmall, 5, peers.get());
  FrameColumns columns;
  REQUIRE(columns.open(bytes_of(frame), peers));
  const auto of = by_row(columns, records);
  std::vector<IpAddress> asked;
  for (std::size_t i = 0; i < GENERATE(1U, 40U, 600U); ++i) asked.push_back(records[i * 13].pub_ip);
  asked.push_back(IpAddress());
  std::sort(asked.begin(), asked.end());
  const auto passes = [&](const IpAddress& address) {
    return std::binary_search(asked.begin(), asked.end(), address);
  };
  FrameColumns::PubMarks marks;
  for (int round = 0; round < 8; ++round) {
    REQUIRE(columns.open(bytes_of(frame), peers));
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = 0; row < of.size(); ++row) {
      if (round < 2 || dice.pick(8) != 0) rows.push_back(row);
    }
    std::vector<std::uint32_t> expected;
    std::copy_if(rows.begin(), rows.end(), std::back_inserter(expected),
                 [&](std::uint32_t row) { return passes(of[row]->pub_ip); });
    if (round % 2 != 0) {
      columns.want(std::span(rows).first(3 + dice.pick(3000)));
      REQUIRE(columns.addresses(Field::kPubIp));
    }
    columns.want(rows);
    REQUIRE(columns.keep_pub_ips(passes, asked, marks, rows));
    REQUIRE(rows == expected);
  }
}

TEST_CASE("a frame asks for its segment's dictionary when a column needs it, and not before",
          "[ledger][frame][columns]") {
  RecordDice dice(40);
  const auto records = dice.roll_many(3000, 0);
  const Peers peers = peers_of(records);
  REQUIRE(peers != nullptr);
  const std::string frame = frame_of(records, Effort::kSmall, 5, peers.get());
  const auto read = [&](std::uint64_t at, std::span<std::byte> out) {
    std::copy_n(bytes_of(frame).begin() + static_cast<std::ptrdiff_t>(at), out.size(), out.begin());
    return true;
  };
  int asked = 0;
  bool there = false;
  const auto peers_of_segment = [&] {
    ++asked;
    return there ? peers : nullptr;
  };
  FrameColumns columns;
  REQUIRE(columns.open(static_cast<std::uint32_t>(frame.size()), read, peers_of_segment));
  REQUIRE(columns.ports(Field::kNatPort));
  REQUIRE(columns.addresses(Field::kPriIp));
  REQUIRE(columns.times(Field::kEndTime));
  CHECK(asked == 0);
  // Without it what needs it is damaged, however often that is asked for, and nothing else.
  for (int i = 0; i < 2; ++i) {
    const auto column = columns.addresses(Field::kPubIp);
    REQUIRE_FALSE(column);
    CHECK(column.error().message.find("dictionary of addresses") != std::string::npos);
    CHECK_FALSE(columns.ports(Field::kPubPort));
    CHECK(columns.ports(Field::kNatPort));
  }
  CHECK(asked == 1);
  there = true;
  REQUIRE(columns.open(static_cast<std::uint32_t>(frame.size()), read, peers_of_segment));
  CHECK(columns.addresses(Field::kPubIp));
  CHECK(asked == 2);
}

TEST_CASE("columns make records of chosen rows, in any order", "[ledger][frame][columns]") {
  RecordDice dice(32);
  const auto records = dice.roll_many(5000, 30);
  const std::string frame = frame_of(records);
  FrameColumns columns;
  REQUIRE(columns.open(bytes_of(frame)));
  const auto of = by_row(columns, records);
  const std::vector<std::uint32_t> rows = {4999, 0, 7, 7, 2500};
  RecordBlock block;
  REQUIRE(columns.materialise(rows, block));
  REQUIRE(block.records.size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CHECK(same_records({&block.records[i], 1}, {of[rows[i]], 1}));
    CHECK(block.ordinals[i] == 1000 + static_cast<Ordinal>(of[rows[i]] - records.data()));
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

TEST_CASE("damage to one part does not hide what does not depend on it", "[ledger][frame][columns]") {
  RecordDice dice(34);
  const auto records = dice.roll_many(3000, 10);
  std::string frame = frame_of(records);
  frame.back() ^= 1;  // the second of two blocks
  FrameColumns columns;
  REQUIRE(columns.open(bytes_of(frame)));
  CHECK(columns.ports(Field::kNatPort));
  CHECK(columns.addresses(Field::kNatIp));
  CHECK_FALSE(columns.times(Field::kEndTime));
  CHECK_FALSE(columns.verify());
  const std::vector<std::uint32_t> first = {0, 100};
  columns.want(first);
  CHECK(columns.times(Field::kEndTime));
  RecordBlock block;
  CHECK(columns.materialise(first, block));
  block.clear();
  const auto all = columns.materialise_all(block);
  REQUIRE_FALSE(all);
  CHECK_THAT(all.error().message, Catch::Contains("column 1"));
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
