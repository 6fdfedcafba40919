#include <catch2/catch.hpp>

#include "ledger/age_clock.h"
#include "ledger/cursor.h"
#include "ledger/ledger_fixture.h"
#include "ledger/mend_checksums.h"
#include "support/small_disk.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

// Frames of `each` records, some of them longer than a window, in a segment that is then closed.
void fill_segment(LedgerFixture& ledger, std::uint32_t first, std::uint32_t frames, std::uint32_t each) {
  for (std::uint32_t frame = 0; frame < frames; ++frame) {
    std::vector<SessionRecord> records;
    for (std::uint32_t index = 0; index < each; ++index) {
      const std::uint32_t number = first + frame * each + index;
      records.push_back(numbered_record(number));
      if (number % 5 == 3) records.back().start_time = at_second(-100'000);
    }
    REQUIRE(ledger.writer->append(records) == each);
    REQUIRE(ledger.writer->sync());
  }
  ledger.next_segment();
}

void set_cursor(const LedgerFixture& ledger, const std::string& sink, Ordinal next) {
  auto cursor = Cursor::open(ledger.directory(), sink);
  REQUIRE(cursor);
  REQUIRE(cursor->store({next, {}}, false));
}

TEST_CASE("a closed segment is sealed, and its small frames merged", "[ledger][compactor]") {
  LedgerFixture ledger;
  fill_segment(ledger, 0, 50, 20);
  const auto size_before = std::filesystem::file_size(ledger.path(0));
  ledger.keep();
  CHECK(ledger.segment_files() == std::vector<std::string>{segment_name(0, true), segment_name(1000, false)});
  CHECK(std::filesystem::file_size(ledger.path(0, true)) < size_before / 5);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 1000));

  const auto frames = frames_in(ledger.directory(), 0);
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].info.records == 800);
  CHECK_FALSE(frames[0].info.long_sessions);
  CHECK(frames[1].info.records == 200);
  CHECK(frames[1].info.long_sessions);

  const LedgerStatus status = ledger.compactor->status();
  CHECK(status.segments == 2);
  CHECK(status.sealed_segments == 1);
  CHECK(status.records == 1000);
  CHECK(status.oldest == at_second(1));
  CHECK(status.failure.empty());
  CHECK(status.bytes == std::filesystem::file_size(ledger.path(0, true)) +
                            std::filesystem::file_size(ledger.sums_path(0)) + kSegmentHeaderBytes);
}

TEST_CASE("merged frames hold no more records than a frame may", "[ledger][compactor]") {
  LedgerFixture ledger;
  for (std::uint32_t frame = 0; frame < 9; ++frame) ledger.frame(frame * 15'000, 15'000);
  ledger.next_segment();
  ledger.keep();
  CHECK(frames_in(ledger.directory(), 0).size() == 3);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 135'000));
}

TEST_CASE("the segment that is written is neither sealed nor deleted", "[ledger][compactor]") {
  LedgerFixture ledger;
  ledger.frame(0, 10);
  ledger.compact_with(1ms, ByteCount{1});
  ledger.clock.advance(24h);
  ledger.keep();
  CHECK(ledger.segment_files() == std::vector<std::string>{segment_name(0, false)});
  CHECK(ledger.compactor->status().records == 10);
}

TEST_CASE("a reader loses, doubles and reorders nothing wherever sealing has come", "[ledger][compactor]") {
  // The reader takes `before` reads, sealing takes `steps` steps, the reader goes on.
  for (int before = 0; before < 10; ++before) {
    for (int steps = 0;; ++steps) {
      LedgerFixture ledger;
      fill_segment(ledger, 0, 6, 10);
      fill_segment(ledger, 60, 3, 10);
      ledger.frame(90, 10);
      const auto reader = open_reader(ledger.directory());
      Reading reading;
      for (int count = 0; count < before; ++count) read_once(*reader, reading);
      bool done = false;
      for (int count = 0; count < steps && !done; ++count) {
        done = ledger.compactor->step() != std::chrono::nanoseconds(0);
      }
      // One that comes now, at the same place, as after a restart.
      CHECK(read_ledger(ledger.directory(), reader->place()).complete(reader->place(), 100));
      read_on(*reader, reading);
      INFO("reads " << before << " steps " << steps);
      REQUIRE(reading.numbers == numbers(0, 100));
      REQUIRE(reading.skipped.empty());
      if (done) break;
      REQUIRE(steps < 100);
    }
  }
}

