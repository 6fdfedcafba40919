// The ledger against the machine: a full disk, a process that is killed, readers and a compactor beside the
// writer.
#include <sys/mman.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <new>
#include <random>
#include <thread>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "ledger/cursor.h"
#include "ledger/ledger_fixture.h"
#include "support/small_disk.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

std::vector<SessionRecord> records_from(std::uint32_t first, std::uint32_t count) {
  std::vector<SessionRecord> records;
  for (std::uint32_t number = first; number < first + count; ++number) {
    records.push_back(numbered_record(number));
    // What does not compress, so that the disk fills up.
    records.back().bytes_from_pub = Count(std::uint64_t{number} * 0x9e3779b97f4a7c15U >> 20);
    records.back().mark = number * 0x85ebca6bU;
    if (number % 7 == 0) records.back().start_time = at_second(-100'000);
  }
  return records;
}

TEST_CASE("a full disk loses nothing and stops nothing: what comes waits, and is written when there is room",
          "[ledger][crash]") {
  const SmallDisk disk(256);
  if (!disk.usable()) return;
  LedgerFixture ledger;
  ledger.close();
  ledger.settings.directory = disk.file("ledger");
  ledger.settings.sync = GENERATE(SyncMode::kInterval, SyncMode::kAlways, SyncMode::kNever);
  ledger.open();
  const auto reader = open_reader(ledger.directory());
  Reading reading;

  std::uint32_t sent = 0;
  std::size_t taken = 0;
  do {
    const auto records = records_from(sent, 500);
    taken = ledger.writer->append(records);
    sent += static_cast<std::uint32_t>(taken);
    ledger.clock.advance(100ms);
    ledger.writer->tick();
    read_on(*reader, reading);
    REQUIRE(sent < 1'000'000);
  } while (taken == 500);
  const WriterStatus full = ledger.writer->status();
  CHECK(full.failure.find("No space left on device") != std::string::npos);
  CHECK(full.failure.find(ledger.directory()) != std::string::npos);
  CHECK(full.failure.find(std::to_string(full.pending)) != std::string::npos);
  CHECK(full.pending <= 2 * kMaxFrameRecords);
  CHECK(full.pending >= kMaxFrameRecords);
  CHECK(full.written + full.pending == sent);
  CHECK_FALSE(ledger.writer->sync());
  CHECK((reading.numbers == numbers(0, static_cast<std::uint32_t>(full.written))));
  CHECK(ledger.writer->append(records_from(sent, 500)) == 0);  // all of one call, or nothing

  disk.resize(8192);
  CHECK(ledger.writer->append(records_from(sent, 500)) == 500);
  sent += 500;
  CHECK(ledger.writer->status().failure.empty());
  REQUIRE(ledger.writer->sync());
  read_on(*reader, reading);
  CHECK((reading.numbers == numbers(0, sent)));
  CHECK(reading.skipped.empty());
  CHECK((read_ledger(ledger.directory()).numbers == numbers(0, sent)));
  ledger.reopen();
  CHECK_FALSE(torn_since(*ledger.writer));
  ledger.close();
}

TEST_CASE("what waits when the disk is full is written by tick() alone", "[ledger][crash]") {
  LedgerFixture ledger;
  ledger.frame(0, 10);
  const auto size = std::filesystem::file_size(ledger.path(0));
  {
    const FileSizeLimit limit(size + 100);
    ledger.append(10, 10);
    ledger.clock.advance(1s);
    const auto again = ledger.writer->tick();
    REQUIRE(again);
    CHECK(*again > ledger.clock.steady());
    CHECK_FALSE(ledger.writer->status().failure.empty());
    // Nothing of it stays in the file.
    CHECK(std::filesystem::file_size(ledger.path(0)) == size);
    CHECK((read_ledger(ledger.directory()).numbers == numbers(0, 10)));
  }
  ledger.clock.advance(1s);
  ledger.writer->tick();
  CHECK(ledger.writer->status().failure.empty());
  CHECK((read_ledger(ledger.directory()).numbers == numbers(0, 20)));
}

// What the children and their parent share. No number is used twice, so what a child had in memory when it
// was killed shows as numbers that are missing.
struct Progress {
  std::atomic<std::uint32_t> next{0};     // the number of the next record
  std::atomic<std::uint32_t> begin{0};    // this child's first
  std::atomic<std::uint32_t> written{0};  // the numbers below are in the ledger, the child was told
};

[[noreturn]] void write_for_ever(const LedgerSettings& settings, Progress& progress) {
  const SystemClock clock;
  auto writer = LedgerWriter::open(settings, clock);
  if (!writer) ::_exit(3);
  const std::uint32_t begin = progress.next;
  const Ordinal first = (*writer)->status().written;
  progress.written = begin;
  progress.begin = begin;
  (*writer)->on_written(
      [&] { progress.written = begin + static_cast<std::uint32_t>((*writer)->status().written - first); });
  Compactor compactor(settings, clock);
  for (std::uint32_t turn = 0;; ++turn) {
    const std::uint32_t next = progress.next;
    const std::uint32_t count = 1 + (turn * 37) % 300;
    progress.next = next + count;
    if ((*writer)->append(records_from(next, count)) != count) ::_exit(4);
    (*writer)->tick();
    compactor.step();
  }
}

TEST_CASE("a writer that is killed at any moment leaves all that it said was written, in order",
          "[ledger][crash]") {
  LedgerFixture ledger;
  ledger.close();
  ledger.settings.sync = SyncMode::kNever;  // the kernel does not fall: what was written is there
  ledger.settings.sync_interval = 0ms;
  ledger.settings.retention = 0ms;  // none: the records are of 1970
  ledger.settings.segment_limit = ByteCount{64 << 10};
  void* const page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  auto* const progress = new (page) Progress;
  std::mt19937 random(20'261'121);
  std::uniform_int_distribution<int> microseconds(500, 60'000);
  Reading all;
  const auto reader = open_reader(ledger.directory());
  std::uint32_t most = 0;  // of one writer: one may be killed before it has begun
  for (int kill = 0; kill < 50; ++kill) {
    progress->begin = progress->written = progress->next.load();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) write_for_ever(ledger.settings, *progress);
    // Every second one, also on a machine that is slow to begin, is killed while it writes.
    int status = 0;
    while (kill % 2 == 1 && progress->written == progress->begin && ::waitpid(child, &status, WNOHANG) == 0)
      ::usleep(100);
    ::usleep(static_cast<useconds_t>(microseconds(random)));
    read_once(*reader, all);  // while it is being written
    REQUIRE(::kill(child, SIGKILL) == 0);
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    while (read_once(*reader, all)) {
    }
    INFO("kill " << kill);
    for (const Skipped& skipped : all.skipped) {
      FAIL("records " << skipped.first << " to " << skipped.last << " were skipped: " << skipped.why);
    }
    const auto reported = std::lower_bound(all.numbers.begin(), all.numbers.end(), progress->begin.load());
    const std::uint32_t count = progress->written - progress->begin;
    most = std::max(most, count);
    REQUIRE(all.numbers.end() - reported >= std::ptrdiff_t{count});
    REQUIRE((count == 0 || *(reported + count - 1) == progress->written - 1));
  }
  CHECK(all.complete(0, all.ordinals.size()));
  CHECK(std::adjacent_find(all.numbers.begin(), all.numbers.end(), std::greater_equal()) ==
        all.numbers.end());
  CHECK((read_ledger(ledger.directory()).numbers == all.numbers));
  CHECK(most > 0);
  const auto writer = LedgerWriter::open(ledger.settings, ledger.clock);
  REQUIRE(writer);
  CHECK(torn_since(**writer));
  CHECK((*writer)->status().written >= all.ordinals.size());  // more: what it rescued of a group that was cut
  ::munmap(page, 4096);
}

TEST_CASE("writer, readers and compactor go on beside each other", "[ledger][crash][threads]") {
  LedgerFixture ledger;
  ledger.close();
  ledger.settings.sync = SyncMode::kNever;
  ledger.settings.segment_limit = ByteCount{16 << 10};
  ledger.settings.sync_interval = 0ms;
  ledger.settings.retention = 0ms;  // none: the records are of 1970
  const SystemClock clock;
  auto opened = LedgerWriter::open(ledger.settings, clock);
  REQUIRE(opened);
  LedgerWriter& writer = **opened;
  constexpr std::uint32_t kRecords = 60'000;
  std::atomic<bool> written{false};
  std::atomic<bool> kept{false};
  std::atomic<int> reading{2};

  std::thread writing([&] {
    for (std::uint32_t next = 0; next < kRecords;) {
      next += static_cast<std::uint32_t>(writer.append(records_from(next, std::min(97U, kRecords - next))));
      writer.tick();
    }
    static_cast<void>(writer.sync());
    written = true;
  });
  Compactor compactor(ledger.settings, clock);
  std::thread keeping([&] {
    while (reading > 0) {
      if (compactor.step() != std::chrono::nanoseconds(0)) std::this_thread::yield();
    }
    kept = true;
  });
  std::vector<Reading> readings(2);
  std::vector<std::thread> readers;
  for (Reading& mine : readings) {
    readers.emplace_back([&] {
      const auto reader = open_reader(ledger.directory());
      while (true) {
        const bool last = written;
        if (!read_once(*reader, mine) && last) break;
      }
      --reading;
    });
  }
  while (!kept) {
    CHECK(writer.status().written <= kRecords);
    CHECK(compactor.status().records <= kRecords);
    std::this_thread::yield();
  }
  writing.join();
  keeping.join();
  for (std::thread& thread : readers) thread.join();
  for (const Reading& mine : readings) {
    CHECK((mine.numbers == numbers(0, kRecords)));
    for (const Skipped& skipped : mine.skipped) {
      FAIL_CHECK("records " << skipped.first << " to " << skipped.last << " were skipped: " << skipped.why);
    }
  }
}

}  // namespace
}  // namespace natsession::testing
