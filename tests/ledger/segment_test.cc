#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>

#include <catch2/catch.hpp>

#include "ledger/ledger_fixture.h"
#include "ledger/mend_checksums.h"
#include "ledger/segment_sealer.h"
#include "ledger/segment_walker.h"
#include "ledger/verify_ledger.h"

namespace natsession::testing {
namespace {

// A ledger of three segments: the middle one, of several frames, is what a test damages.
class Damaged {
 public:
  explicit Damaged(bool sealed) : sealed_(sealed) {
    ledger_.frame(0, 2);
    ledger_.next_segment();
    ledger_.frame(2, 3);
    ledger_.frame(5, 4);
    ledger_.group(9, 14, {10, 12});
    ledger_.frame(14, 3);
    ledger_.next_segment();
    ledger_.frame(17, 2);
    if (sealed) seal();
    good_ = read_file(path());
    frames_ = frames_in(ledger_.directory(), 1);
  }

  static constexpr Ordinal kEnd = 19;

  [[nodiscard]] std::string path() const { return ledger_.path(2, sealed_); }
  [[nodiscard]] const std::string& good() const { return good_; }
  [[nodiscard]] const std::vector<FramePlace>& frames() const { return frames_; }
  [[nodiscard]] std::uint64_t end_of_frames() const {
    return frames_.back().offset + frames_.back().info.bytes;
  }

  Reading with(const std::string& file) {
    write_file(path(), file);
    return read_ledger(ledger_.directory());
  }
  // How many records the frames hold that [begin, end) of the file touches.
  [[nodiscard]] std::uint64_t touched(std::uint64_t begin, std::uint64_t end) const {
    std::uint64_t records = 0;
    for (const FramePlace& frame : frames_) {
      if (begin < frame.offset + frame.info.bytes && end > frame.offset) records += frame.info.records;
    }
    return records;
  }

 private:
  // Without merging: each frame by itself, as if each were full.
  void seal() {
    std::string file = read_file(ledger_.path(2));
    file += encode_footer(2, file.size(), {}, frames_in(ledger_.directory(), 1));
    write_file(ledger_.path(2, true), file);
    std::filesystem::remove(ledger_.path(2));
  }