TEST_CASE("a reader that reads between all steps of sealing reads all", "[ledger][compactor]") {
  LedgerFixture ledger;
  for (std::uint32_t segment = 0; segment < 6; ++segment) fill_segment(ledger, segment * 60, 6, 10);
  const auto reader = open_reader(ledger.directory());
  Reading reading;
  for (int turn = 0; turn < 500; ++turn) {
    if (turn % 3 == 0) read_once(*reader, reading);
    ledger.compactor->step();
  }
  read_on(*reader, reading);
  CHECK(reading.numbers == numbers(0, 360));
  CHECK(reading.skipped.empty());
}

TEST_CASE("a crash in any step of sealing loses nothing, and what it leaves is cleaned up",
          "[ledger][compactor]") {
  LedgerFixture ledger;
  fill_segment(ledger, 0, 6, 10);
  ledger.frame(60, 10);
  for (int step = 0; step < 100; ++step) {
    const bool done = ledger.compactor->step() != std::chrono::nanoseconds(0);
    LedgerSettings settings = ledger.settings;
    settings.directory = ledger.crashed_copy();
    CHECK(read_ledger(settings.directory).numbers == numbers(0, 70));
    {
      const auto writer = LedgerWriter::open(settings, ledger.clock);
      REQUIRE(writer);
      CHECK((*writer)->status().written == 70);
      Compactor compactor(settings, ledger.clock);
      run_to_rest(compactor);
      CHECK(compactor.status().failure.empty());
    }
    CHECK(list_directory(settings.directory + "/segments") ==
          std::vector<std::string>{segment_name(0, true), SegmentName{0, true}.sums(),
                                   segment_name(60, false)});
    CHECK(read_ledger(settings.directory).numbers == numbers(0, 70));
    if (done) return;
  }
  FAIL("sealing does not end");
}

TEST_CASE("where a sealed file is none, the open one is kept and sealed again", "[ledger][compactor]") {
  LedgerFixture ledger;
  fill_segment(ledger, 0, 6, 10);
  write_file(ledger.path(0, true), "rubbish");
  ledger.keep();
  CHECK(ledger.segment_files() == std::vector<std::string>{segment_name(0, true), segment_name(60, false)});
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 60));
}

TEST_CASE("what is damaged is sealed as it is, and the rest is merged around it", "[ledger][compactor]") {
  LedgerFixture ledger;
  for (std::uint32_t frame = 0; frame < 9; ++frame) ledger.frame(frame * 10, 10);
  ledger.next_segment();
  const auto frames = frames_in(ledger.directory(), 0);
  std::string file = read_file(ledger.path(0));
  const FramePlace& body = frames[2];
  const FramePlace& header = frames[6];
  file[body.offset + body.info.bytes - 1] = static_cast<char>(file[body.offset + body.info.bytes - 1] ^ 1);
  file[header.offset] = '?';
  write_file(ledger.path(0), file);
  const Reading before = read_ledger(ledger.directory());
  CHECK(before.complete(0, 90));
  CHECK(before.missing() == 20);

  ledger.keep();
  const Reading after = read_ledger(ledger.directory());
  CHECK(after.numbers == before.numbers);
  CHECK(after.complete(0, 90));
  CHECK(after.missing() == 20);
  CHECK(ledger.compactor->status().damaged_frames == 2);
  const std::string sealed = read_file(ledger.path(0, true));
  CHECK(sealed.find(file.substr(body.offset, body.info.bytes)) != std::string::npos);
  CHECK(sealed.find(file.substr(header.offset, header.info.bytes)) != std::string::npos);
  CHECK(frames_in(ledger.directory(), 0).size() == 4);
}

