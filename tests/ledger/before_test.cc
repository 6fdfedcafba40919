// Ledgers whose frames are of version 1, as an earlier build left them: what becomes of them where they are
// torn, damaged, sealed, read on from a cursor and summed up.
#include <catch2/catch.hpp>

#include "ledger/bytes.h"
#include "ledger/cursor.h"
#include "ledger/frame_layout.h"
#include "ledger/ledger_fixture.h"
#include "ledger/segment_sums.h"
#include "ledger/verify_ledger.h"

namespace natsession::testing {
namespace {

// Records 0 to 39 in a sealed segment, 40 to 49 in one that is open, a frame each.
struct Before {
  Before() {
    settings.directory = temp.file("ledger");
    std::filesystem::copy(NATSESSION_LEDGER_BEFORE, settings.directory,
                          std::filesystem::copy_options::recursive);
  }
  [[nodiscard]] std::string path(Ordinal first, bool sealed) const {
    return settings.directory + "/segments/" + segment_name(first, sealed);
  }
  [[nodiscard]] Reading read(Ordinal place = 0) const { return read_ledger(settings.directory, place); }
  // The version of each frame of segment number `index`.
  [[nodiscard]] std::vector<unsigned> versions(std::size_t index) const {
    const auto list = SegmentList::open(settings.directory);
    REQUIRE(list);
    const std::string file =
        read_file(settings.directory + "/segments/" + list->entries().at(index).name.text());
    std::vector<unsigned> versions;
    for (const FramePlace& frame : frames_in(settings.directory, index)) {
      versions.push_back(
          get_le<std::uint16_t>(std::as_bytes(std::span(file)), frame.offset + header_at::kVersion));
    }
    return versions;
  }
  // Writes `number`, goes over to a new segment, writes the next number there, and seals what can be sealed.
  void go_on(std::uint32_t number) {
    const auto writer = LedgerWriter::open(settings, clock);
    REQUIRE(writer);
    (*writer)->begin();
    REQUIRE(append_one(**writer, number));
    REQUIRE((*writer)->sync());
    clock.advance(settings.segment_span);
    (*writer)->tick();
    REQUIRE(append_one(**writer, number + 1));
    REQUIRE((*writer)->sync());
    Compactor compactor(settings, clock);
    run_to_rest(compactor);
  }
  // A byte of a segment's only frame, near its end: the header stays good.
  void damage(Ordinal first, bool sealed) {
    const FramePlace frame = frames_in(settings.directory, first == 0 ? 0 : 1).at(0);
    std::string file = read_file(path(first, sealed));
    file[frame.offset + frame.info.bytes - 3] = static_cast<char>(~file[frame.offset + frame.info.bytes - 3]);
    write_file(path(first, sealed), file);
  }

  TempDir temp{memory_folder()};
  LedgerSettings settings;
  ManualClock clock{UnixNs(kTestStart)};
};

TEST_CASE("sealing writes frames of version 1 anew, with the same records under the same ordinals",
          "[ledger][before]") {
  Before ledger;
  CHECK(ledger.versions(1) == std::vector<unsigned>{1});
  ledger.go_on(50);
  CHECK(std::filesystem::exists(ledger.path(40, true)));
  CHECK(ledger.versions(1) == std::vector<unsigned>{2});
  CHECK(ledger.versions(0) == std::vector<unsigned>{1});  // what is sealed stays as it is
  const Reading reading = ledger.read();
  CHECK(reading.numbers == numbers(0, 52));
  CHECK(reading.complete(0, 52));
  CHECK(reading.skipped.empty());
  const auto verified = verify_ledger(ledger.settings.directory);
  REQUIRE(verified);
  CHECK(verified->sound());
  CHECK(verified->records == 52);
  CHECK(Cursor::open(ledger.settings.directory, "file:/var/log/nat.json")->state()->next == 25);
}

TEST_CASE("what is behind a cursor in a frame of version 1 is given, and no more", "[ledger][before]") {
  Before ledger;
  const bool sealed = GENERATE(false, true);
  if (sealed) ledger.go_on(50);
  const auto cursor = Cursor::open(ledger.settings.directory, "file:/var/log/nat.json");
  REQUIRE(cursor);
  const Ordinal next = cursor->state()->next;
  REQUIRE(next == 25);
  CHECK(ledger.read(next).numbers == numbers(25, sealed ? 27 : 25));
  CHECK(ledger.read(45).numbers == numbers(45, sealed ? 7 : 5));
}

TEST_CASE("a damaged frame of version 1 is told as missing, and the others are read, also after sealing",
          "[ledger][before]") {
  Before ledger;
  const Ordinal first = GENERATE(Ordinal{0}, Ordinal{40});
  const std::uint32_t count = first == 0 ? 40 : 10;
  ledger.damage(first, first == 0);
  for (const std::uint32_t end : {50U, 52U}) {
    if (end == 52) ledger.go_on(50);
    if (end == 50 && first == 40) continue;  // at the very end it may be one that is being written
    CAPTURE(first, end);
    const Reading reading = ledger.read();
    CHECK(reading.complete(0, end));
    CHECK(reading.missing() == count);
    REQUIRE(reading.skipped.size() == 1);
    CHECK(reading.skipped[0].first == first);
    CHECK(reading.numbers.size() == end - count);
    const auto verified = verify_ledger(ledger.settings.directory);
    REQUIRE(verified);
    CHECK(verified->damaged_frames == 1);
    CHECK(verified->missing_records == count);
  }
}

TEST_CASE("a torn frame of version 1 at the end is cut, and the ledger is written on", "[ledger][before]") {
  Before ledger;
  const auto size = std::filesystem::file_size(ledger.path(40, false));
  const auto cut = GENERATE(std::uintmax_t{1}, std::uintmax_t{200}, std::uintmax_t{370});
  std::filesystem::resize_file(ledger.path(40, false), size - cut);
  CHECK(ledger.read().numbers == numbers(0, 40));
  ledger.go_on(50);
  const Reading reading = ledger.read();
  CHECK(reading.ordinals.size() == 42);
  CHECK(reading.ordinals.back() == 40 + (reading.ordinals.size() - 41));
  std::vector<std::uint32_t> expected = numbers(0, 40);
  expected.insert(expected.end(), {50, 51});
  CHECK(reading.numbers == expected);
  CHECK(verify_ledger(ledger.settings.directory)->sound());
}

TEST_CASE("frames of version 1 have sums as others have, sealed before or now", "[ledger][before][sums]") {
  Before ledger;
  ledger.go_on(50);
  const auto list = SegmentList::open(ledger.settings.directory);
  REQUIRE(list);
  const auto directory = LedgerDirectory::open(ledger.settings.directory);
  REQUIRE(directory);
  std::vector<std::uint64_t> records;
  std::vector<std::uint64_t> bytes;
  for (const std::size_t index : {0U, 1U}) {
    const SegmentEntry& entry = list->entries().at(index);
    const auto sums = SegmentSums::open(*directory, {entry.name.first, entry.seal});
    REQUIRE(sums);
    records.push_back(0);
    bytes.push_back(0);
    REQUIRE(sums->read(SumsKind::kMinutesAtEnd, [&](std::span<const SumsEntry> part) {
      for (const SumsEntry& one : part) {
        records.back() += one.sums.records;
        bytes.back() += one.sums.bytes_from_vpc;
      }
    }));
  }
  CHECK(records == std::vector<std::uint64_t>{40, 10});
  CHECK(bytes == std::vector<std::uint64_t>{4000, 1000});
}

}  // namespace
}  // namespace natsession::testing
