#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "ledger/ledger_fixture.h"
#include "ledger/mend_checksums.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a reader begins anywhere, also within a frame", "[ledger][reader]") {
  LedgerFixture ledger;
  for (std::uint32_t frame = 0; frame < 6; ++frame) {
    ledger.frame(frame * 7, 7);
    if (frame % 2 == 1) ledger.next_segment();
  }
  const auto reader = open_reader(ledger.directory());
  CHECK(reader->begin() == 0);
  CHECK(reader->end() == 42);
  for (std::uint32_t place = 0; place <= 42; ++place) {
    reader->seek(place);
    CHECK(reader->place() == place);
    const Reading reading = read_to_end(*reader);
    CHECK(reading.numbers == numbers(place, 42 - place));
    CHECK(reading.skipped.empty());
    CHECK(reader->place() == 42);
  }
}

TEST_CASE("a read gives a frame's worth, and whole frames", "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  ledger.append(5, kMaxFrameRecords + 10);
  REQUIRE(ledger.writer->sync());
  const auto reader = open_reader(ledger.directory());
  RecordBlock block;
  for (const std::size_t expected : {std::size_t{5}, kMaxFrameRecords, std::size_t{10}, std::size_t{0}}) {
    REQUIRE(reader->read(block));
    CHECK(block.records.size() == expected);
  }
}

TEST_CASE("a reader follows the writer, from segment to segment", "[ledger][reader]") {
  LedgerFixture ledger;
  const auto reader = open_reader(ledger.directory());
  Reading reading;
  for (std::uint32_t number = 0; number < 50; ++number) {
    CHECK_FALSE(read_once(*reader, reading));
    ledger.frame(number, 1);
    CHECK(reader->end() == number + 1);
    CHECK(read_once(*reader, reading));
    if (number % 10 == 4) ledger.next_segment();
    if (number % 10 == 7) ledger.reopen();
  }
  CHECK(reading.numbers == numbers(0, 50));
  CHECK(reading.skipped.empty());
}

TEST_CASE("what is missing where a reader begins is missing since it was told, or since the segment was made",
          "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.frame(0, 10);
  ledger.next_segment();
  const UnixMs made = to_ms(ledger.clock.now());
  ledger.frame(10, 10);
  ledger.frame(20, 10);
  ledger.next_segment();
  const auto first_missing = [&](UnixMs ended) {
    const auto reader = open_reader(ledger.directory());
    reader->seek(10, ended);
    const Reading reading = read_to_end(*reader);
    REQUIRE(reading.skipped.size() == 1);
    CHECK(reading.complete(10, 30));
    return reading.skipped[0];
  };
  SECTION("damaged") {
    std::string file = read_file(ledger.path(10));
    file[kSegmentHeaderBytes] = '?';
    write_file(ledger.path(10), file);
    // Records may be written long after they ended: then the segment's age alone says too little.
    CHECK(first_missing(at_second(7)).from == at_second(7));
    CHECK(first_missing(at_second(7)).until == at_second(21));
    CHECK(first_missing({}).until == made);
    CHECK(first_missing({}).from == at_second(21));
  }
  SECTION("deleted") {
    std::filesystem::remove(ledger.path(0));
    std::filesystem::remove(ledger.path(10));
    const auto reader = open_reader(ledger.directory());
    reader->seek(10, at_second(7));
    CHECK(read_to_end(*reader).skipped.at(0).from == at_second(7));
  }
}

TEST_CASE("what retention deleted before a reader came is told once, with its ordinals and times",
          "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.segments({10, 10, 10});
  const auto reader = open_reader(ledger.directory());
  Reading reading;
  REQUIRE(read_once(*reader, reading));
  std::filesystem::remove(ledger.path(0));
  std::filesystem::remove(ledger.path(10));
  read_on(*reader, reading);
  CHECK(reading.complete(0, 30));
  REQUIRE(reading.skipped.size() == 1);
  const Skipped& skipped = reading.skipped[0];
  CHECK(skipped.reason == RecordReason::kLedgerFull);
  CHECK(skipped.first == 10);
  CHECK(skipped.last == 19);
  CHECK(skipped.from == at_second(10));
  // The next segment was made when all those records had ended.
  CHECK(skipped.until == to_ms(UnixNs(kTestStart) + 2 * ledger.settings.segment_span));
  CHECK(reader->begin() == 20);

  const SessionRecord gap = skipped.gap(test_origin());
  CHECK(gap.event == RecordEvent::kGap);
  CHECK(gap.reason == RecordReason::kLedgerFull);
  CHECK(gap.events_lost == Count(10));
  CHECK(gap.start_time == skipped.from);
  CHECK(gap.end_time == skipped.until);
  CHECK(gap.origin == &test_origin());
}