TEST_CASE("a segment whose tail is torn is sealed with its tail", "[ledger][compactor]") {
  LedgerFixture ledger;
  for (std::uint32_t frame = 0; frame < 3; ++frame) ledger.frame(frame * 10, 10);
  ledger.next_segment();
  std::filesystem::resize_file(ledger.path(0), std::filesystem::file_size(ledger.path(0)) - 7);
  ledger.keep();
  CHECK(ledger.segment_files().at(0) == segment_name(0, true));
  const Reading reading = read_ledger(ledger.directory());
  CHECK(reading.numbers == numbers(0, 20));
  CHECK(reading.complete(0, 30));
}

TEST_CASE("segments older than the retention go, when all sinks have read them", "[ledger][compactor]") {
  LedgerFixture ledger;
  ledger.clock.step_to(UnixNs(0s));
  ledger.reopen();
  for (std::uint32_t segment = 0; segment < 4; ++segment) fill_segment(ledger, segment * 10, 1, 10);
  ledger.keep();
  REQUIRE(ledger.segment_files().size() == 5);
  set_cursor(ledger, "slow", 10);
  set_cursor(ledger, "fast", 40);
  set_cursor(ledger, "gone", 0);
  ledger.compactor->set_sinks({"slow", "fast", "new"});

  const auto advance_to = [&](UnixNs time) { ledger.clock.advance(time - ledger.clock.now()); };
  advance_to(UnixNs(10s) + ledger.settings.retention);
  ledger.keep();
  CHECK(ledger.segment_files().size() == 5);
  advance_to(UnixNs(11s) + ledger.settings.retention);
  ledger.keep();
  CHECK(ledger.segment_files().at(0) == segment_name(10, true));
  CHECK(ledger.segment_files().size() == 4);

  // Old enough, all of them; but one sink has read the first alone.
  advance_to(UnixNs(1000s) + ledger.settings.retention);
  ledger.keep();
  CHECK(ledger.segment_files().size() == 4);
  CHECK(ledger.compactor->status().deleted_unread_records == 0);
  set_cursor(ledger, "slow", 25);
  ledger.keep();
  CHECK(ledger.segment_files().at(0) == segment_name(20, true));
  ledger.compactor->set_sinks({"fast"});
  ledger.keep();
  CHECK(ledger.segment_files() == std::vector<std::string>{segment_name(40, false)});
  CHECK(ledger.compactor->status().deleted_segments == 4);
  CHECK(ledger.compactor->status().deleted_unread_records == 0);
}

TEST_CASE("beyond the byte limit the oldest segments go, and what a sink had not read is counted",
          "[ledger][compactor]") {
  LedgerFixture ledger;
  for (std::uint32_t segment = 0; segment < 5; ++segment) fill_segment(ledger, segment * 10, 1, 10);
  ledger.keep();
  set_cursor(ledger, "sink", 3);
  set_cursor(ledger, "ahead", 50);
  const std::uint64_t bytes = ledger.compactor->status().bytes;
  ledger.compact_with(ledger.settings.retention, ByteCount{bytes - 1});
  ledger.compactor->set_sinks({"sink", "ahead"});
  ledger.keep();
  CHECK(ledger.segment_files().at(0) == segment_name(10, true));
  CHECK(ledger.compactor->status().deleted_unread_records == 7);
  CHECK(ledger.compactor->status().deleted_segments == 1);
  const Reading reading = read_ledger(ledger.directory(), 3);
  CHECK(reading.complete(3, 50));
  REQUIRE(reading.skipped.size() == 1);
  CHECK(reading.skipped[0].reason == RecordReason::kLedgerFull);
  CHECK(reading.skipped[0].records() == 7);

  ledger.compact_with(ledger.settings.retention, ByteCount{1});
  ledger.compactor->set_sinks({"sink", "ahead"});
  ledger.keep();
  CHECK(ledger.segment_files() == std::vector<std::string>{segment_name(50, false)});
  CHECK(ledger.compactor->status().deleted_unread_records == 40);
}

