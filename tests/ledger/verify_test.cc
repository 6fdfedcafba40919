#include <catch2/catch.hpp>

#include "ledger/cursor.h"
#include "ledger/ledger_fixture.h"
#include "ledger/mend_checksums.h"
#include "ledger/verify_ledger.h"

namespace natsession::testing {
namespace {

VerifyReport verify(const LedgerFixture& ledger) {
  auto report = verify_ledger(ledger.directory());
  if (!report) throw std::runtime_error(report.error().message);
  return std::move(*report);
}

void fill(LedgerFixture& ledger) {
  for (std::uint32_t segment = 0; segment < 3; ++segment) {
    for (std::uint32_t frame = 0; frame < 4; ++frame) ledger.frame(segment * 40 + frame * 10, 10);
    if (segment < 2) ledger.next_segment();
  }
}

TEST_CASE("a sound ledger is found sound, sealed or not", "[ledger][verify]") {
  LedgerFixture ledger;
  fill(ledger);
  for (const bool sealed : {false, true}) {
    if (sealed) ledger.keep();
    std::vector<std::string> files;
    const auto report = verify_ledger(ledger.directory(),
                                      [&](const std::string& file, std::uint64_t done, std::uint64_t total) {
                                        CHECK(done < total);
                                        files.push_back(file);
                                      });
    REQUIRE(report);
    CHECK(report->sound());
    CHECK(report->segments == 3);
    CHECK(report->sealed_segments == (sealed ? 2 : 0));
    CHECK(report->frames == (sealed ? 6 : 12));
    CHECK(report->records == 120);
    CHECK(report->begin == 0);
    CHECK(report->end == 120);
    CHECK(files ==
          std::vector<std::string>{ledger.path(0, sealed), ledger.path(40, sealed), ledger.path(80)});
  }
}

TEST_CASE("a damaged frame is told with its file, place and ordinals", "[ledger][verify]") {
  LedgerFixture ledger;
  fill(ledger);
  const FramePlace frame = frames_in(ledger.directory(), 1).at(2);
  std::string file = read_file(ledger.path(40));
  file[frame.offset + frame.info.bytes - 3] = static_cast<char>(~file[frame.offset + frame.info.bytes - 3]);
  write_file(ledger.path(40), file);
  const VerifyReport report = verify(ledger);
  CHECK_FALSE(report.sound());
  CHECK(report.damaged_frames == 1);
  REQUIRE(report.damaged.size() == 1);
  CHECK(report.damaged[0].file == ledger.path(40));
  CHECK(report.damaged[0].offset == frame.offset);
  CHECK(report.damaged[0].bytes == frame.info.bytes);
  CHECK(report.damaged[0].has_ordinals);
  CHECK(report.damaged[0].first == 60);
  CHECK(report.damaged[0].last == 69);
  CHECK_FALSE(report.damaged[0].why.empty());
  CHECK(report.missing_records == 10);
  REQUIRE(report.missing.size() == 1);
  CHECK(report.missing[0].first == 60);
  CHECK(report.missing[0].last == 69);
  CHECK(report.records == 110);
  CHECK(report.frames == 11);
}

TEST_CASE("bytes that are no frame are told, with the records that are missing", "[ledger][verify]") {
  LedgerFixture ledger;
  fill(ledger);
  const FramePlace frame = frames_in(ledger.directory(), 0).at(1);
  std::string file = read_file(ledger.path(0));
  file[frame.offset + 1] = '?';
  write_file(ledger.path(0), file);
  const VerifyReport report = verify(ledger);
  REQUIRE(report.damaged.size() == 1);
  CHECK_FALSE(report.damaged[0].has_ordinals);
  CHECK(report.damaged[0].offset == frame.offset);
  CHECK(report.damaged[0].bytes == frame.info.bytes);
  CHECK(report.missing_records == 10);
}

TEST_CASE("a segment that is not there is told by the ordinals that are missing", "[ledger][verify]") {
  LedgerFixture ledger;
  fill(ledger);
  std::filesystem::remove(ledger.path(40));
  const VerifyReport report = verify(ledger);
  CHECK(report.missing_records == 40);
  REQUIRE(report.missing.size() == 1);
  CHECK(report.missing[0].first == 40);
  CHECK(report.missing[0].last == 79);
  // The oldest ones go by retention: then the ledger begins later, and nothing is missing.
  std::filesystem::remove(ledger.path(0));
  CHECK(verify(ledger).sound());
  CHECK(verify(ledger).begin == 80);
}

TEST_CASE("what is being written at the end is no damage", "[ledger][verify]") {
  LedgerFixture ledger;
  fill(ledger);
  const auto size = std::filesystem::file_size(ledger.path(80));
  ledger.frame(120, 10);
  const auto whole = std::filesystem::file_size(ledger.path(80));
  std::filesystem::resize_file(ledger.path(80), whole - 1);
  const VerifyReport report = verify(ledger);
  CHECK(report.sound());
  CHECK(report.unfinished_bytes == whole - 1 - size);
  CHECK(report.end == 120);
}

TEST_CASE("cursors beyond the end are told", "[ledger][verify]") {
  LedgerFixture ledger;
  fill(ledger);
  {
    auto good = Cursor::open(ledger.directory(), "good");
    REQUIRE(good->store({120, {}}, false));
    auto lost = Cursor::open(ledger.directory(), "lost");
    REQUIRE(lost->store({121, {}}, false));
  }
  const VerifyReport report = verify(ledger);
  CHECK_FALSE(report.sound());
  REQUIRE(report.lost_cursors.size() == 1);
  CHECK(report.lost_cursors[0].name == "lost");
}

TEST_CASE("an index that does not tell the truth is found", "[ledger][verify]") {
  LedgerFixture ledger;
  fill(ledger);
  ledger.keep();
  std::string file = read_file(ledger.path(0, true));
  const auto bytes = std::as_writable_bytes(std::span(file));
  const std::size_t trailer_at = file.size() - kTrailerBytes;
  const auto index_at = get_le<std::uint64_t>(bytes, trailer_at + 32);
  SECTION("a wrong time, with right checksums") {
    put_time(bytes, index_at + 56, at_second(7));
    put_le(bytes, trailer_at + 84, crc32c(bytes.subspan(index_at, trailer_at - index_at)));
    correct_trailer(file);
  }
  SECTION("a wrong checksum") {
    file[index_at + 60] = static_cast<char>(~file[index_at + 60]);
  }
  SECTION("no trailer") {
    file.resize(file.size() - 1);
  }
  write_file(ledger.path(0, true), file);
  const VerifyReport report = verify(ledger);
  CHECK_FALSE(report.sound());
  CHECK(report.records == 120);
  REQUIRE_FALSE(report.unreadable.empty());
  CHECK(report.unreadable[0].find(ledger.path(0, true)) != std::string::npos);
}

TEST_CASE("files that are no segments are told", "[ledger][verify]") {
  LedgerFixture ledger;
  fill(ledger);
  std::filesystem::rename(ledger.path(40), ledger.file("elsewhere"));
  std::filesystem::create_symlink(ledger.file("elsewhere"), ledger.path(40));
  const VerifyReport report = verify(ledger);
  REQUIRE(report.unreadable.size() == 1);
  CHECK(report.missing_records == 40);
  CHECK_FALSE(verify_ledger(ledger.file("nothing")));
}

TEST_CASE("a newer version's coverage is told, and proves nothing to who reads the records",
          "[ledger][verify]") {
  LedgerFixture ledger;
  fill(ledger);
  ledger.writer->prove({{"", at_second(0), at_second(10), true, {}}}, /*all=*/true, /*urgent=*/true);
  const std::string path = ledger.directory() + "/coverage";
  REQUIRE(SegmentList::open(ledger.directory())->coverage().size() == 1);
  std::string file = read_file(path);
  file[8] = 2;  // the version
  correct_checksum(file, 0, 508);
  write_file(path, file);
  const VerifyReport report = verify(ledger);
  CHECK(report.unreadable == std::vector<std::string>{"ledger: read " + path + ": a newer program wrote it"});
  CHECK(report.missing_records == 0);
  const auto list = SegmentList::open(ledger.directory());
  REQUIRE(list);
  CHECK(list->coverage().empty());
  CHECK(list->entries().size() == 3);
}

// A ledger that an earlier version wrote is read, and gone on with.

TEST_CASE("a ledger of version 0.1.0 is read, verified, and written on", "[ledger][before]") {
  TempDir temp;
  LedgerSettings settings;
  settings.directory = temp.file("ledger");
  std::filesystem::copy(NATSESSION_LEDGER_BEFORE, settings.directory,
                        std::filesystem::copy_options::recursive);
  CHECK(read_ledger(settings.directory).numbers == numbers(0, 50));
  const auto verified = verify_ledger(settings.directory);
  REQUIRE(verified);
  CHECK(verified->records == 50);
  CHECK(verified->sound());
  const auto cursor = Cursor::open(settings.directory, "file:/var/log/nat.json");
  REQUIRE(cursor);
  CHECK(cursor->state()->next == 25);
  const auto segments = SegmentList::open(settings.directory);
  REQUIRE(segments);
  REQUIRE(segments->entries().size() == 2);
  for (const SegmentEntry& entry : segments->entries()) CHECK(entry.window == std::chrono::minutes(10));

  ManualClock clock{UnixNs(kTestStart + std::chrono::hours(2))};
  {
    const auto writer = LedgerWriter::open(settings, clock);
    REQUIRE(writer);
    REQUIRE((*writer)->previous_run());
    CHECK_FALSE((*writer)->previous_run()->crashed);
    CHECK((*writer)->previous_run()->until == at_second(50));
    CHECK(append_one(**writer, 50));
  }
  Compactor compactor(settings, clock);
  while (compactor.step() == std::chrono::nanoseconds(0)) {
  }
  CHECK(read_ledger(settings.directory).numbers == numbers(0, 51));
}

}  // namespace
}  // namespace natsession::testing
