#include "ledger/frame.h"

#include <catch2/catch.hpp>

#include "ledger/frame_fixture.h"

namespace natsession::testing {
namespace {

RecordBlock decoded(const std::string& frame) {
  RecordBlock block;
  const auto result = FrameDecoder().decode(bytes_of(frame), block);
  INFO((result ? "" : result.error().message));
  REQUIRE(result);
  return block;
}

}  // namespace

TEST_CASE("a frame gives back every legal record as it was", "[ledger][frame]") {
  const Effort effort = GENERATE(Effort::kFast, Effort::kSmall);
  const unsigned strange = GENERATE(0U, 3U, 30U, 100U);
  const std::size_t count = GENERATE(1U, 2U, 3U, 17U, 100U, 1000U, 3000U);
  RecordDice dice(strange * 100'000 + count);
  const auto records = dice.roll_many(count, strange);
  CAPTURE(strange, count);
  const std::string frame = frame_of(records, effort);
  const RecordBlock block = decoded(frame);
  REQUIRE(block.records.size() == count);
  for (std::size_t i = 0; i < count; ++i) {
    CAPTURE(i);
    REQUIRE(said_by(block.records[i]) == said_by(records[i]));
  }
  CHECK(block.ordinals == ordinals_from(1000, count));
}

TEST_CASE("a frame of as many records as there may be gives them back", "[ledger][frame]") {
  const Effort effort = GENERATE(Effort::kFast, Effort::kSmall);
  RecordDice dice(7);
  const auto records = dice.roll_many(kMaxFrameRecords, 50);
  const std::string frame = frame_of(records, effort);
  CHECK(frame.size() < kMaxFrameBytes);
  CHECK(same_records(decoded(frame).records, records));
}

TEST_CASE("a frame's header says what is in it", "[ledger][frame]") {
  RecordDice dice(8);
  const auto records = dice.roll_many(300, 10);
  std::vector<Ordinal> ordinals = ordinals_from(77, 300);
  ordinals.back() = 1'000'000;
  std::string frame = "what was there";
  const std::size_t before = frame.size();
  const FrameInfo made = FrameEncoder(Effort::kSmall).encode(records, ordinals, true, frame);
  const auto read = read_frame_header(bytes_of(frame).subspan(before));
  REQUIRE(read);
  const auto by_start = std::minmax_element(records.begin(), records.end(), [](const auto& a, const auto& b) {
    return a.start_time < b.start_time;
  });
  const auto by_end = std::minmax_element(
      records.begin(), records.end(), [](const auto& a, const auto& b) { return a.end_time < b.end_time; });
  for (const FrameInfo& info : {made, *read}) {
    CHECK(info.first == 77);
    CHECK(info.last == 1'000'000);
    CHECK(info.records == 300);
    CHECK(info.bytes == frame.size() - before);
    CHECK(info.long_sessions);
    CHECK(info.readable);
    CHECK(info.min_start == by_start.first->start_time);
    CHECK(info.max_start == by_start.second->start_time);
    CHECK(info.min_end == by_end.first->end_time);
    CHECK(info.max_end == by_end.second->end_time);
  }
  RecordBlock block;
  REQUIRE(FrameDecoder().decode(bytes_of(frame).subspan(before), block));
  CHECK(block.ordinals == ordinals);
}

TEST_CASE("a decoder adds to what a block has, and its records outlive the frame", "[ledger][frame]") {
  RecordDice dice(9);
  const auto first = dice.roll_many(50, 20);
  const auto second = dice.roll_many(70, 20);
  RecordBlock block;
  {
    FrameDecoder decoder;
    for (const auto& records : {first, second}) {
      std::string frame = frame_of(records);
      REQUIRE(decoder.decode(bytes_of(frame), block));
      std::fill(frame.begin(), frame.end(), 'x');
    }
  }
  CHECK(same_records(std::span(block.records).first(50), first));
  CHECK(same_records(std::span(block.records).subspan(50), second));
}

TEST_CASE("an encoder gives the same records back whatever it encoded before", "[ledger][frame]") {
  const Effort effort = GENERATE(Effort::kFast, Effort::kSmall);
  FrameEncoder encoder(effort);
  FrameDecoder decoder;
  RecordDice dice(10);
  for (unsigned round = 0; round < 60; ++round) {
    const auto records = dice.roll_many(1 + dice.pick(200), static_cast<unsigned>(dice.pick(60)));
    std::string frame;
    encoder.encode(records, ordinals_from(round, records.size()), false, frame);
    RecordBlock block;
    REQUIRE(decoder.decode(bytes_of(frame), block));
    REQUIRE(same_records(block.records, records));
  }
}

TEST_CASE("texts that are too long for a frame are cut, and all else is as it was", "[ledger][frame]") {
  RecordDice dice(11);
  auto records = dice.roll_many(400, 0);
  std::deque<std::string> texts;
  std::deque<Origin> origins;
  for (std::size_t i = 0; i < records.size(); ++i) {
    texts.push_back(std::to_string(i) + std::string(i == 0 ? 70'000 : 30'000, 'v'));
    origins.push_back({std::to_string(i) + std::string(20'000, 'i'), std::to_string(i)});
    records[i].vpc_id = texts.back();
    records[i].origin = &origins.back();
  }
  const auto two = std::span(records).first(2);
  const RecordBlock of_two = decoded(frame_of(two));
  CHECK(of_two.records[0].vpc_id == texts[0].substr(0, 65'536));
  CHECK(of_two.records[1].vpc_id == texts[1]);

  const std::string frame = frame_of(records);
  REQUIRE(frame.size() < kMaxFrameBytes);
  const RecordBlock block = decoded(frame);
  REQUIRE(block.records.size() == records.size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    REQUIRE(texts[i].starts_with(block.records[i].vpc_id));
    REQUIRE(block.records[i].vpc_id.size() > 1000);
    REQUIRE(origins[i].instance.starts_with(block.records[i].origin->instance));
    records[i].vpc_id = block.records[i].vpc_id;
    records[i].origin = block.records[i].origin;
  }
  CHECK(same_records(block.records, records));
}

TEST_CASE("what is the same in all records costs nothing", "[ledger][frame]") {
  RecordDice dice(12);
  const SessionRecord record = dice.roll(0);
  const std::vector<SessionRecord> few(2, record);
  const std::vector<SessionRecord> many(kMaxFrameRecords, record);
  CHECK(frame_of(many, Effort::kSmall).size() <= frame_of(few, Effort::kSmall).size() + 60);
}

}  // namespace natsession::testing