TEST_CASE("a clock that is set back deletes nothing", "[ledger][compactor]") {
  LedgerFixture ledger;
  for (std::uint32_t segment = 0; segment < 3; ++segment)
    fill_segment(ledger, 1'000'000 + segment * 10, 1, 10);
  ledger.clock.step_to(UnixNs(-100h));
  ledger.keep();
  CHECK(ledger.compactor->status().deleted_segments == 0);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(1'000'000, 30));
}

// A ledger of three good segments, of some time, whose compactor has looked at its clock; with a month of
// retention.
struct GoodLedger : LedgerFixture {
  GoodLedger() {
    for (std::uint32_t segment = 0; segment < 3; ++segment)
      fill_segment(*this, 1'000'000 + segment * 10, 1, 10);
    right = clock.now();
    keep();
  }
  void restart() { compact_with(settings.retention, settings.limit); }
  // Goes on for so long, looked at each hour.
  void live(std::chrono::hours hours) {
    for (; hours.count() > 0; --hours) {
      clock.advance(1h);
      keep();
    }
  }
  [[nodiscard]] std::uint64_t deleted() const { return compactor->status().deleted_segments; }
  UnixNs right;
};

TEST_CASE("a clock that goes far ahead deletes nothing before it has stood for a day, also over restarts",
          "[ledger][compactor][clock]") {
  GoodLedger ledger;
  ledger.clock.step_to(ledger.right + 60 * 24h);
  SECTION("when the compactor sees it go") {}
  SECTION("when it begins with the wrong time") {
    ledger.restart();
  }
  SECTION("in another boot of the machine") {
    ledger.clock.reboot();
    ledger.restart();
  }
  fill_segment(ledger, 6'200'000, 1, 10);  // a record of the wrong time is no witness of it
  ledger.keep();
  ledger.restart();
  ledger.keep();
  CHECK(ledger.deleted() == 0);
  CHECK(ledger.compactor->status().failure.find("the clock is far ahead") != std::string::npos);
  ledger.live(20h);
  ledger.restart();
  ledger.live(3h);
  CHECK(ledger.deleted() == 0);
  SECTION("and nothing at all when it is set right again") {
    ledger.clock.step_to(ledger.right + 24h);
    ledger.live(30h);
    CHECK(ledger.deleted() == 0);
    CHECK(ledger.compactor->status().failure.empty());
  }
  SECTION("while it moves again it does not stand") {
    ledger.clock.step_to(ledger.clock.now() + 30 * 24h);
    ledger.live(20h);
    CHECK(ledger.deleted() == 0);
  }
  SECTION("time that nobody watched does not count") {
    ledger.clock.advance(100h);
    ledger.clock.reboot();
    ledger.restart();
    ledger.keep();
    CHECK(ledger.deleted() == 0);
  }
  SECTION("then it is right") {
    ledger.live(3h);
    CHECK(ledger.compactor->status().failure.empty());
  }
}

TEST_CASE("a clock that stands far ahead for a day is believed, and one that is synchronised at once",
          "[ledger][compactor][clock]") {
  GoodLedger ledger;
  ledger.clock.reboot();  // it was off for so long
  ledger.clock.step_to(ledger.right + 60 * 24h);
  ledger.restart();
  ledger.keep();
  CHECK(ledger.deleted() == 0);
  SECTION("by a day") {
    ledger.live(25h);
  }
  SECTION("by its source") {
    ledger.clock.synchronise(true);
    ledger.keep();
  }
  CHECK(ledger.deleted() == 3);
  CHECK(ledger.compactor->status().failure.empty());
}