  bool sealed_;
  LedgerFixture ledger_;
  std::string good_;
  std::vector<FramePlace> frames_;
};

// Every record is what it was or is missing: the right number stands at each ordinal.
bool no_wrong_record(const Reading& reading) {
  for (std::size_t index = 0; index < reading.ordinals.size(); ++index) {
    if (reading.ordinals[index] != reading.numbers[index]) return false;
  }
  return true;
}

TEST_CASE("any byte of a segment that is flipped costs the records of its frame, which are counted",
          "[ledger][segment]") {
  const bool sealed = GENERATE(false, true);
  Damaged ledger(sealed);
  for (std::size_t at = 0; at < ledger.good().size(); ++at) {
    std::string file = ledger.good();
    file[at] = static_cast<char>(file[at] ^ (1 << (at % 8)));
    const Reading reading = ledger.with(file);
    INFO("byte " << at);
    REQUIRE(no_wrong_record(reading));
    REQUIRE(reading.complete(0, Damaged::kEnd));
    // (The version in the segment's header has a checksum too, so it costs nothing.)
    REQUIRE(reading.missing() == ledger.touched(at, at + 1));
    for (const Skipped& skipped : reading.skipped) {
      REQUIRE(skipped.reason == RecordReason::kDamaged);
      INFO(skipped.why);
      REQUIRE(skipped.why.find(ledger.path()) != std::string::npos);
    }
  }
}

TEST_CASE("a segment that is cut anywhere costs the records of the frames that are not whole any more",
          "[ledger][segment]") {
  const bool sealed = GENERATE(false, true);
  Damaged ledger(sealed);
  for (std::size_t length = 0; length < ledger.good().size(); ++length) {
    const Reading reading = ledger.with(ledger.good().substr(0, length));
    INFO("length " << length);
    REQUIRE(no_wrong_record(reading));
    REQUIRE(reading.complete(0, Damaged::kEnd));
    REQUIRE(reading.missing() == ledger.touched(length, ledger.good().size()));
  }
}

TEST_CASE("a run of zeros anywhere in a segment costs the frames that it touches", "[ledger][segment]") {
  const bool sealed = GENERATE(false, true);
  Damaged ledger(sealed);
  for (std::size_t at = 0; at < ledger.good().size(); at += 5) {
    std::string file = ledger.good();
    const std::size_t count = std::min<std::size_t>(300, file.size() - at);
    // A byte of zeros may be zero already.
    if (std::all_of(file.begin() + static_cast<std::ptrdiff_t>(at),
                    file.begin() + static_cast<std::ptrdiff_t>(at + count), [](char c) { return c == 0; })) {
      continue;
    }
    std::fill_n(file.begin() + static_cast<std::ptrdiff_t>(at), count, '\0');
    const Reading reading = ledger.with(file);
    INFO("from " << at);
    REQUIRE(no_wrong_record(reading));
    REQUIRE(reading.complete(0, Damaged::kEnd));
    REQUIRE(reading.missing() <= ledger.touched(at, at + count));
  }
}

TEST_CASE("bytes that do not belong between two frames cost no record", "[ledger][segment]") {
  Damaged ledger(false);
  const std::string rubbish = GENERATE(std::string("x"), std::string(1000, '\0'), std::string(50, 'N'),
                                       std::string("NSFrNSFrNSFr"), std::string(300'000, 'F'));
  for (const FramePlace& frame : ledger.frames()) {
    std::string file = ledger.good();
    file.insert(frame.offset, rubbish);
    const Reading reading = ledger.with(file);
    CHECK(reading.complete(0, Damaged::kEnd));
    // Two frames of one group that something came between are not known to belong together; those that lack
    // no ordinal are not concerned.
    CHECK(no_wrong_record(reading));
    if (frame.offset != ledger.frames()[3].offset) CHECK(reading.missing() == 0);
  }
}

TEST_CASE("a frame that stands twice, or in the wrong segment, gives no record twice", "[ledger][segment]") {
  Damaged ledger(false);
  const auto frame_bytes = [&](std::size_t index) {
    return ledger.good().substr(ledger.frames()[index].offset, ledger.frames()[index].info.bytes);
  };
  for (std::size_t which = 0; which < ledger.frames().size(); ++which) {
    for (std::size_t before = 0; before < ledger.frames().size(); ++before) {
      std::string file = ledger.good();
      file.insert(ledger.frames()[before].offset, frame_bytes(which));
      const Reading reading = ledger.with(file);
      REQUIRE(no_wrong_record(reading));
      REQUIRE(reading.complete(0, Damaged::kEnd));
    }
  }
}

// A number in a file that says what cannot be.
struct Lie {
  const char* what;
  std::function<void(std::span<std::byte>)> tell;
};
template <typename Number>
std::function<void(std::span<std::byte>)> at(std::size_t place, Number number) {
  return [=](std::span<std::byte> bytes) { put_le(bytes, place, number); };
}

TEST_CASE("an index that lies is not believed", "[ledger][segment]") {
  Damaged ledger(true);
  const std::size_t index = ledger.end_of_frames();
  const std::size_t trailer = ledger.good().size() - kTrailerBytes;
  const auto index_checksum = [&](std::span<std::byte> bytes) {
    put_le(bytes, trailer + 84, crc32c(bytes.subspan(index, trailer - index)));
  };
  const std::vector<Lie> lies{
      {"more entries than there is room for", at(trailer + 40, std::uint32_t{0xffffffff})},
      {"no entries", at(trailer + 40, std::uint32_t{0})},
      {"an index beyond the file", at(trailer + 32, std::uint64_t{1} << 60)},
      {"an index before the frames", at(trailer + 32, std::uint64_t{0})},
      {"an end that overflows", at(trailer + 24, ~std::uint64_t{0})},
      {"entries outside the frames",
       [&](std::span<std::byte> bytes) {
         put_le(bytes, index, std::uint64_t{1} << 50);
         index_checksum(bytes);
       }},
      {"entries of frames that are larger than all there is",
       [&](std::span<std::byte> bytes) {
         put_le(bytes, index + 28, ~std::uint32_t{0});
         index_checksum(bytes);
       }},
  };
  for (const Lie& lie : lies) {
    INFO(lie.what);
    std::string file = ledger.good();
    lie.tell(std::as_writable_bytes(std::span(file)));
    correct_trailer(file);
    const Reading reading = ledger.with(file);
    CHECK(reading.complete(0, Damaged::kEnd));
    CHECK(reading.missing() == 0);
  }
}

TEST_CASE("a header with impossible numbers is damage, also when its checksum is right",
          "[ledger][segment]") {
  Damaged ledger(false);
  const FramePlace& frame = ledger.frames()[1];
  const std::size_t begin = frame.offset;
  const auto ordinals = [&](Ordinal first, Ordinal last) {
    return [=](std::span<std::byte> bytes) {
      put_le(bytes, begin + 24, first), put_le(bytes, begin + 32, last);
    };
  };
  const std::vector<Lie> lies{
      {"no records", at(begin + 20, std::uint32_t{0})},
      {"too many records", at(begin + 20, std::uint32_t{1} << 31)},
      {"more records than ordinals", at(begin + 20, std::uint32_t{5})},
      {"an end before the beginning", ordinals(8, 7)},
      {"ordinals of the next segment", ordinals(17, 20)},
      {"the highest ordinal", at(begin + 32, ~std::uint64_t{0})},
      {"a length beyond the file", at(begin + 8, std::uint32_t{7'000'000})},
      {"a length of nothing", at(begin + 8, std::uint32_t{0})},
      {"a length within the header", at(begin + 8, std::uint32_t{95})},
  };
  for (const Lie& lie : lies) {
    INFO(lie.what);
    std::string file = ledger.good();
    lie.tell(std::as_writable_bytes(std::span(file)));
    correct_frame_header(file, begin);
    const Reading reading = ledger.with(file);
    CHECK(no_wrong_record(reading));
    CHECK(reading.complete(0, Damaged::kEnd));
    CHECK(reading.missing() == frame.info.records);
  }
}

TEST_CASE("a frame that claims the ordinals of others comes in their place or not at all",
          "[ledger][segment]") {
  Damaged ledger(false);
  const std::size_t at = ledger.frames()[1].offset;
  std::string file = ledger.good();
  const auto bytes = std::as_writable_bytes(std::span(file));
  const Ordinal first = GENERATE(2U, 3U, 6U, 9U, 11U, 13U);
  put_le(bytes, at + 24, first);
  put_le(bytes, at + 32, first + 3);
  correct_frame_header(file, at);
  CHECK(ledger.with(file).complete(0, Damaged::kEnd));
}

TEST_CASE(
    "where one copy of a segment's dictionary is damaged the other counts, and where both are, all is told "
    "as missing",
    "[ledger][segment][damage]") {
  LedgerFixture ledger;
  ledger.append(0, 300);
  REQUIRE(ledger.writer->sync());
  ledger.next_segment();
  ledger.keep();
  const std::string path = ledger.path(0, true);
  std::string file = read_file(path);
  const auto bytes = std::as_bytes(std::span(file));
  const auto header = decode_segment_header(bytes);
  const auto trailer = decode_trailer(bytes.last(kTrailerBytes), file.size());
  REQUIRE(header);
  REQUIRE(trailer);
  REQUIRE(header->peers > 0);
  REQUIRE(trailer->peers == header->peers);
  const std::size_t first = kSegmentHeaderBytes + header->peers / 2;
  const std::size_t second = trailer->frames_end() + trailer->peers / 2;
  const auto whole = file;

  for (const std::size_t at : {first, second}) {
    file = whole;
    file[at] ^= 1;
    write_file(path, file);
    CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 300));
    const auto verified = verify_ledger(ledger.directory());
    REQUIRE(verified);
    CHECK(verified->records == 300);
    CHECK_FALSE(verified->sound());
  }
  file[first] ^= 1;
  write_file(path, file);
  const Reading reading = read_ledger(ledger.directory());
  CHECK(reading.numbers.empty());
  CHECK(reading.missing() == 300);
  REQUIRE_FALSE(reading.skipped.empty());
  CHECK(reading.skipped[0].why.find("dictionary of addresses") != std::string::npos);
}

TEST_CASE("header and footer of a segment read back", "[ledger][segment]") {
  const auto header = encode_segment_header({0x1234, at_second(77), std::chrono::minutes(10)});
  const auto back = decode_segment_header(header);
  REQUIRE(back);
  CHECK(back->first == 0x1234);
  CHECK(back->created == at_second(77));

  FramePlace frame;
  frame.offset = 64;
  frame.info.first = 10;
  frame.info.last = 19;
  frame.info.records = 10;
  frame.info.bytes = 500;
  frame.info.min_start = at_second(1);
  frame.info.max_start = at_second(2);
  frame.info.min_end = at_second(3);
  frame.info.max_end = at_second(4);
  frame.info.long_sessions = true;
  const std::string footer = encode_footer(10, 564, {}, std::vector{frame});
  const auto bytes = std::as_bytes(std::span(footer));
  const auto trailer = decode_trailer(bytes.last(kTrailerBytes), 564 + footer.size());
  REQUIRE(trailer);
  CHECK(trailer->first == 10);
  CHECK(trailer->bounds.end == 20);
  CHECK(trailer->bounds.records == 10);
  CHECK(trailer->bounds.min_start == at_second(1));
  CHECK(trailer->bounds.max_end == at_second(4));
  const auto index = decode_index(bytes.first(footer.size() - kTrailerBytes), *trailer);
  REQUIRE(index);
  REQUIRE(index->size() == 1);
  CHECK((*index)[0].offset == 64);
  CHECK((*index)[0].info.last == 19);
  CHECK((*index)[0].info.long_sessions);
  CHECK((*index)[0].info.max_start == at_second(2));
}

TEST_CASE("the header in FORMAT.md is what is written", "[ledger][segment]") {
  std::ifstream page(NATSESSION_LEDGER_FORMAT_PAGE);
  std::vector<unsigned> bytes;
  bool within = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      within = line == "```segment";
      continue;
    }
    std::istringstream words(within ? line : "");
    for (std::string word;
         words >> word && word.find_first_not_of("0123456789abcdef") == std::string::npos;) {
      bytes.push_back(static_cast<unsigned>(std::stoul(word, nullptr, 16)));
    }
  }
  std::vector<unsigned> written;
  for (const std::byte byte : encode_segment_header({0, UnixMs(kTestStart), std::chrono::minutes(10)})) {
    written.push_back(std::to_integer<unsigned>(byte));
  }
  CHECK(bytes == written);
}

TEST_CASE("segment names are read back, and others refused", "[ledger][segment]") {
  CHECK(SegmentName{0xabc, false}.text() == "0000000000000abc.open");
  CHECK(SegmentName{1, true}.text() == "0000000000000001.sealed");
  CHECK(SegmentName::parse("0000000000000abc.open") == SegmentName{0xabc, false});
  CHECK(SegmentName::parse("0000000000000001.sealed") == SegmentName{1, true});
  for (const char* text :
       {"", "0000000000000abc", "0000000000000ABC.open", "abc.open", "0000000000000abc.open ",
        "000000000000-abc.open", "ffffffffffffffff.open", "0000000000000abc.opem"}) {
    CHECK_FALSE(SegmentName::parse(text));
  }
}

}  // namespace
}  // namespace natsession::testing
