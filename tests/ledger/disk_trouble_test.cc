// Disks that fail, and directories that go away under the ledger.
#include <cerrno>

#include <catch2/catch.hpp>

#include "ledger/cursor.h"
#include "ledger/ledger_fixture.h"
#include "ledger/verify_ledger.h"
#include "support/disk_faults.h"
#include "support/small_disk.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;
using Catch::Matchers::Contains;

std::size_t count_of(const std::vector<std::string>& all, const std::string& one) {
  return static_cast<std::size_t>(std::count(all.begin(), all.end(), one));
}

TEST_CASE("records wait in memory while the disk fails, and are all there afterwards", "[ledger][trouble]") {
  const auto [faults, cause] = GENERATE(table<DiskFaults, std::string>({
      {{.write = EIO}, "write: Input/output error"},
      {{.sync = EIO}, "fdatasync: Input/output error"},
      {{.write = EROFS}, "write: Read-only file system"},
      {{.write = ENOSPC}, "write: No space left on device"},
  }));
  CAPTURE(cause);
  LedgerFixture ledger;
  ledger.frame(0, 10);
  FailingDisk disk(faults);
  CHECK(ledger.append(10, 5) == 5);
  for (int attempt = 0; attempt < 5; ++attempt) {
    ledger.clock.advance(1s);
    ledger.writer->tick();
    CHECK_THAT(ledger.writer->status().failure,
               Contains(ledger.directory()) && Contains(cause) && Contains("5 records wait in memory"));
    CHECK_FALSE(ledger.writer->sync());
    CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 10));
  }
  // It takes no more than its memory holds.
  CHECK(ledger.append(15, 100'000) < 100'000);
  const std::uint64_t taken = ledger.writer->status().appended;
  disk.set({});
  ledger.clock.advance(1s);
  ledger.writer->tick();
  CHECK(ledger.writer->status().failure.empty());
  REQUIRE(ledger.writer->sync());
  const Reading reading = read_ledger(ledger.directory());
  CHECK(reading.numbers == numbers(0, static_cast<std::uint32_t>(taken)));
  CHECK(reading.skipped.empty());
  CHECK(verify_ledger(ledger.directory())->sound());
  CHECK(ledger.segment_files().size() <= 2);
}

TEST_CASE("after an error of the disk records go to another file", "[ledger][trouble]") {
  LedgerFixture ledger;
  ledger.frame(0, 10);
  {
    // This file's place on the disk is bad for ever; another's is not.
    const FailingDisk disk({.write = 0, .sync = EIO, .only_below = ledger.path(0)});
    ledger.append(10, 5);
    CHECK_FALSE(ledger.writer->sync());
    CHECK(ledger.writer->sync());
    CHECK(ledger.writer->status().failure.empty());
    CHECK(ledger.segment_files() ==
          std::vector<std::string>{segment_name(0, false), segment_name(10, false)});
    ledger.frame(15, 5);
  }
  CHECK(ledger.segment_files().size() == 2);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 20));
  CHECK(verify_ledger(ledger.directory())->sound());
}

TEST_CASE("what an fdatasync that failed may have lost is written once more", "[ledger][trouble]") {
  LedgerFixture ledger;
  ledger.settings.sync_interval = 1h;
  ledger.reopen();
  // Two full frames, written as they filled up and not flushed yet.
  ledger.append(0, 2 * kMaxFrameRecords + 1);
  REQUIRE(ledger.writer->status().written >= kMaxFrameRecords);
  FailingDisk disk({.sync = EIO});
  CHECK_FALSE(ledger.writer->sync());
  disk.set({});
  CHECK(ledger.writer->sync());
  const auto done = disk.done();
  const std::string again = "write " + std::filesystem::canonical(ledger.path(0)).string();
  CHECK(count_of(done, again) >= 2);  // the last frame, in vain, and all of them
  CHECK(done.back().starts_with("sync "));
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 2 * kMaxFrameRecords + 1));
}