TEST_CASE("what nothing is known of a ledger's clock, its oldest record is the time that was reached",
          "[ledger][compactor][clock]") {
  GoodLedger ledger;
  ledger.clock.step_to(ledger.right + 60 * 24h);
  fill_segment(ledger, 6'200'000, 1, 10);
  SECTION("when the file is gone") {
    std::filesystem::remove(ledger.directory() + "/clock");
  }
  SECTION("when it is damaged") {
    write_file(ledger.directory() + "/clock", "garbage");
  }
  ledger.restart();
  ledger.keep();
  CHECK(ledger.deleted() == 0);
}

TEST_CASE("a record that claims a time which cannot be does not harm the ledger's clock",
          "[ledger][compactor]") {
  TempDir temp;
  ManualClock clock{UnixNs(kTestStart)};
  for (const auto time : {UnixMs::min(), UnixMs::max(), UnixMs(std::chrono::milliseconds(-1))}) {
    auto age = AgeClock::open(temp.path(), time, clock);
    REQUIRE(age);
    CHECK(age->look(clock, std::chrono::hours(1)) <= to_ms(clock.now()));
  }
}

TEST_CASE("while a newer version's file tells the time nothing is deleted, and what would do is said",
          "[ledger][compactor][clock]") {
  GoodLedger ledger;
  const std::string path = ledger.directory() + "/clock";
  std::string file = read_file(path);
  file[8] = 2;  // the version
  correct_checksum(file, 0, 508);
  write_file(path, file);
  ledger.restart();
  ledger.clock.step_to(ledger.right + 60 * 24h);
  ledger.clock.synchronise(true);
  ledger.keep();
  CHECK(ledger.deleted() == 0);
  CHECK(
      ledger.compactor->status().failure ==
      "ledger: read " + path +
          ": a newer program wrote it, and nothing is deleted; install that version again, or a later one, or"
          " remove that file: ages then count from the oldest record");
  CHECK(read_file(path) == file);
  std::filesystem::remove(path);
  ledger.keep();
  CHECK(ledger.compactor->status().failure.empty());
  CHECK(ledger.deleted() == 3);
}

TEST_CASE("what a machine recorded before its clock was set is as old as it is",
          "[ledger][compactor][clock]") {
  const bool synchronised = GENERATE(true, false);
  LedgerFixture ledger;
  const auto boot_in_1970 = [&] {
    ledger.clock.reboot();
    ledger.clock.step_to(UnixNs(20s));
    ledger.clock.synchronise(false);
    ledger.reopen();
    ledger.compact_with(ledger.settings.retention, ledger.settings.limit);
    ledger.keep();
    ledger.clock.advance(2min);
    fill_segment(ledger, 30, 1, 10);
    ledger.keep();
    ledger.clock.step_to(UnixNs(55 * 365 * 24h));
    ledger.clock.synchronise(synchronised);
    ledger.keep();
  };
  boot_in_1970();
  boot_in_1970();
  for (int hours = 0; hours < 48; ++hours) {
    ledger.clock.advance(1h);
    ledger.keep();
  }
  CHECK(ledger.compactor->status().deleted_segments == 0);
  ledger.clock.advance(ledger.settings.retention);
  ledger.keep();
  CHECK(ledger.compactor->status().deleted_segments == 2);
}

TEST_CASE("each segment that retention takes is told, with its times and the rule", "[ledger][compactor]") {
  LedgerFixture ledger;
  for (std::uint32_t segment = 0; segment < 2; ++segment) fill_segment(ledger, segment * 10, 1, 10);
  ledger.keep();
  set_cursor(ledger, "sink", 14);
  std::vector<DeletedSegment> deleted;
  const auto watch = [&] {
    ledger.compactor->set_sinks({"sink"});
    ledger.compactor->on_deleted([&](const DeletedSegment& one) { deleted.push_back(one); });
  };
  watch();
  ledger.clock.synchronise(true);
  ledger.clock.advance(ledger.settings.retention);
  ledger.keep();
  REQUIRE(deleted.size() == 1);
  CHECK(deleted[0].rule == DeletedSegment::Rule::kAge);
  CHECK(deleted[0].path == ledger.path(0, true));
  CHECK(deleted[0].records == 10);
  CHECK(deleted[0].oldest == at_second(1));
  CHECK(deleted[0].newest == at_second(10));
  ledger.compact_with(ledger.settings.retention, ByteCount{1});
  watch();
  ledger.keep();
  REQUIRE(deleted.size() == 2);
  CHECK(deleted[1].rule == DeletedSegment::Rule::kSize);
  CHECK(deleted[1].unread == 6);
}

