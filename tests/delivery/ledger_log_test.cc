// The log on disk: its writer's pressure, trouble and orderly end; where a sink stands in it, and what it
// gets.
#include "delivery/ledger_log.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include "delivery/delivery_fixture.h"
#include "ledger/mend_checksums.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;
using Kind = Turn::Kind;
using RKind = Report::Kind;

namespace {

std::string segment(const LedgerRig& rig, std::size_t index) {
  const std::string segments = rig.directory() + "/segments/";
  return segments + testing::list_directory(segments).at(index);  // in the order of time
}

// Ten records in each of several segments, none of them read.
void write_segments(LedgerRig& rig, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    rig.clock.advance(2h);
    rig.write(10 * i, 10 * i + 10);
  }
}

std::size_t flushes(const FailingDisk& disk) {
  const auto done = disk.done();
  return static_cast<std::size_t>(std::count_if(done.begin(), done.end(), [](const std::string& one) {
    return one.starts_with("sync") && one.ends_with(".cursor");
  }));
}

}  // namespace

TEST_CASE("the writer is called again when the ledger asks for it", "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}));
  rig.kill();
  rig.ledger_settings.sync_interval = 1s;
  rig.build();
  rig.emit(0, 10);
  rig.producer->flush();
  const Turn turn = rig.run_writer();
  CHECK(turn.kind == Kind::kSleep);
  CHECK(turn.depth == Notifier::Sleep::kLight);
  CHECK(turn.limit == std::chrono::nanoseconds(1s));
  CHECK(rig.core->ledger_report()->pending == 10);
  rig.clock.advance(1s);
  rig.run_writer();
  CHECK(rig.core->ledger_report()->end == 10);
}

TEST_CASE("a full disk holds the collectors back, loses nothing, and is over without a restart",
          "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}), {}, {.queue_batches = 32});
  std::uint32_t emitted = 0;
  {
    const FailingDisk disk({.write = ENOSPC});
    emitted = rig.fill();
    CHECK(emitted > 20 * 512);
    for (int hour = 0; hour < 10; ++hour) {
      rig.clock.advance(1h);
      const Turn turn = rig.run_writer();
      CHECK(turn.kind == Kind::kSleep);
      REQUIRE(turn.limit.has_value());
      CHECK(*turn.limit <= std::chrono::nanoseconds(1s));
      CHECK_FALSE(rig.producer->has_room());
    }
    const auto status = rig.core->ledger_report();
    CHECK(status->failure.find("No space left on device") != std::string::npos);
    CHECK(status->pending == emitted);
    CHECK(status->dropped == 0);
    CHECK(status->append_failures == 1);
  }
  rig.run_writer();
  CHECK(rig.producer->has_room());
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, emitted));
  REQUIRE(rig.report_kinds() == std::vector{RKind::kLedgerTrouble, RKind::kLedgerTroubleOver});
  CHECK(rig.report_sinks[0] == rig.directory());
  CHECK(rig.reports[0].why.find("No space left on device") != std::string::npos);
  CHECK(rig.reports[1].lasted >= std::chrono::nanoseconds(10h));
}

