#include "ledger/frame.h"

#include <arpa/inet.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "ledger/frame_fixture.h"

namespace natsession::testing {
namespace {

RecordBlock decoded(const std::string& frame, const Peers& peers = nullptr) {
  RecordBlock block;
  const auto result = FrameDecoder().decode(bytes_of(frame), block, peers);
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
  const Peers peers = GENERATE(false, true) ? peers_of(records) : nullptr;
  CAPTURE(strange, count, peers != nullptr);
  const std::string frame = frame_of(records, effort, 1000, peers.get());
  const RecordBlock block = decoded(frame, peers);
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
  const auto records = dice.roll_many(kMaxSealedRecords, GENERATE(5U, 100U));
  const std::string frame = frame_of(records, effort);
  CHECK(frame.size() < kMaxFrameBytes);
  const RecordBlock block = decoded(frame);
  CHECK(same_records(block.records, records));
  CHECK(block.ordinals == ordinals_from(1000, records.size()));
}

// Those of long sessions: other frames have the ordinals between.
TEST_CASE("a frame gives back ordinals that do not follow one another", "[ledger][frame]") {
  const Effort effort = GENERATE(Effort::kFast, Effort::kSmall);
  const std::size_t count = GENERATE(1U, 2U, 50U, 3000U);
  RecordDice dice(71);
  const auto records = dice.roll_many(count, 10);
  std::vector<Ordinal> ordinals;
  for (Ordinal next = 5; ordinals.size() < count; next += 1 + dice.pick(kMaxSealedRecords / count)) {
    ordinals.push_back(next);
  }
  std::string frame;
  FrameEncoder(effort).encode(records, ordinals, true, frame);
  const RecordBlock block = decoded(frame);
  CHECK(same_records(block.records, records));
  CHECK(block.ordinals == ordinals);
}

TEST_CASE("a frame needs the dictionary that it was made with, and no other", "[ledger][frame]") {
  RecordDice dice(72);
  const auto records = dice.roll_many(400, 0);
  const Peers peers = peers_of(records);
  const Peers others = peers_of(std::span(records).first(200));
  REQUIRE(peers != nullptr);
  REQUIRE(others != nullptr);
  const std::string frame = frame_of(records, Effort::kSmall, 1000, peers.get());
  CHECK(frame.size() < frame_of(records, Effort::kSmall).size());
  RecordBlock block;
  for (const Peers& wrong : {Peers(), others}) {
    const auto result = FrameDecoder().decode(bytes_of(frame), block, wrong);
    REQUIRE_FALSE(result);
    CHECK_THAT(result.error().message, Catch::Contains("dictionary"));
  }
  CHECK(same_records(decoded(frame, peers).records, records));
  // And one that it does not need is not asked.
  CHECK(same_records(decoded(frame_of(records), others).records, records));
}

TEST_CASE("a frame has as many nat_ips, hosts and peers as it has records", "[ledger][frame]") {
  const Effort effort = GENERATE(Effort::kFast, Effort::kSmall);
  RecordDice dice(73, 4000);
  auto records = dice.roll_many(5000, 0);
  const bool v4 = GENERATE(false, true);
  for (std::size_t i = 0; i < records.size(); ++i) {
    std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
    bytes[5] = static_cast<std::uint8_t>(i % 3);
    bytes[14] = static_cast<std::uint8_t>(i >> 8);
    bytes[15] = static_cast<std::uint8_t>(i);
    for (IpAddress* address : {&records[i].pri_ip, &records[i].nat_ip, &records[i].pub_ip}) {
      *address = v4 ? IpAddress::from_v4(static_cast<std::uint32_t>(i * 77)) : IpAddress::from_v6(bytes);
    }
    records[i].session_id = records[i].event == RecordEvent::kGap ? 0 : derive_session_id(records[i]);
  }
  CHECK(same_records(decoded(frame_of(records, effort)).records, records));
}

TEST_CASE("frames of gaps alone, and of no known start, are given back", "[ledger][frame]") {
  const Effort effort = GENERATE(Effort::kFast, Effort::kSmall);
  RecordDice dice(74);
  std::vector<SessionRecord> gaps;
  while (gaps.size() < 100) {
    const SessionRecord record = dice.roll(60);
    if (record.event == RecordEvent::kGap) gaps.push_back(record);
  }
  CHECK(same_records(decoded(frame_of(gaps, effort)).records, gaps));
}

TEST_CASE("a frame's header says what is in it", "[ledger][frame]") {
  RecordDice dice(8);
  const auto records = dice.roll_many(300, 10);
  std::vector<Ordinal> ordinals = ordinals_from(77, 300);
  ordinals.back() = 60'000;
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
    CHECK(info.last == 60'000);
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

// The texts of a frame's vpc_ids, as they stand in its head.
std::vector<std::string> vpc_ids_in(const std::string& frame) {
  ByteReader in(bytes_of(frame).subspan(
      kFrameHeaderBytes + parts_of(read_frame_header(bytes_of(frame))->records) * kDirectoryEntryBytes));
  std::vector<std::string> texts;
  for (const bool of_origins : {true, false}) {
    for (std::uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
      const auto text = in.take(in.varint());
      if (!of_origins) texts.emplace_back(reinterpret_cast<const char*>(text.data()), text.size());
    }
  }
  REQUIRE(in.ok());
  return texts;
}

TEST_CASE("texts that are too long for a frame are cut, each of them", "[ledger][frame]") {
  const std::size_t count = GENERATE(2U, 400U);
  RecordDice dice(11);
  auto records = dice.roll_many(count, 0);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) {
    texts.push_back(std::to_string(i) + std::string(i == 0 ? 70'000 : 30'000, 'v'));
    records[i].pri_ip = IpAddress::from_v4(htonl(static_cast<std::uint32_t>(i)));
    records[i].nat_ip = IpAddress();
  }
  for (std::size_t i = 0; i < count; ++i) records[i].vpc_id = texts[i];
  const std::size_t limit = count == 2 ? kMaxTextBytes : kMaxTextBytesOfFrame / count;
  std::vector<std::string> cut;
  for (const std::string& text : texts) cut.push_back(text.substr(0, limit));
  CHECK((vpc_ids_in(frame_of(records)) == cut));
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
    // What is known before stays so.
    RecordBlock known;
    if (!FrameDecoder().decode(bytes_of(frame_of(few)), known)) ::_exit(6);
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
  SessionRecord record = dice.roll(0);
  // What is left of the bytes of more packets is as good as random.
  record.pkts_from_vpc = record.pkts_from_pub = Count(1);
  const std::vector<SessionRecord> few(2, record);
  const std::vector<SessionRecord> many(kMaxFrameRecords, record);
  // But for two bytes of nat_port, a knot for 32 records, and what stands in the directory for each block.
  const std::size_t directory = (parts_of(many.size()) - parts_of(few.size())) * kDirectoryEntryBytes;
  CHECK(frame_of(many, Effort::kSmall).size() <=
        frame_of(few, Effort::kSmall).size() + 2 * many.size() + many.size() / 32 + directory + 200);
}

TEST_CASE("a record at the first or last time that there is is as long as it says", "[ledger][frame]") {
  RecordDice dice(1);
  SessionRecord record = dice.roll_many(1, 0)[0];
  const auto [start, end, is_long] = GENERATE(table<UnixMs, UnixMs, bool>({
      {UnixMs::min(), UnixMs::min(), false},
      {UnixMs::max(), UnixMs::max(), false},
      {UnixMs::min(), UnixMs::max(), true},
      {UnixMs::min(), UnixMs::min() + std::chrono::minutes(10), false},
      {UnixMs::min(), UnixMs::min() + std::chrono::minutes(11), true},
  }));
  record.start_time = start;
  record.end_time = end;
  std::string bytes;
  GroupEncoder().encode({&record, 1}, 7, std::chrono::minutes(10), bytes);
  const auto info = read_frame_header(bytes_of(bytes));
  REQUIRE(info);
  CHECK(info->long_sessions == is_long);
}

}  // namespace natsession::testing