TEST_CASE("a clock that goes ahead by a small part of the retention is believed", "[ledger][compactor]") {
  LedgerFixture ledger;
  fill_segment(ledger, 1'000'000, 1, 10);
  ledger.keep();
  ledger.clock.advance(29 * 24h);
  ledger.keep();
  CHECK(ledger.compactor->status().deleted_segments == 0);
  ledger.clock.step_to(ledger.clock.now() + 2 * 24h);
  ledger.keep();
  CHECK(ledger.compactor->status().deleted_segments == 1);
}

TEST_CASE("without room for a second copy a segment is not sealed until there is", "[ledger][compactor]") {
  const SmallDisk disk(192);
  if (!disk.usable()) return;
  LedgerFixture ledger(disk.file("ledger"));
  fill_segment(ledger, 0, 50, 10);
  Compactor compactor(ledger.settings, ledger.clock);
  const std::uintmax_t free = std::filesystem::space(disk.file("")).available;
  write_file(disk.file("ballast"), std::string(free - 8192, 'x'));
  for (int step = 0; step < 20; ++step) compactor.step();
  CHECK(ledger.segment_files().at(0) == segment_name(0, false));
  CHECK(compactor.status().failure.find("room") != std::string::npos);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 500));
  std::filesystem::remove(disk.file("ballast"));
  ledger.clock.advance(2min);
  run_to_rest(compactor);
  CHECK(ledger.segment_files().at(0) == segment_name(0, true));
  CHECK(compactor.status().failure.empty());
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 500));
  ledger.close();
}

TEST_CASE("listed segments stay readable when they are deleted or sealed", "[ledger][compactor]") {
  LedgerFixture ledger;
  fill_segment(ledger, 0, 3, 10);
  fill_segment(ledger, 30, 3, 10);
  auto segments = SegmentList::open(ledger.directory());
  REQUIRE(segments);
  REQUIRE(segments->entries().size() == 3);
  const SegmentEntry first = segments->entries()[0];
  const SegmentEntry second = segments->entries()[1];
  CHECK(second.bounds.records == 30);
  CHECK(second.bounds.min_end == at_second(31));
  CHECK(second.bounds.max_end == at_second(60));
  const auto before = open_segment(segments->directory(), first.name);
  REQUIRE(before);
  ledger.keep();
  const auto sealed = open_segment(segments->directory(), second.name);
  REQUIRE(sealed);
  CHECK((*sealed)->name().sealed);
  std::filesystem::remove(ledger.path(0, true));
  const auto gone = open_segment(segments->directory(), first.name);
  REQUIRE_FALSE(gone);
  CHECK(gone.error().kind == ErrorKind::kUnavailable);

  std::uint64_t records = 0;
  FrameDecoder decoder;
  RecordBlock block;
  for (const auto& file : {*before, *sealed}) {
    const auto found = read_frames(file);
    REQUIRE(found);
    for (const FramePlace& frame : found->frames) {
      std::vector<std::byte> bytes(frame.info.bytes);
      REQUIRE(file->read_at(frame.offset, bytes));
      REQUIRE(decoder.decode(bytes, block, file->peers()));
      records += frame.info.records;
    }
  }
  CHECK(records == 60);
  CHECK(block.records.size() == 60);
}

}  // namespace
}  // namespace natsession::testing