TEST_CASE("a sink that takes nothing does not hold the collectors back", "[delivery][ledger_log]") {
  LedgerRig rig(sinks({FlakySink::Script(1000, Answer::retry_later(0, "no"))}), {}, {.queue_batches = 32});
  for (std::uint32_t number = 0; number < 100'000; number += 4096) {
    REQUIRE(rig.producer->has_room());
    rig.feed(number, number + 4096);
  }
  CHECK(rig.status(0).waiting > 90'000);
  CHECK(rig.status(0).dropped == 0);
  CHECK_FALSE(rig.status(0).lagging);
}

TEST_CASE("at a stop the writer takes all there is and syncs before the sinks are told that it was all",
          "[delivery][ledger_log][stop]") {
  LedgerRig rig(sinks({{}}));
  rig.emit(0, 700);
  rig.core->end_input();
  CHECK(rig.run(0).kind == Kind::kSleep);  // more is on its way
  CHECK(rig.run_writer().kind == Kind::kDone);
  CHECK(rig.run(0).kind == Kind::kDone);
  CHECK(rig.delivered(0) == numbers(0, 700));
}

TEST_CASE("a disk that is full at the stop is tried again, and what is lost is said",
          "[delivery][ledger_log][stop]") {
  LedgerRig rig(sinks({{}}));
  rig.emit(0, 700);
  rig.core->end_input();
  {
    const FailingDisk disk({.write = ENOSPC});
    CHECK(rig.run_writer().kind == Kind::kSleep);
  }
  SECTION("room comes in time") {
    CHECK(rig.run_writer().kind == Kind::kDone);
    CHECK(rig.numbers_in_ledger() == numbers(0, 700));
    CHECK(rig.core->close().undelivered.empty());
  }
  SECTION("no room comes") {
    rig.core->abandon();
    CHECK(rig.run_writer().kind == Kind::kDone);
    CHECK(rig.run(0).kind == Kind::kDone);
    const Drained drained = rig.core->close();
    REQUIRE(drained.undelivered.size() == 1);
    CHECK(drained.undelivered[0].sink == "ledger " + rig.directory());
    CHECK(drained.undelivered[0].records == 700);
  }
}

TEST_CASE("a ledger without sinks is written all the same", "[delivery][ledger_log]") {
  LedgerRig rig(sinks({}));
  CHECK(rig.producer->has_room());
  rig.write(0, 100);
  CHECK(rig.numbers_in_ledger() == numbers(0, 100));
  CHECK(rig.core->sink_reports().empty());
}

TEST_CASE("a collector that never asks for room gets a gap record into the ledger",
          "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}), {}, {.queue_batches = 32});
  rig.emit(0, 36 * 512);
  rig.write();
  rig.run(0);
  const auto seen = rig.seen(0);
  REQUIRE(seen.size() == 1 + 16 * 512);
  CHECK(seen[0].event == RecordEvent::kGap);
  CHECK(seen[0].events_lost == Count(20 * 512));
  CHECK(rig.core->ledger_report()->dropped == 20 * 512);
}

TEST_CASE("the background's trouble is told once", "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}));
  rig.write(0, 10);
  for (int i = 0; i < 7; ++i) {
    rig.run(2);
    rig.clock.advance(10min);
  }
  rig.write(10, 20);  // in another segment: the first is sealed
  {
    const FailingDisk disk({.write = ENOSPC});
    for (int i = 0; i < 3; ++i) {
      rig.run(2);
      rig.clock.advance(10min);
    }
    CHECK(rig.report_kinds() == std::vector{RKind::kUpkeepTrouble});
    CHECK_FALSE(rig.core->ledger_report()->upkeep_failure.empty());
  }
}

TEST_CASE("a sink goes on where it stood", "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}));
  rig.feed(0, 100);
  rig.write(100, 200);
  rig.restart();
  rig.feed(200, 300);
  CHECK(rig.delivered(0) == numbers(0, 300));
  CHECK(rig.cursor(0) == 300);
  CHECK(rig.open_cursor(0).state()->delivered_to == at_second(300));
}

TEST_CASE("a new sink begins behind what is there, or at the oldest record if it asks for that",
          "[delivery][ledger_log]") {
  LedgerRig rig(sinks({}), [](std::size_t i, SinkSpec& spec) { spec.from_start = i == 1; });
  write_segments(rig, 3);
  rig.kill();
  std::filesystem::remove(segment(rig, 0));
  rig.captures = {std::make_shared<testing::Capture>(), std::make_shared<testing::Capture>()};
  rig.build();
  rig.restart();  // it is stored before anything is delivered
  rig.feed(30, 40);
  rig.run(1);
  CHECK(rig.delivered(0) == numbers(30, 40));
  CHECK(rig.delivered(1) == numbers(10, 40));
  CHECK(rig.status(1).dropped == 0);
}

TEST_CASE("a cursor moves only behind what was delivered or rejected, and after each batch",
          "[delivery][ledger_log]") {
  LedgerRig rig(
      sinks({{Answer::retry_later(3, "busy"), Answer::rejected(1, "odd"), Answer::retry_later(0, "busy")}}),
      batches_of({.records = 10}));
  rig.write(0, 30);
  rig.step(0);
  CHECK(rig.cursor(0) == 3);
  rig.step(0);
  CHECK(rig.cursor(0) == 5);
  rig.step(0);
  CHECK(rig.cursor(0) == 5);
  rig.clock.advance(1s);
  rig.step(0);
  CHECK(rig.cursor(0) == 15);
  CHECK(rig.status(0).waiting == 15);
}

TEST_CASE("after a kill in the middle of a delivery one batch comes twice, with equal names",
          "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}), batches_of({.records = 10}));
  rig.write(0, 100);
  for (int i = 0; i < 3; ++i) rig.step(0);
  rig.kill();
  REQUIRE(rig.open_cursor(0).store({20, at_second(20)}, true));  // killed before the third store
  rig.build();
  rig.run(0);
  const auto seen = rig.seen(0);
  REQUIRE(seen.size() == 110);
  for (std::size_t i = 0; i < 10; ++i) {
    CHECK(seen[20 + i].seq == seen[30 + i].seq);
    CHECK(seen[20 + i].session_id == seen[30 + i].session_id);
  }
}

TEST_CASE("the cursor is flushed to the disk once a second, not with each batch", "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}), batches_of({.records = 1}));
  rig.run_after(1h);
  const FailingDisk disk({});
  const Turn turn = rig.feed(0, 500);
  CHECK(flushes(disk) == 1);
  REQUIRE(turn.limit.has_value());
  CHECK(*turn.limit <= std::chrono::nanoseconds(1s));
  rig.run_after(1s);
  CHECK(flushes(disk) == 2);
  rig.run_after(1h);
  CHECK(flushes(disk) == 2);
}

TEST_CASE("the cursor of a suspended sink, and that of one that stops, is flushed too",
          "[delivery][ledger_log]") {
  const bool stops = GENERATE(false, true);
  LedgerRig rig(sinks({{Answer::delivered(0), Answer::target_failed(0, TargetCode::kUnauthorized, "401")}}),
                batches_of({.records = 5}));
  rig.run(0);
  const Turn turn = rig.feed(0, stops ? 5 : 10);
  const FailingDisk disk({});
  if (stops) {
    rig.stop();
    CHECK(rig.run(0).kind == Kind::kDone);
  } else {
    CHECK(turn.depth == Notifier::Sleep::kDeep);
    REQUIRE(turn.limit.has_value());
    rig.run_after(*turn.limit);
  }
  CHECK(flushes(disk) == 1);
  CHECK(rig.cursor(0) == 5);
}

TEST_CASE("a sink whose cursor is damaged gets nothing and says what would do, and the others go on",
          "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}, {}}));
  rig.feed(0, 10);
  rig.run(1);
  rig.kill();
  const std::string folder = rig.directory() + "/cursors/";
  const std::string path = folder + testing::list_directory(folder).at(0);
  SECTION("both of its slots") {
    testing::write_file(path, std::string(8192, 'x'));
  }
  SECTION("it is a FIFO") {
    std::filesystem::remove(path);
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  }
  SECTION("it is a link") {
    std::filesystem::rename(path, rig.directory() + "/elsewhere");
    std::filesystem::create_symlink(rig.directory() + "/elsewhere", path);
  }
  rig.build();
  rig.feed(10, 20);
  rig.run(1);
  CHECK(rig.delivered(0) == numbers(0, 10));
  CHECK(rig.delivered(1) == numbers(0, 20));
  CHECK(rig.status(0).state == DeliveryState::kFailed);
  CHECK(rig.status(0).message.find(path) != std::string::npos);
  CHECK(rig.status(0).message.find("remove that file and restart") != std::string::npos);
  CHECK(rig.status(1).state == DeliveryState::kSuccess);
  CHECK(rig.report_kinds() == std::vector{RKind::kPlaceLost});
  CHECK(rig.closings.empty());
  rig.stop();
  CHECK(rig.run(0).kind == Kind::kDone);
  rig.kill();
  std::filesystem::remove(path);
  rig.build();
  rig.feed(20, 30);
  CHECK(rig.delivered(0).back() == 29);
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
}

TEST_CASE("a sink whose cursor a newer version wrote waits for that version, or for somebody who removes it",
          "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}));
  rig.feed(0, 10);
  rig.run(1);
  rig.kill();
  const std::string folder = rig.directory() + "/cursors/";
  const std::string path = folder + testing::list_directory(folder).at(0);
  std::string slot = testing::read_file(path).substr(0, 512);
  slot[8] = 2;  // the version
  correct_checksum(slot, 0, 508);
  testing::write_file(path, slot + std::string(3584, '\0') + slot + std::string(3584, '\0'));
  rig.build();
  rig.feed(10, 20);
  CHECK(rig.delivered(0) == numbers(0, 10));
  CHECK(rig.status(0).state == DeliveryState::kFailed);
  CHECK(rig.status(0).message.find(path +
                                   ": a newer program wrote it; install that version again, or a later one,"
                                   " or remove that file and restart") != std::string::npos);
  rig.kill();
  std::filesystem::remove(path);
  rig.build();
  rig.feed(20, 30);
  CHECK(rig.delivered(0).back() == 29);
}

TEST_CASE("a cursor that cannot be stored is told once, and delivery goes on", "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}));
  {
    const FailingDisk disk({.write = EIO, .only_below = rig.directory() + "/cursors"});
    rig.feed(0, 10);
    rig.feed(10, 20);
  }
  CHECK(rig.delivered(0) == numbers(0, 20));
  CHECK(rig.report_kinds() == std::vector{RKind::kCursorTrouble});
  rig.run_after(1s);
  CHECK(rig.report_kinds() == std::vector{RKind::kCursorTrouble, RKind::kCursorTroubleOver});
  CHECK(rig.cursor(0) == 20);
}

TEST_CASE("records that are gone become one gap record between those around them, and are counted",
          "[delivery][ledger_log][gap]") {
  const auto linger = GENERATE(0ms, 1000ms);
  LedgerRig rig(sinks({{}, {}}), batches_of({.records = 1000, .linger = linger}));
  write_segments(rig, 3);
  if (linger == 0ms) rig.run(1);
  rig.kill();
  std::filesystem::remove(segment(rig, 1));
  rig.build();
  CHECK(rig.status(0).waiting == 30);
  rig.run(0);
  rig.run_after(1s);
  const auto seen = rig.seen(0);
  REQUIRE(seen.size() == 21);
  CHECK(seen[9].seq == 9);
  CHECK(seen[10].event == RecordEvent::kGap);
  CHECK(seen[10].reason == RecordReason::kDamaged);
  CHECK(seen[10].events_lost == Count(10));
  CHECK(seen[10].origin->instance == "here");
  CHECK(seen[11].seq == 20);
  CHECK(rig.status(0).dropped == 10);
  CHECK(rig.status(0).waiting == 0);
  CHECK(rig.cursor(0) == 30);
  CHECK(rig.status(1).dropped == 0);
  REQUIRE(rig.report_kinds() == std::vector{RKind::kSkipped});
  CHECK(rig.reports[0].records == 10);
}

TEST_CASE("what is missing before the first record is missing since the last one was delivered",
          "[delivery][ledger_log][gap]") {
  const bool new_sink = GENERATE(false, true);
  LedgerRig rig(sinks({{}}));
  const UnixMs began = to_ms(rig.clock.now());
  if (!new_sink) rig.feed(0, 10);
  write_segments(rig, 3);
  rig.kill();
  std::filesystem::remove(segment(rig, 0));
  if (!new_sink) std::filesystem::remove(segment(rig, 0));
  rig.build();
  rig.run(0);
  const auto seen = rig.seen(0);
  const std::size_t at = new_sink ? 0 : 10;
  REQUIRE(seen.size() > at);
  CHECK(seen[at].event == RecordEvent::kGap);
  // A new sink misses nothing of before it came.
  CHECK(seen[at].start_time == (new_sink ? began : at_second(10)));
}

TEST_CASE("a kill right after a gap record does not repeat it, and one before it does",
          "[delivery][ledger_log][gap]") {
  const bool delivered = GENERATE(false, true);
  LedgerRig rig(sinks({{}}), batches_of({.records = 1}));
  write_segments(rig, 2);
  rig.kill();
  std::filesystem::remove(segment(rig, 0));
  rig.build({{delivered ? Answer::delivered(0) : Answer::retry_later(0, "busy")}});
  rig.step(0);
  CHECK(rig.status(0).waiting == (delivered ? 10 : 11));  // the gap record is one
  rig.restart();
  rig.run(0);
  const auto seen = rig.seen(0);
  REQUIRE(seen.size() == 11);
  CHECK(seen[0].event == RecordEvent::kGap);
  CHECK(seen[1].seq == 10);
}

TEST_CASE("a cursor of records that the machine's fall took is set back to the end",
          "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}));
  rig.feed(0, 60);
  rig.core.reset();
  REQUIRE(rig.open_cursor(0).store({100, at_second(100)}, true));
  rig.build();
  CHECK(rig.cursor(0) == 60);
  rig.write(60, 70);  // no ordinal is used twice: a gap record stands for those that are gone
  rig.run(0);
  const auto seen = rig.seen(0);
  REQUIRE(seen.size() == 60 + 1 + 10);
  CHECK(seen[60].event == RecordEvent::kGap);
  CHECK(seen[60].events_lost == Count(40));
  CHECK(seen[61].seq == 60);
}

TEST_CASE("a ledger that cannot be read is trouble of the sink, and is tried again",
          "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}));
  rig.write(0, 10);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit no_more{0, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &no_more);
  const Turn turn = rig.run(0);
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK(turn.depth == Notifier::Sleep::kDeep);
  CHECK(rig.status(0).state == DeliveryState::kFailed);
  CHECK(rig.status(0).message.find("Too many open files") != std::string::npos);
  rig.run_after(1s);
  CHECK(rig.delivered(0) == numbers(0, 10));
  CHECK(rig.report_kinds() == std::vector{RKind::kTrouble, RKind::kTroubleOver});
}

TEST_CASE("what records point to lives until they are delivered, also over frames",
          "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}}), batches_of({.records = 100, .linger = 1h}));
  for (std::uint32_t number = 0; number < 1000; number += 7) rig.feed(number, number + 7);
  CHECK(rig.delivered(0).size() == 1000);
  CHECK(rig.captures[0]->seen().batches == std::vector<std::size_t>(10, 100));
}

TEST_CASE("two sinks of one name would share a place in the ledger, and are refused",
          "[delivery][ledger_log]") {
  const testing::TempDir directory;
  const testing::ManualClock clock{UnixNs(0s)};
  std::vector<SinkSpec> specs;
  for (int i = 0; i < 2; ++i) {
    specs.push_back(
        {.sink = std::make_unique<testing::CaptureSink>("a", std::make_shared<testing::Capture>())});
  }
  LedgerSetup ledger{.settings = {.directory = directory.file("ledger")}};
  ledger.writer = std::move(*LedgerWriter::open(ledger.settings, clock));
  Delivery delivery(std::move(specs), {}, clock, {}, "here", std::move(ledger));
  const Result<void> opened = delivery.open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().kind == ErrorKind::kUsage);
}

TEST_CASE("retention knows every sink: what one had not read when it was deleted is counted, and told to it",
          "[delivery][ledger_log]") {
  LedgerRig rig(sinks({{}, {}}));
  rig.kill();
  rig.ledger_settings.limit = ByteCount{1};
  rig.build();
  write_segments(rig, 3);
  rig.run(0);
  rig.run(3);
  const LedgerReport status = *rig.core->ledger_report();
  CHECK(status.deleted_segments == 3);
  CHECK(status.deleted_unread_records == 30);  // of b's
  rig.run(1);
  CHECK(rig.status(1).dropped == 30);
  CHECK(rig.status(0).dropped == 0);
}
