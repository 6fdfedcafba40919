#include "ledger/frame.h"

#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "ledger/dictionaries.h"
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
    REQUIRE(same_records({&block.records[i], 1}, {&records[i], 1}));
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

TEST_CASE("texts that are too long for a column are cut, each of them", "[ledger][frame]") {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 400; ++i) {
    texts.push_back(std::to_string(i) + std::string(i == 0 ? 70'000 : 30'000, 'v'));
  }
  const auto read_back = [](const std::vector<std::string_view>& written) {
    NumberWriter writer(Effort::kFast);
    std::string column;
    append_texts(written, writer, column);
    NumberReader reader;
    ByteReader in(bytes_of(column));
    std::string bytes;
    std::vector<std::string_view> read;
    REQUIRE(read_texts(in, reader, bytes, read));
    return std::vector<std::string>(read.begin(), read.end());
  };
  CHECK(read_back({texts[0], texts[1]}) == std::vector{texts[0].substr(0, kMaxTextBytes), texts[1]});
  const auto all = read_back({texts.begin(), texts.end()});
  REQUIRE(all.size() == texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i)
    CHECK(all[i] == texts[i].substr(0, kMaxTextBytesOfColumn / 400));
}

// In a process of its own: what is interned stays.
TEST_CASE("a frame whose labels are too many for the process cannot be read, and says so",
          "[ledger][frame]") {
  RecordDice dice(12);
  const auto few = dice.roll_many(100, 0);
  auto many = dice.roll_many(kMaxFrameRecords, 0);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < many.size(); ++i) texts.push_back(std::string(100, 'v') + std::to_string(i));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int wrong = 1;  // no frame was refused
    FrameColumns columns;
    for (int round = 0; round < 8 && wrong == 1; ++round) {
      for (std::size_t i = 0; i < many.size(); ++i) {
        texts[i][0] = static_cast<char>('a' + round);
        many[i].vpc_id = texts[i];
      }
      const std::string frame = frame_of(many);
      RecordBlock block;
      if (!columns.open(bytes_of(frame))) ::_exit(2);
      const auto read = columns.materialise_all(block);
      if (read && !same_records(block.records, many)) ::_exit(3);
      if (read) continue;
      const bool told = read.error().message.find("one too many: a process keeps") != std::string::npos;
      const bool others = columns.addresses(Field::kPriIp) && columns.ports(Field::kNatPort);
      wrong = told && others && block.records.empty() ? 0 : 4;
    }
    RecordBlock block;
    if (!FrameDecoder().decode(bytes_of(frame_of(few)), block) || !same_records(block.records, few))
      wrong = 5;
    ::_exit(wrong);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("what is the same in all records costs nothing", "[ledger][frame]") {
  RecordDice dice(12);
  const SessionRecord record = dice.roll(0);
  const std::vector<SessionRecord> few(2, record);
  const std::vector<SessionRecord> many(kMaxFrameRecords, record);
  CHECK(frame_of(many, Effort::kSmall).size() <= frame_of(few, Effort::kSmall).size() + 60);
}

}  // namespace natsession::testing
