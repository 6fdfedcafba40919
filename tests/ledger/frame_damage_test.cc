// A frame whose bytes are not what they were: never a crash, never a wrong record.
#include <catch2/catch.hpp>

#include "ledger/bytes.h"
#include "ledger/crc32c.h"
#include "ledger/frame_fixture.h"
#include "ledger/frame_layout.h"
#include "ledger/mend_checksums.h"

namespace natsession::testing {
namespace {

// Reads damaged frames in both ways. What a column gives in spite of damage must be right.
class DamageReader {
 public:
  explicit DamageReader(const std::string& good) {
    REQUIRE(columns_.open(bytes_of(good)));
    ports_ = copy_of(columns_.ports(Field::kNatPort));
    bytes_ = copy_of(columns_.counters(Field::kBytesFromPub));
  }

  bool refuses(const std::string& frame) {
    RecordBlock block;
    const auto decoded = decoder_.decode(bytes_of(frame), block);
    if (!decoded) {
      REQUIRE(block.records.empty());
      REQUIRE_FALSE(decoded.error().message.empty());
    }
    if (columns_.open(bytes_of(frame))) {
      const auto ports = columns_.ports(Field::kNatPort);
      if (ports) REQUIRE(std::equal(ports->begin(), ports->end(), ports_.begin(), ports_.end()));
      const auto bytes = columns_.counters(Field::kBytesFromPub);
      if (bytes) REQUIRE(std::equal(bytes->begin(), bytes->end(), bytes_.begin(), bytes_.end()));
    }
    return !decoded.has_value();
  }

 private:
  template <typename T>
  static std::vector<T> copy_of(const Result<std::span<const T>>& values) {
    REQUIRE(values);
    return {values->begin(), values->end()};
  }

  FrameDecoder decoder_;
  FrameColumns columns_;
  std::vector<std::uint16_t> ports_;
  std::vector<std::uint64_t> bytes_;
};

// A frame with every column there is, small enough to be damaged everywhere.
std::string rich_frame(Effort effort) {
  RecordDice dice(21);
  return frame_of(dice.roll_many(60, 40), effort);
}

template <typename T>
void set_in_header(std::string& frame, std::size_t at, T value) {
  store_little_endian(value, frame.data() + at);
  mend_checksums(frame);
}

}  // namespace

TEST_CASE("a frame with any one bit flipped is refused", "[ledger][frame][damage]") {
  const std::string good = rich_frame(GENERATE(Effort::kFast, Effort::kSmall));
  DamageReader reader(good);
  REQUIRE_FALSE(reader.refuses(good));
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string frame = good;
      frame[at] = static_cast<char>(frame[at] ^ (1 << bit));
      CAPTURE(at, bit);
      REQUIRE(reader.refuses(frame));
    }
  }
}

TEST_CASE("a frame that is cut anywhere, or goes on, is refused", "[ledger][frame][damage]") {
  const std::string good = rich_frame(GENERATE(Effort::kFast, Effort::kSmall));
  DamageReader reader(good);
  for (std::size_t length = 0; length < good.size(); ++length) {
    CAPTURE(length);
    REQUIRE(reader.refuses(good.substr(0, length)));
    REQUIRE(read_frame_header(bytes_of(good).first(length)).has_value() == (length >= kFrameHeaderBytes));
  }
  CHECK(reader.refuses(good + '\0'));
}

TEST_CASE("damage that checksums do not show never makes a decoder crash", "[ledger][frame][damage]") {
  const bool with_peers = GENERATE(false, true);
  RecordDice dice(21);
  const auto records = dice.roll_many(60, 20);
  const Peers peers = with_peers ? peers_of(records) : nullptr;
  const std::string good = frame_of(records, GENERATE(Effort::kFast, Effort::kSmall), 1000, peers.get());
  std::mt19937 random(5);
  FrameDecoder decoder;
  FrameColumns columns;
  const std::size_t directory_end = kFrameHeaderBytes + parts_of(60) * kDirectoryEntryBytes;
  for (std::size_t at = kFrameHeaderBytes; at < good.size(); ++at) {
    for (const int value : {0, 1, 0x7f, 0x80, 0xff, static_cast<int>(random() & 0xff)}) {
      std::string frame = good;
      frame[at] = static_cast<char>(value);
      if (at < directory_end && at % kDirectoryEntryBytes < 4) continue;  // lengths
      mend_checksums(frame);
      RecordBlock block;
      const auto result = decoder.decode(bytes_of(frame), block, peers);
      REQUIRE(block.records.size() == (result ? 60U : 0U));
      if (!result) REQUIRE(result.error().kind == ErrorKind::kMalformed);
      // Who asks again is told the same, or what the limits of a field allow.
      if (!columns.open(bytes_of(frame), peers)) continue;
      for (int again = 0; again < 2; ++again) {
        if (const auto reasons = columns.small(Field::kReason)) {
          REQUIRE(*std::max_element(reasons->begin(), reasons->end()) <=
                  static_cast<std::uint8_t>(kLast<RecordReason>));
        }
        if (const auto pubs = columns.addresses(Field::kPubIp)) {
          REQUIRE(*std::max_element(pubs->index.begin(), pubs->index.end()) < pubs->distinct.size());
        }
      }
    }
  }
}

