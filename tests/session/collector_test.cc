#include "session/collector.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "session/collector_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language
using Pace = Collector::Pace;

TEST_CASE("the collector is ready after the initial dump, and only then", "[session][collector]") {
  CollectorFixture f;
  f.source.table = {flow().id(1).dumped(), flow().id(2).dumped(), flow().id(3).dumped()};
  CHECK_FALSE(f.collector.ready());
  CHECK(f.run() == Pace::kIdle);
  CHECK(f.collector.ready());
  CHECK(f.tracker.live() == 3);
  CHECK(f.source.dumps == 1);
}

TEST_CASE("a gap is as long as the time that has passed, also where the clock was set back in it",
          "[session][collector]") {
  CollectorFixture f(ReliableMode::kOff);
  f.run();
  f.take();
  f.live(std::chrono::seconds(1));
  const UnixMs since = to_ms(f.clock.now());
  f.clock.advance(std::chrono::seconds(5));  // in which this thread does not run
  f.clock.step_to(f.clock.now() - std::chrono::hours(1));
  f.source.drop(3);
  f.run();
  const UnixMs until = to_ms(f.clock.now());
  f.live(std::chrono::seconds(2));
  std::vector<SessionRecord> gaps = f.take();
  std::erase_if(gaps, [](const SessionRecord& record) { return record.event != RecordEvent::kGap; });
  REQUIRE(gaps.size() == 2);
  CHECK(gaps[0].start_time == since);
  CHECK(gaps[0].end_time == since + std::chrono::seconds(5));
  CHECK_FALSE(gaps[0].events_lost.known());
  CHECK(gaps[1].start_time == until - std::chrono::seconds(5));
  CHECK(gaps[1].end_time == until);
  CHECK(gaps[1].events_lost == Count(3));
}

TEST_CASE("where no log tells of the time before, a gap without beginning says so, once",
          "[session][collector]") {
  CollectorFixture f(ReliableMode::kAuto, true);
  const auto check = [&] {
    const SessionRecord gap = f.only();
    CHECK(gap.event == RecordEvent::kGap);
    CHECK(gap.reason == RecordReason::kStarted);
    CHECK(gap.start_time == kUnknownStart);
    CHECK(gap.end_time == to_ms(f.clock.now()));
  };
  SECTION("when the first whole dump is through") {
    f.run();
    check();
    f.collector.request_close();
    f.run();
    CHECK(f.take().empty());
    f.collector.request_stop();
    f.run();
    CHECK(f.take().empty());
  }
  SECTION("at a stop where there was none") {
    f.source.outcome = EventSource::DumpState::kInterrupted;
    f.run();
    CHECK(f.take().empty());
    f.collector.request_stop();
    f.run();
    check();
  }
}

TEST_CASE("while events come they are collected on a tick; with none the collector idles",
          "[session][collector]") {
  CollectorFixture f;
  f.run();
  f.source.queue = {flow().created()};
  CHECK(f.run() == Pace::kTick);
  CHECK(f.run() == Pace::kIdle);
}

