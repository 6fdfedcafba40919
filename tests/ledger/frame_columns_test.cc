#include "ledger/frame_columns.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "ledger/frame_fixture.h"
#include "ledger/frame_layout.h"

namespace natsession::testing {
namespace {

template <typename T>
std::vector<T> copy_of(const Result<std::span<const T>>& values) {
  REQUIRE(values);
  return {values->begin(), values->end()};
}

template <typename T>
auto each(std::span<const SessionRecord> records, T value_of) {
  std::vector<decltype(value_of(records[0]))> values;
  for (const SessionRecord& record : records) values.push_back(value_of(record));
  return values;
}

std::uint64_t number_of(Count count) {
  return count.known() ? count.value() : kUnknownCount;
}

}  // namespace

TEST_CASE("columns say what the records say", "[ledger][frame][columns]") {
  const Effort effort = GENERATE(Effort::kFast, Effort::kSmall);
  const unsigned strange = GENERATE(0U, 10U, 100U);
  RecordDice dice(31 + strange);
  const auto records = dice.roll_many(700, strange);
  const std::string frame = frame_of(records, effort, 5);
  FrameColumns columns;
  REQUIRE(columns.open(bytes_of(frame)));
  CHECK(columns.info().records == 700);

  using Record = const SessionRecord&;
  CHECK(copy_of(columns.ports(Field::kNatPort)) == each(records, [](Record r) { return r.nat_port; }));
  CHECK(copy_of(columns.ports(Field::kPriPort)) == each(records, [](Record r) { return r.pri_port; }));
  CHECK(copy_of(columns.ports(Field::kPubPort)) == each(records, [](Record r) { return r.pub_port; }));
  CHECK(copy_of(columns.times(Field::kStartTime)) ==
        each(records, [](Record r) { return std::int64_t{r.start_time.time_since_epoch().count()}; }));
  CHECK(copy_of(columns.times(Field::kEndTime)) ==
        each(records, [](Record r) { return std::int64_t{r.end_time.time_since_epoch().count()}; }));
  CHECK(copy_of(columns.counters(Field::kBytesFromPub)) ==
        each(records, [](Record r) { return number_of(r.bytes_from_pub); }));
  CHECK(copy_of(columns.counters(Field::kBytesFromVpc)) ==
        each(records, [](Record r) { return number_of(r.bytes_from_vpc); }));
  CHECK(copy_of(columns.counters(Field::kPktsFromPub)) ==
        each(records, [](Record r) { return number_of(r.pkts_from_pub); }));
  CHECK(copy_of(columns.counters(Field::kPktsFromVpc)) ==
        each(records, [](Record r) { return number_of(r.pkts_from_vpc); }));
  CHECK(copy_of(columns.small(Field::kProtocol)) == each(records, [](Record r) { return r.protocol; }));
  CHECK(copy_of(columns.small(Field::kEvent)) ==
        each(records, [](Record r) { return static_cast<std::uint8_t>(r.event); }));
  CHECK(copy_of(columns.small(Field::kReason)) ==
        each(records, [](Record r) { return static_cast<std::uint8_t>(r.reason); }));
  CHECK(copy_of(columns.small(Field::kTcpState)) ==
        each(records, [](Record r) { return static_cast<std::uint8_t>(r.tcp_state); }));
  CHECK(copy_of(columns.ordinals()) == ordinals_from(5, 700));

  const auto address_is = [&](Field field, auto value_of) {
    const auto column = columns.addresses(field);
    REQUIRE(column);
    for (std::size_t i = 0; i < records.size(); ++i) {
      REQUIRE(column->distinct[column->index[i]] == value_of(records[i]));
    }
    auto sorted = std::vector(column->distinct.begin(), column->distinct.end());
    std::sort(sorted.begin(), sorted.end());
    CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
  };
  address_is(Field::kPriIp, [](Record r) { return r.pri_ip; });
  address_is(Field::kPubIp, [](Record r) { return r.pub_ip; });
  address_is(Field::kNatIp, [](Record r) { return r.nat_ip; });
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

}  // namespace natsession::testing