TEST_CASE("a reader finishes the segment that is deleted while it reads it", "[ledger][reader]") {
  LedgerFixture ledger;
  for (std::uint32_t frame = 0; frame < 4; ++frame) ledger.frame(frame * 5, 5);
  ledger.next_segment();
  ledger.frame(20, 5);
  const auto reader = open_reader(ledger.directory());
  Reading reading;
  read_once(*reader, reading);
  std::filesystem::remove(ledger.path(0));
  read_on(*reader, reading);
  CHECK(reading.numbers == numbers(0, 25));
  CHECK(reading.skipped.empty());
}

TEST_CASE("where there is no ledger there is no reader", "[ledger][reader]") {
  TempDir directory;
  const auto reader = LedgerReader::open(directory.file("nothing"));
  REQUIRE_FALSE(reader);
  CHECK(reader.error().kind == ErrorKind::kUnavailable);
  CHECK(reader.error().message.find("nothing") != std::string::npos);
}

TEST_CASE("a reader of an empty ledger waits, and of one that was emptied too", "[ledger][reader]") {
  LedgerFixture ledger;
  const auto reader = open_reader(ledger.directory());
  CHECK(read_to_end(*reader).complete(0, 0));
  CHECK(reader->end() == 0);
  ledger.frame(0, 3);
  CHECK(read_to_end(*reader).numbers == numbers(0, 3));
  ledger.close();
  for (const auto& name : ledger.segment_files()) {
    std::filesystem::remove(ledger.directory() + "/segments/" + name);
  }
  CHECK(read_to_end(*reader).complete(3, 3));
  CHECK(read_ledger(ledger.directory()).complete(0, 0));
}

TEST_CASE("what is no regular file is not read, and stops nothing", "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.segments({5, 5, 5});
  const std::string victim = ledger.path(5);
  std::filesystem::rename(victim, ledger.file("elsewhere"));
  const int kind = GENERATE(0, 1, 2);
  if (kind == 0) std::filesystem::create_symlink(ledger.file("elsewhere"), victim);
  if (kind == 1) REQUIRE(::mkfifo(victim.c_str(), 0600) == 0);
  if (kind == 2) std::filesystem::create_directory(victim);
  const Reading reading = read_ledger(ledger.directory());
  CHECK(reading.complete(0, 15));
  REQUIRE(reading.skipped.size() == 1);
  CHECK(reading.skipped[0].first == 5);
  CHECK(reading.skipped[0].last == 9);
  CHECK(reading.skipped[0].reason == RecordReason::kDamaged);
  CHECK(reading.skipped[0].why.find(segment_name(5, false)) != std::string::npos);
}

TEST_CASE("names that are not a segment's are passed over", "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  for (const char* name :
       {"0000000000000003.open.tmp", "0000000000000003", "000000000000000A.open", "3.open",
        "0000000000000003.opened", "ffffffffffffffff.open", "x", "zzzzzzzzzzzzzzzz.open"}) {
    write_file(ledger.directory() + "/segments/" + name, "nothing");
  }
  CHECK(read_ledger(ledger.directory()).complete(0, 5));
  ledger.reopen();
  ledger.frame(5, 5);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 10));
}

TEST_CASE("a segment of a newer version is skipped, and its version named", "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.segments({5, 5, 5});
  std::string file = read_file(ledger.path(5));
  file[8] = 2;
  correct_header(file);
  write_file(ledger.path(5), file);
  const Reading reading = read_ledger(ledger.directory());
  CHECK(reading.complete(0, 15));
  REQUIRE(reading.skipped.size() == 1);
  CHECK(reading.skipped[0].records() == 5);
  CHECK(reading.skipped[0].why.find("version 2") != std::string::npos);
}

TEST_CASE("a frame of a newer version is skipped for exactly its records", "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.frame(0, 5);
  const std::size_t at = read_file(ledger.path(0)).size();
  ledger.frame(5, 5);
  ledger.frame(10, 5);
  std::string file = read_file(ledger.path(0));
  file[at + 4] = 9;
  correct_frame_header(file, at);
  write_file(ledger.path(0), file);
  const Reading reading = read_ledger(ledger.directory());
  CHECK(reading.complete(0, 15));
  REQUIRE(reading.skipped.size() == 1);
  CHECK(reading.skipped[0].first == 5);
  CHECK(reading.skipped[0].last == 9);
  CHECK(reading.skipped[0].why.find("version 9") != std::string::npos);
  CHECK(reading.skipped[0].from == at_second(5));
  CHECK(reading.skipped[0].until == at_second(10));
}

TEST_CASE("of two frames whose sessions lie between each other's none is given before both are there",
          "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.frame(0, 3);
  const std::size_t before = read_file(ledger.path(0)).size();
  ledger.group(3, 9, {5, 7});
  const std::string whole = read_file(ledger.path(0));
  for (std::size_t length = before; length < whole.size(); ++length) {
    write_file(ledger.path(0), whole.substr(0, length));
    const Reading reading = read_ledger(ledger.directory());
    REQUIRE(reading.numbers == numbers(0, 3));
    REQUIRE(reading.skipped.empty());
  }
  write_file(ledger.path(0), whole);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 9));
}