// Several bytes at once, anywhere: what gets past the first check meets the next.
TEST_CASE("much damage that checksums do not show never makes a decoder crash", "[ledger][frame][damage]") {
  RecordDice dice(23);
  const auto records = dice.roll_many(2500, 3);
  const Peers peers = peers_of(records);
  const std::string good = frame_of(records, Effort::kSmall, 1000, peers.get());
  FrameDecoder decoder;
  std::size_t refused = 0;
  for (int round = 0; round < 1500; ++round) {
    std::string frame = good;
    // What is in front tells what is behind: it is hit as often as all the rest.
    const std::size_t first = kFrameHeaderBytes + parts_of(2500) * kDirectoryEntryBytes;
    const std::size_t reach = dice.one_in(2) ? 4000 : frame.size() - first;
    for (std::uint64_t hits = 1 + dice.pick(4); hits > 0; --hits) {
      frame[first + dice.pick(std::min(reach, frame.size() - first))] = static_cast<char>(dice.pick(256));
    }
    mend_checksums(frame);
    RecordBlock block;
    const auto result = decoder.decode(bytes_of(frame), block, peers);
    REQUIRE(block.records.size() == (result ? 2500U : 0U));
    refused += result ? 0U : 1U;
  }
  CHECK(refused > 500);
}

TEST_CASE("lengths and counts that cannot be are refused", "[ledger][frame][damage]") {
  const std::string good = rich_frame(Effort::kFast);
  const auto malformed = [&](std::size_t at, auto value) {
    std::string frame = good;
    store_little_endian(value, frame.data() + at);
    store_little_endian(crc32c(bytes_of(frame).first(header_at::kHeaderChecksum)),
                        frame.data() + header_at::kHeaderChecksum);
    RecordBlock block;
    const auto result = FrameDecoder().decode(bytes_of(frame), block);
    return !result && result.error().kind == ErrorKind::kMalformed;
  };
  CHECK(malformed(header_at::kFrameLength, std::uint32_t{0}));
  CHECK(malformed(header_at::kFrameLength, std::uint32_t{kFrameHeaderBytes}));
  CHECK(malformed(header_at::kFrameLength, static_cast<std::uint32_t>(kMaxFrameBytes + 1)));
  CHECK(malformed(header_at::kFrameLength, static_cast<std::uint32_t>(good.size() - 1)));
  CHECK(malformed(header_at::kRecords, std::uint32_t{0}));
  CHECK(malformed(header_at::kRecords, std::uint32_t{59}));
  CHECK(malformed(header_at::kRecords, static_cast<std::uint32_t>(kMaxSealedRecords + 1)));
  CHECK(malformed(header_at::kRecords, ~std::uint32_t{0}));
  CHECK(malformed(header_at::kLastOrdinal, std::uint64_t{0}));
  CHECK(malformed(header_at::kLastOrdinal, std::uint64_t{1000 + kMaxSealedRecords}));
  CHECK(malformed(header_at::kLastOrdinal, ~std::uint64_t{0}));
  CHECK(malformed(header_at::kParts, std::uint16_t{0xffff}));
  CHECK(malformed(header_at::kHeaderLength, std::uint16_t{95}));
}

TEST_CASE("a frame of a newer version tells so, and how long it is", "[ledger][frame]") {
  std::string frame = rich_frame(Effort::kFast);
  const FrameInfo as_it_was = *read_frame_header(bytes_of(frame));
  std::string word;
  SECTION("by its version") {
    set_in_header(frame, header_at::kVersion, std::uint16_t{3});
    word = "version 3";
  }
  SECTION("by a feature that it needs") {
    set_in_header(frame, header_at::kRequiredFeatures, std::uint32_t{8});
    word = "feature 3";
  }
  const auto info = read_frame_header(bytes_of(frame));
  REQUIRE(info);
  CHECK_FALSE(info->readable);
  CHECK_THAT(info->why, Catch::Contains(word));
  CHECK(info->bytes == as_it_was.bytes);
  CHECK(info->first == as_it_was.first);
  CHECK(info->last == as_it_was.last);
  CHECK(info->max_end == as_it_was.max_end);

  RecordBlock block;
  const auto decoded = FrameDecoder().decode(bytes_of(frame), block);
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().kind == ErrorKind::kUnavailable);
  CHECK_THAT(decoded.error().message, Catch::Contains(word));
  FrameColumns columns;
  CHECK(columns.open(bytes_of(frame)).error().kind == ErrorKind::kUnavailable);
}

TEST_CASE("the whole range of ordinals is no frame", "[ledger][frame][damage]") {
  std::string frame = rich_frame(Effort::kFast);
  store_little_endian(std::uint64_t{0}, frame.data() + header_at::kFirstOrdinal);
  set_in_header(frame, header_at::kLastOrdinal, ~std::uint64_t{0});
  RecordBlock block;
  const auto result = FrameDecoder().decode(bytes_of(frame), block);
  REQUIRE_FALSE(result);
  CHECK(result.error().kind == ErrorKind::kMalformed);
}

TEST_CASE("an optional feature of a newer program is passed over", "[ledger][frame]") {
  RecordDice dice(22);
  const auto records = dice.roll_many(30, 20);
  std::string frame = frame_of(records);
  set_in_header(frame, header_at::kOptionalFeatures, ~std::uint32_t{0});
  RecordBlock block;
  REQUIRE(FrameDecoder().decode(bytes_of(frame), block));
  CHECK(same_records(block.records, records));
}

}  // namespace natsession::testing