TEST_CASE("a disk that stays broken at the stop leaves a ledger that says it was not closed",
          "[ledger][trouble]") {
  LedgerFixture ledger;
  ledger.frame(0, 10);
  {
    const FailingDisk disk({.write = EIO, .sync = EIO});
    ledger.append(10, 5);
    ledger.close();
  }
  ledger.open();
  CHECK(torn_since(*ledger.writer) == at_second(10));
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 10));
}

TEST_CASE("a filesystem that is made read-only is told of, and written again when it is not",
          "[ledger][trouble]") {
  const SmallDisk disk(4096);
  if (!disk.usable()) return;
  LedgerFixture ledger(disk.file("ledger"));
  ledger.frame(0, 10);
  ledger.close();  // a filesystem with a file open for writing is not made read-only by asking
  disk.make_read_only(true);
  const auto refused = LedgerWriter::open(ledger.settings, ledger.clock);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Contains(ledger.directory()) && Contains("Read-only file system"));
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 10));
  Compactor compactor(ledger.settings, ledger.clock);
  for (int step = 0; step < 10; ++step) compactor.step();
  disk.make_read_only(false);
  ledger.open();
  ledger.frame(10, 10);
  CHECK(read_ledger(ledger.directory()).numbers == numbers(0, 20));
  ledger.close();
}

TEST_CASE("a directory that is removed under writer, reader and cursor is made anew", "[ledger][trouble]") {
  LedgerFixture ledger;
  ledger.frame(0, 10);
  auto cursor = Cursor::open(ledger.directory(), "sink");
  REQUIRE(cursor);
  REQUIRE(cursor->store({4, at_second(4)}, true));
  const auto reader = open_reader(ledger.directory(), 4);
  Reading reading;
  const bool had_read = GENERATE(true, false);
  if (had_read) read_once(*reader, reading);
  ledger.keep();
  const std::string gone = GENERATE(as<std::string>(), "", "/segments", "/cursors");
  CAPTURE(gone, had_read);
  std::filesystem::remove_all(ledger.directory() + gone);

  ledger.frame(10, 5);
  CHECK(ledger.writer->status().failure.empty());
  REQUIRE(cursor->store({9, at_second(9)}, true));
  const auto again = Cursor::open(ledger.directory(), "sink");
  REQUIRE(again);
  REQUIRE(again->state());
  CHECK(again->state()->next == 9);
  read_on(*reader, reading);
  CHECK(reading.complete(4, 15));
  CHECK(reading.missing() == (had_read || gone == "/cursors" ? 0 : 6));
  ledger.keep();
  CHECK(ledger.compactor->status().failure.empty());
  ledger.reopen();
  CHECK_FALSE(torn_since(*ledger.writer));
  CHECK(ledger.writer->status().written == 15);
}

TEST_CASE("where the directory cannot be made anew records wait, and the path is told", "[ledger][trouble]") {
  LedgerFixture ledger;
  const std::string parent = ledger.file("mount");
  std::filesystem::create_directory(parent);
  ledger.close();
  ledger.settings.directory = parent + "/ledger";
  ledger.open();
  ledger.frame(0, 10);
  auto cursor = Cursor::open(ledger.directory(), "sink");
  REQUIRE(cursor->store({4, at_second(4)}, true));
  const auto reader = open_reader(ledger.directory(), 10);
  Reading reading;
  read_once(*reader, reading);
  std::filesystem::remove_all(parent);
  ledger.append(10, 5);
  CHECK_FALSE(ledger.writer->sync());
  CHECK_THAT(ledger.writer->status().failure, Contains(ledger.directory()) && Contains("No such file"));
  CHECK_FALSE(cursor->store({5, at_second(5)}, true));
  RecordBlock block;
  const auto outcome = reader->read(block);
  CHECK((!outcome || block.records.empty()));
  std::filesystem::create_directory(parent);
  REQUIRE(ledger.writer->sync());
  CHECK(cursor->store({5, at_second(5)}, true));
  CHECK(read_to_end(*reader).numbers == numbers(10, 5));
  ledger.close();
}

}  // namespace
}  // namespace natsession::testing