TEST_CASE("the last frame of a file that is written counts as damaged only when something stands behind it",
          "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.frame(0, 3);
  ledger.frame(3, 3);
  const std::size_t at = std::filesystem::file_size(ledger.path(0)) - 1;
  const std::string good = read_file(ledger.path(0));
  std::string bad = good;
  bad[at] = static_cast<char>(~bad[at]);
  const auto reader = open_reader(ledger.directory());
  write_file(ledger.path(0), bad);
  Reading reading = read_to_end(*reader);
  CHECK(reading.complete(0, 3));
  CHECK(reading.skipped.empty());
  SECTION("it becomes whole") {
    write_file(ledger.path(0), good);
    CHECK(read_to_end(*reader).numbers == numbers(3, 3));
  }
  SECTION("a frame follows") {
    ledger.frame(6, 3);
  }
  SECTION("a segment follows") {
    ledger.next_segment();
    ledger.frame(6, 3);
  }
  const Ordinal end = ledger.writer->status().written;
  if (end == 6) return;
  read_on(*reader, reading);
  CHECK(reading.complete(0, 9));
  REQUIRE(reading.skipped.size() == 1);
  CHECK(reading.skipped[0].first == 3);
  CHECK(reading.skipped[0].last == 5);
}

TEST_CASE("a reader goes on right when what it waits for is written in pieces", "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.frame(0, 3);
  const std::string before = read_file(ledger.path(0));
  ledger.frame(3, 3);
  ledger.frame(6, 3);
  const std::string whole = read_file(ledger.path(0));
  write_file(ledger.path(0), before);
  const auto reader = open_reader(ledger.directory());
  Reading reading;
  for (std::size_t length = before.size(); length <= whole.size(); ++length) {
    // In place: the reader has the file open.
    std::filesystem::resize_file(ledger.path(0), length);
    std::fstream file(ledger.path(0), std::ios::binary | std::ios::in | std::ios::out);
    file.write(whole.data(), static_cast<std::streamsize>(length));
    file.close();
    read_on(*reader, reading);
  }
  CHECK(reading.numbers == numbers(0, 9));
  CHECK(reading.skipped.empty());
}

TEST_CASE("a reader that has gone further than what a crash left finds the place again", "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.frame(0, 3);
  const std::size_t before = read_file(ledger.path(0)).size();
  ledger.frame(3, 3);
  const auto reader = open_reader(ledger.directory());
  CHECK(read_to_end(*reader).numbers == numbers(0, 6));
  // The second frame is lost with the machine; what comes after it in the same file is not where the reader
  // stands.
  ledger.close();
  std::filesystem::resize_file(ledger.path(0), before);
  ledger.open();
  ledger.frame(100, 1);
  ledger.frame(101, 1);
  ledger.frame(102, 5);
  const Reading further = read_to_end(*reader);
  CHECK(further.ordinals == std::vector<Ordinal>{6, 7, 8, 9});
  CHECK(further.skipped.empty());
}

TEST_CASE(
    "a reader that waits for the second frame of a group goes on right when a new writer cuts the first",
    "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.frame(0, 3);
  ledger.group(3, 9, {5, 7});
  // The writer falls in the second frame.
  LedgerSettings settings = ledger.settings;
  settings.directory = ledger.crashed_copy();
  const std::string file = settings.directory + "/segments/" + segment_name(0, false);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  const auto reader = open_reader(settings.directory);
  Reading reading = read_to_end(*reader);
  CHECK(reading.numbers == numbers(0, 3));
  {
    const auto writer = LedgerWriter::open(settings, ledger.clock);
    REQUIRE(writer);
    for (std::uint32_t number = 50; number < 60; ++number) {
      REQUIRE(append_one(**writer, number));
      REQUIRE((*writer)->sync());
    }
  }
  read_on(*reader, reading);
  CHECK(reading.skipped.empty());
  CHECK(reading.numbers ==
        std::vector<std::uint32_t>{0, 1, 2, 3, 4, 6, 8, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59});
}

TEST_CASE("what may not be read is an error that says where, and no loss", "[ledger][reader]") {
  LedgerFixture ledger;
  ledger.frame(0, 3);
  if (::geteuid() != 0) return;
  const auto reader = open_reader(ledger.directory());
  std::filesystem::permissions(ledger.path(0), std::filesystem::perms::none);
  const uid_t root = ::geteuid();
  REQUIRE(::seteuid(65534) == 0);
  RecordBlock block;
  const auto outcome = reader->read(block);
  REQUIRE(::seteuid(root) == 0);
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().kind == ErrorKind::kPermission);
  CHECK(outcome.error().message.find(segment_name(0, false)) != std::string::npos);
  CHECK(reader->place() == 0);
  CHECK(read_to_end(*reader).numbers == numbers(0, 3));
}

}  // namespace
}  // namespace natsession::testing