TEST_CASE("at a boundary the table is dumped and sessions that moved get their interim record",
          "[session][collector]") {
  CollectorFixture f;
  f.run();
  f.source.queue = {flow().created()};
  f.run();
  f.source.table = {flow().traffic({1, 100}, {1, 200}).dumped()};
  f.clock.advance(std::chrono::milliseconds(9'999));
  f.run();
  CHECK(f.take().empty());
  f.clock.advance(std::chrono::milliseconds(1));
  f.run();
  CHECK(f.only().end_time == ms(1'010'000));
}

TEST_CASE("what was queued before the boundary's dump is handled before it", "[session][collector]") {
  CollectorFixture f;
  f.run();
  for (std::uint32_t id = 0; id < 20; ++id) f.source.queue.push_back(flow().id(id).created());
  for (std::uint32_t id = 0; id < 20; ++id) f.source.queue.push_back(flow().id(id).destroyed());
  f.clock.advance(std::chrono::seconds(10));
  f.source.on_dump_start = [&] { CHECK(f.source.queue.empty()); };
  f.run();
  CHECK(f.take().size() == 20);
}

TEST_CASE("a session whose DESTROY is queued while the dump runs ends as destroyed", "[session][collector]") {
  CollectorFixture f;
  f.run();
  f.source.queue = {flow().created()};
  f.run();
  f.clock.advance(std::chrono::seconds(10));
  f.source.on_dump_part = [&](std::size_t) { f.source.queue.push_back(flow().destroyed()); };
  f.run();
  CHECK(f.only().reason == RecordReason::kDestroyed);
}

TEST_CASE("a session that left without a word is looked for twice and then closed", "[session][collector]") {
  CollectorFixture f;
  f.run();
  f.source.queue = {flow().created()};
  f.run();
  f.clock.advance(std::chrono::seconds(10));
  f.run();
  CHECK(f.source.dumps == 3);  // the initial one, the boundary's, and one to be sure
  CHECK(f.only().reason == RecordReason::kVanished);
}

TEST_CASE("an interrupted dump is repeated, and proves nothing when it stays so", "[session][collector]") {
  CollectorFixture f;
  f.run();
  f.source.queue = {flow().created()};
  f.run();
  f.source.outcome = EventSource::DumpState::kInterrupted;
  f.clock.advance(std::chrono::seconds(10));
  f.run();
  CHECK(f.source.dumps == 4);
  CHECK(f.collector.counters().passes_failed == 3);
  CHECK(f.take().empty());
  CHECK(f.tracker.live() == 1);
}

TEST_CASE("a dump that fails stops neither events nor the next window", "[session][collector]") {
  CollectorFixture f;
  f.run();
  f.source.dump_error = Error{ErrorKind::kIo, "dump: no buffer space"};
  f.clock.advance(std::chrono::seconds(10));
  f.run();
  REQUIRE(f.collector.last_dump_error().has_value());
  f.source.dump_error.reset();
  f.source.queue = {flow().created()};
  f.source.table = {flow().traffic({1, 1}, {1, 1}).dumped()};
  f.run();
  f.clock.advance(std::chrono::seconds(10));
  f.run();
  CHECK(f.only().event == RecordEvent::kInterim);
}

TEST_CASE("a loss becomes a gap record with the number of lost events, and the table is looked through",
          "[session][collector]") {
  CollectorFixture f(ReliableMode::kOff);
  f.run();
  f.clock.advance(std::chrono::milliseconds(700));
  f.source.drop(17);
  f.source.table = {flow().dumped()};
  f.run();
  CHECK(f.take().empty());  // the gap may still grow
  f.live(std::chrono::seconds(3));
  const SessionRecord gap = f.only();
  CHECK(gap.event == RecordEvent::kGap);
  CHECK(gap.reason == RecordReason::kOverrun);
  CHECK(gap.events_lost == Count(17));
  CHECK(gap.start_time == ms(1'000'000));
  CHECK(gap.end_time == ms(1'000'700));
  CHECK(f.tracker.live() == 1);
  CHECK(f.collector.counters().events_lost == 17);
}

TEST_CASE("a gap reaches to when the loss was seen, also when the thread was stopped within its turn",
          "[session][collector]") {
  CollectorFixture f(ReliableMode::kOff);
  f.run();
  f.source.on_receive = [&] {
    f.clock.advance(std::chrono::seconds(2));
    f.source.drop(5);
    f.source.on_receive = nullptr;
  };
  f.run();
  f.live(std::chrono::seconds(3));
  const SessionRecord gap = f.only();
  CHECK(gap.start_time == ms(1'000'000));
  CHECK(gap.end_time == ms(1'002'000));
}

TEST_CASE("losses that follow one another are one gap, and one that goes on is told in pieces",
          "[session][collector]") {
  CollectorFixture f(ReliableMode::kOff);
  f.run();
  for (int i = 0; i < 400; ++i) {
    f.source.drop(1);
    f.live(std::chrono::milliseconds(100));
  }
  f.live(std::chrono::seconds(2));
  const auto gaps = f.take();
  REQUIRE(gaps.size() == 2);
  CHECK(gaps[0].events_lost.value() + gaps[1].events_lost.value() == 400);
  CHECK(gaps[1].start_time <= gaps[0].end_time + std::chrono::milliseconds(200));
}

TEST_CASE("a loss that goes on makes dumps now and then, not all the time", "[session][collector]") {
  CollectorFixture f(ReliableMode::kOff);
  f.run();
  for (int i = 0; i < 50; ++i) {
    f.source.drop(1);
    f.live(std::chrono::milliseconds(100));
  }
  CHECK(f.source.dumps >= 3);
  CHECK(f.source.dumps <= 8);
}

TEST_CASE("in reliable mode what did not fit is delayed, not lost: no gap", "[session][collector]") {
  CollectorFixture f(ReliableMode::kOn);
  f.run();
  f.source.drop(1000);
  f.live(std::chrono::seconds(3));
  CHECK(f.take().empty());
  CHECK(f.collector.counters().events_delayed == 1000);
  CHECK(f.collector.counters().events_lost == 0);
}

TEST_CASE("a message that cannot be read is lost in every mode", "[session][collector]") {
  CollectorFixture f(ReliableMode::kOn);
  f.run();
  f.source.unreadable_next = 1;
  f.live(std::chrono::seconds(3));
  CHECK(f.only().events_lost == Count(1));
}

TEST_CASE("the guard: reliable mode goes off above 80 % while events are delayed, and on again below 60 %",
          "[session][guard]") {
  CollectorFixture f;
  f.run();
  f.source.usage = {810'000, 1'000'000};
  SECTION("a table that is full of live flows is left alone") {
    f.live(std::chrono::seconds(1));
    CHECK(f.source.reliable);
  }
  SECTION("with delays, also while the output has no room") {
    f.output.room = GENERATE(true, false);
    f.clock.advance(std::chrono::milliseconds(100));
    f.source.drop(500);
    f.run();
    CHECK_FALSE(f.source.reliable);
    CHECK(f.collector.counters().guard_trips == 1);

    f.source.drop(30);  // now that it is off these are lost
    f.source.usage = {700'000, 1'000'000};
    f.live(std::chrono::seconds(1));
    CHECK_FALSE(f.source.reliable);
    f.source.usage = {590'000, 1'000'000};
    f.output.room = true;
    f.live(std::chrono::seconds(3));
    CHECK(f.source.reliable);
    const SessionRecord gap = f.only();
    CHECK(gap.reason == RecordReason::kTableGuard);
    CHECK(gap.events_lost == Count(30));
    CHECK(f.collector.counters().events_delayed == 500);
  }
}

TEST_CASE("what is dropped just before reliable mode is on again is lost, not delayed", "[session][guard]") {
  CollectorFixture f;
  f.run();
  f.source.usage = {810'000, 1'000'000};
  f.clock.advance(std::chrono::milliseconds(100));
  f.source.drop(500);
  f.run();
  REQUIRE_FALSE(f.source.reliable);
  f.source.on_set_reliable = [&](bool on) {
    if (on) f.source.drop(6);  // behind the last look at the counter
  };
  f.source.usage = {590'000, 1'000'000};
  f.live(std::chrono::seconds(3));
  CHECK(f.source.reliable);
  CHECK(f.only().events_lost == Count(6));
  CHECK(f.collector.counters().events_delayed == 500);
}

// As the guard outside does it, when it has seen no beat since `beat`.
struct OutsideGuard {
  CollectorFixture& f;
  void claim(std::uint64_t beat) { REQUIRE(f.pulse.begin_clearing(beat, f.source.dropped())); }
  void clear() {
    f.source.reliable = false;
    f.pulse.cleared();
  }
};

TEST_CASE("the guard outside turns reliable mode off while the collector is stopped, wherever in its turn",
          "[session][guard]") {
  CollectorFixture f;
  OutsideGuard outside{f};
  f.run();
  f.live(std::chrono::seconds(1));
  const auto act = [&] {
    f.source.drop(500);
    f.source.usage = {810'000, 1'000'000};
    outside.claim(f.pulse.last_beat());
    outside.clear();
    f.source.drop(30);
    f.clock.advance(std::chrono::minutes(1));
    f.source.on_receive = nullptr;
  };
  if (GENERATE(true, false)) {
    f.source.on_receive = act;
    f.run();
  } else {
    act();
    f.run();
  }
  CHECK(f.collector.counters().guard_trips == 1);
  CHECK_FALSE(f.source.reliable);
  CollectorReport report;
  f.collector.report_to(report);
  CHECK(report.guard_tripped);
  f.source.usage = {590'000, 1'000'000};
  f.live(std::chrono::seconds(3));
  CHECK(f.source.reliable);
  CHECK(f.collector.counters().guard_trips == 1);
  CHECK(f.collector.counters().events_delayed == 500);
  const SessionRecord gap = f.only();
  CHECK(gap.reason == RecordReason::kTableGuard);
  CHECK(gap.events_lost == Count(30));
  CHECK(gap.start_time <= ms(1'001'000));
  CHECK(gap.end_time >= ms(1'061'000));
}

TEST_CASE("while the guard outside is about to turn it off the collector does not turn it on",
          "[session][guard]") {
  CollectorFixture f;
  OutsideGuard outside{f};
  f.run();
  outside.claim(f.pulse.last_beat());
  f.source.usage = {0, 1'000'000};
  f.live(std::chrono::seconds(1));
  CHECK_FALSE(f.source.reliable);
  outside.clear();
  f.live(std::chrono::seconds(1));
  CHECK(f.source.reliable);
  CHECK(f.collector.counters().guard_trips == 1);
}

TEST_CASE("of a collector that has come by the guard outside keeps its hands", "[session][guard]") {
  Pulse pulse;
  const std::uint64_t seen = pulse.last_beat();
  CHECK_FALSE(pulse.beat());
  CHECK(pulse.last_beat() != seen);
  CHECK_FALSE(pulse.begin_clearing(seen, 1));
  CHECK(pulse.begin_clearing(pulse.last_beat(), 7));
  CHECK_FALSE(pulse.is_settled());
  CHECK(pulse.beat() == 7U);
  pulse.cleared();
  CHECK(pulse.is_settled());
  CHECK_FALSE(pulse.begin_clearing(pulse.last_beat(), 8));  // once is enough
  CHECK(pulse.beat() == 7U);
  CHECK_FALSE(pulse.beat());
}

TEST_CASE("after the guard sessions that went unseen are closed without waiting for the window",
          "[session][guard]") {
  CollectorFixture f;
  f.clock.advance(std::chrono::milliseconds(10));
  f.run();
  f.source.queue = {flow().id(1).created(), flow().id(2).created()};
  f.live(std::chrono::milliseconds(100));
  f.source.table = {flow().id(2).dumped()};
  f.source.usage = {810'000, 1'000'000};
  f.source.drop(5);
  f.clock.advance(std::chrono::milliseconds(100));
  f.run();
  REQUIRE_FALSE(f.source.reliable);
  f.source.drop(1);  // the DESTROY of the first, let go
  f.source.usage = {0, 1'000'000};
  f.live(std::chrono::seconds(5));
  const auto records = f.take();
  REQUIRE(records.size() == 2);
  CHECK(f.source.reliable);
  CHECK(std::any_of(records.begin(), records.end(),
                    [](const SessionRecord& r) { return r.event == RecordEvent::kGap; }));
  CHECK(std::any_of(records.begin(), records.end(),
                    [](const SessionRecord& r) { return r.reason == RecordReason::kVanished; }));
  CHECK(f.tracker.live() == 1);
}

TEST_CASE("reliable mode on never goes off, and off never goes on", "[session][guard]") {
  TableGuard on(ReliableMode::kOn, 80);
  TableGuard off(ReliableMode::kOff, 80);
  CHECK(on.decide({100, 100}, true));
  CHECK_FALSE(off.decide({0, 100}, false));
}

TEST_CASE("while the output has no room events stay in the kernel", "[session][collector]") {
  CollectorFixture f;
  f.run();
  f.source.queue = {flow().destroyed()};
  f.output.room = false;
  CHECK(f.run() == Pace::kTick);
  CHECK(f.source.queue.size() == 1);
  f.output.room = true;
  f.run();
  CHECK(f.take().size() == 1);
}

TEST_CASE("a stop handles what is queued, writes open sessions as interim, and is done",
          "[session][collector]") {
  CollectorFixture f;
  f.run();
  f.source.queue = {flow().id(1).created(), flow().id(2).created(), flow().id(1).destroyed()};
  f.source.table = {flow().id(2).traffic({1, 1}, {1, 1}).dumped()};
  f.collector.request_stop();
  CHECK(f.run() == Pace::kDone);
  const auto records = f.take();
  REQUIRE(records.size() == 2);
  CHECK(records[0].event == RecordEvent::kEnd);
  CHECK(records[1].event == RecordEvent::kInterim);
}

TEST_CASE("a request closes the window at once, and the boundary closes the rest of it",
          "[session][collector]") {
  CollectorFixture f;
  f.run();
  f.source.queue = {flow().created()};
  f.run();
  f.clock.advance(std::chrono::seconds(4));
  Flow s = flow();
  f.source.table = {s.traffic({1, 100}, {1, 200}).dumped()};
  f.collector.request_close();
  f.run();
  CHECK(f.only().end_time == ms(1'004'000));
  f.source.table = {s.traffic({2, 150}, {1, 200}).dumped()};
  f.clock.advance(std::chrono::seconds(6));
  f.run();
  CHECK(f.only().bytes_from_vpc == Count(50));
}

TEST_CASE("a broken source is an error", "[session][collector]") {
  CollectorFixture f;
  f.source.receive_error = Error{ErrorKind::kIo, "receive: bad file descriptor"};
  const auto pace = f.collector.turn();
  REQUIRE_FALSE(pace);
  CHECK(pace.error().message == "receive: bad file descriptor");
}

TEST_CASE("a collector that is resumed dumps the table, and what was lost in between is not its affair",
          "[session][collector]") {
  CollectorFixture f(ReliableMode::kOff);
  f.source.table = {flow().id(1).dumped(), flow().id(2).dumped()};
  f.run();
  f.collector.request_stop();
  while (f.run() != Pace::kDone) {
  }
  f.take();
  f.source.drop(100);
  f.source.table = {flow().id(2).dumped(), flow().id(3).dumped()};
  f.clock.advance(std::chrono::minutes(1));
  REQUIRE(f.collector.resume(f.source));
  CHECK_FALSE(f.collector.ready());
  f.live(std::chrono::seconds(2));
  CHECK(f.collector.ready());
  CHECK(f.tracker.live() == 2);
  const SessionRecord vanished = f.only();
  CHECK(vanished.reason == RecordReason::kVanished);
  CHECK(f.collector.counters().events_lost == 0);
}

TEST_CASE("a collector goes on with another source, and what it counted of the one before stays",
          "[session][collector]") {
  CollectorFixture f;
  f.source.table = {flow().id(1).dumped()};
  f.source.source_counters.malformed = 3;
  f.run();
  f.collector.request_stop();
  while (f.run() != Pace::kDone) {
  }
  f.take();
  f.collector.leave_source();
  f.source.receive_error = Error{ErrorKind::kIo, "it is not to be used any more"};
  ScriptedSource other;
  other.table = {flow().id(2).dumped()};
  other.source_counters.malformed = 4;
  REQUIRE(f.collector.resume(other));
  f.live(std::chrono::seconds(2));
  CHECK(f.only().reason == RecordReason::kVanished);
  CHECK(f.tracker.live() == 1);
  CollectorReport report;
  f.collector.report_to(report);
  CHECK(report.malformed == 7);
}
}  // namespace
}  // namespace natsession
