#include "session/collector.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "support/manual_clock.h"
#include "support/scripted_source.h"
#include "support/tracker_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language
using Pace = Collector::Pace;

struct CollectorFixture : TrackerFixture {
  explicit CollectorFixture(ReliableMode mode = ReliableMode::kAuto, bool nothing_before = false)
      : collector(source, tracker, output, clock,
                  {.window = std::chrono::seconds(10), .reliable = mode, .nothing_before = nothing_before}) {}

  // Groups that are subscribed to when it begins.
  CollectorFixture(const EventNeeds& events, const EventGroups& groups)
      : source(groups),
        collector(source, tracker, output, clock, {.window = std::chrono::seconds(10), .events = events}) {}

  // Time passes, in which the collector takes its turns.
  void live(std::chrono::milliseconds time) {
    for (auto end = clock.now() + time; clock.now() < end; clock.advance(std::chrono::milliseconds(10)))
      run();
    run();
  }

  // Turns until there is nothing to do at once.
  Pace run() {
    for (int i = 0; i < 10'000; ++i) {
      const auto pace = collector.turn();
      REQUIRE(pace);
      if (*pace != Pace::kAtOnce) return *pace;
    }
    FAIL("the collector does not come to rest");
    return Pace::kDone;
  }

  ManualClock clock{at_ms(1'000'000)};
  ScriptedSource source;
  Pulse& pulse = source.shared_pulse;
  Collector collector;
};

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

// What the collector proves, in ms since 1970.
std::optional<std::pair<std::int64_t, std::int64_t>> covered(const CollectorFixture& f) {
  CollectorReport report;
  f.collector.report_to(report);
  if (!report.covered_from) return std::nullopt;
  return std::pair(report.covered_from->time_since_epoch().count(),
                   report.covered_until->time_since_epoch().count());
}
using Times = std::pair<std::int64_t, std::int64_t>;

TEST_CASE("what is covered begins when the initial dump is over, and reaches to the last empty queue",
          "[session][coverage]") {
  CollectorFixture f;
  CHECK_FALSE(covered(f));
  SECTION("an interrupted dump proves nothing") {
    f.source.outcome = EventSource::DumpState::kInterrupted;
    f.run();
    CHECK_FALSE(covered(f));
  }
  SECTION("and it goes on while events are taken") {
    f.run();
    CHECK(covered(f) == Times{1'000'000, 1'000'000});
    f.live(std::chrono::seconds(5));
    CHECK(covered(f) == Times{1'000'000, 1'005'000});
    f.output.room = false;
    f.live(std::chrono::seconds(2));
    CHECK(covered(f) == Times{1'000'000, 1'005'000});
  }
}

TEST_CASE("what an overrun took is not covered before its gap record is made", "[session][coverage]") {
  CollectorFixture f(ReliableMode::kOff);
  f.run();
  f.live(std::chrono::seconds(2));
  f.source.drop(5);
  f.clock.advance(std::chrono::milliseconds(500));
  f.run();
  CHECK(covered(f)->second == 1'002'000);
  CHECK(f.take().empty());
  f.live(std::chrono::seconds(3));
  const auto records = f.take();
  REQUIRE(records.size() == 1);
  CHECK(records[0].start_time == ms(1'002'000));
  CHECK(covered(f)->second > 1'003'000);
}

TEST_CASE("while the kernel sends no events for new flows nothing is covered, and a gap record says so",
          "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.live(std::chrono::seconds(3));
  f.source.sends = false;
  f.live(std::chrono::seconds(2));
  CHECK_FALSE(covered(f));
  f.source.sends = true;
  f.source.outcome = EventSource::DumpState::kInterrupted;
  f.live(std::chrono::seconds(2));
  CHECK_FALSE(covered(f));
  f.source.outcome = EventSource::DumpState::kDone;
  f.live(std::chrono::seconds(10));
  REQUIRE(covered(f));
  const std::int64_t again = covered(f)->first;
  CHECK(again > 1'007'000);
  std::vector<SessionRecord> gaps = f.take();
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].reason == RecordReason::kEventsOff);
  CHECK(gaps[0].start_time <= ms(1'003'000));
  CHECK(gaps[0].start_time >= ms(1'002'000));
  CHECK(gaps[0].end_time == ms(again));
}

TEST_CASE("time without events is one gap, whenever the collector's turns come", "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.live(std::chrono::seconds(3));
  f.source.sends = false;
  for (int i = 0; i < 20; ++i) {
    f.clock.advance(
        std::chrono::microseconds(999'500));  // a second of the wall clock's milliseconds, half the time
    f.run();
    f.clock.advance(std::chrono::milliseconds(5));
    f.run();
  }
  CHECK(f.take().empty());
  f.source.sends = true;
  f.live(std::chrono::seconds(10));
  CHECK(f.take().size() == 1);
}

TEST_CASE("pieces of one long gap follow one another", "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.source.sends = false;
  f.live(std::chrono::seconds(100));
  const std::vector<SessionRecord> gaps = f.take();
  REQUIRE(gaps.size() == 3);
  CHECK(gaps[1].start_time == gaps[0].end_time);
  CHECK(gaps[2].start_time == gaps[1].end_time);
}

TEST_CASE("that a session has ended which never sends an event is known by the next dump",
          "[session][coverage]") {
  CollectorFixture f;
  f.source.table = {flow().dumped()};  // older than the subscription
  f.run();
  f.live(std::chrono::seconds(3));
  f.source.table.clear();  // no DESTROY
  f.live(std::chrono::seconds(3));
  REQUIRE(covered(f));
  CHECK(covered(f)->second <= 1'000'010);
  CHECK(f.take().empty());
  f.live(std::chrono::seconds(10));  // a window ends
  CHECK(f.take().size() == 1);
  CHECK(covered(f)->second > 1'012'000);
}

TEST_CASE("a session that has sent an event, or began under the subscription, is no reason for doubt",
          "[session][coverage]") {
  CollectorFixture f;
  const bool stamped = GENERATE(true, false);
  f.source.table = {stamped ? flow().stamped(at_ms(1'000'000)).dumped() : flow().dumped()};
  f.run();
  if (!stamped) f.source.queue = {flow().updated()};
  f.live(std::chrono::seconds(3));
  REQUIRE(covered(f));
  CHECK(covered(f)->second > 1'002'000);
}

TEST_CASE("a session that a dump shows, and that ought to have sent a NEW, tells that no events were sent",
          "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.live(std::chrono::seconds(5));
  f.source.table = {flow().stamped(at_ms(1'004'000)).dumped()};
  f.live(std::chrono::seconds(10));
  const std::vector<SessionRecord> records = f.take();
  const auto gap = std::find_if(records.begin(), records.end(), [](const SessionRecord& record) {
    return record.event == RecordEvent::kGap;
  });
  REQUIRE(gap != records.end());
  CHECK(gap->reason == RecordReason::kEventsOff);
  CHECK(gap->start_time <= ms(1'003'000));
  CHECK(gap->start_time >= ms(1'002'000));
  CHECK(gap->end_time >= ms(1'005'000));
  CHECK(gap->end_time <= ms(1'006'000));
  f.live(std::chrono::seconds(20));  // it is told once
  for (const SessionRecord& record : f.take()) CHECK(record.event != RecordEvent::kGap);
}

TEST_CASE("also where the dump has to be made once more, that no events were sent is told",
          "[session][coverage]") {
  CollectorFixture f;
  const bool interrupted = GENERATE(true, false);
  f.run();
  f.source.queue = {flow().id(2).from("10.0.0.3", 1).created()};
  f.live(std::chrono::seconds(5));
  f.source.table = {flow().stamped(at_ms(1'004'000)).dumped()};  // the other one is missing: a second look
  if (interrupted) f.source.outcome = EventSource::DumpState::kInterrupted;
  const std::size_t before = f.source.dumps;
  f.source.on_dump_start = [&] {
    if (f.source.dumps > before + 1) f.source.outcome = EventSource::DumpState::kDone;
  };
  f.live(std::chrono::seconds(10));
  CHECK(f.source.dumps >= before + 2);
  const std::vector<SessionRecord> records = f.take();
  CHECK(std::count_if(records.begin(), records.end(), [](const SessionRecord& record) {
          return record.reason == RecordReason::kEventsOff;
        }) == 1);
}

TEST_CASE("a NEW that is still queued when a dump shows its session, or was lost, tells nothing of events",
          "[session][coverage]") {
  CollectorFixture f;
  const bool lost = GENERATE(true, false);
  f.run();
  f.live(std::chrono::seconds(5));
  f.source.on_dump_start = [&] {
    if (!lost) f.source.queue.push_back(flow().stamped(at_ms(1'004'000)).created());
    f.source.on_dump_start = {};
  };
  f.source.table = {flow().stamped(at_ms(1'004'000)).dumped()};
  if (lost) f.source.drop(1);
  f.live(std::chrono::seconds(10));
  for (const SessionRecord& record : f.take()) CHECK(record.reason != RecordReason::kEventsOff);
}

TEST_CASE("where rules keep NEW back, sessions without one tell nothing of events", "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.live(std::chrono::seconds(5));
  f.source.table = {flow().stamped(at_ms(1'004'000)).dumped()};
  f.live(std::chrono::seconds(10));
  CHECK_FALSE(f.take().empty());  // it is not known yet
  f.source.table.clear();
  f.source.queue = {flow().stamped(at_ms(1'004'000)).destroyed()};
  f.live(std::chrono::seconds(3));
  f.take();
  f.source.table = {flow().id(2).from("10.0.0.3", 1).stamped(at_ms(1'017'000)).dumped()};
  f.live(std::chrono::seconds(10));
  for (const SessionRecord& record : f.take()) CHECK(record.event != RecordEvent::kGap);
}

TEST_CASE("what a window's end makes known is covered when its dump is over", "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.source.queue = {flow().created()};
  f.source.table.assign(10, flow().traffic({1, 100}, {1, 200}).dumped());
  f.run();
  f.clock.advance(std::chrono::seconds(11));
  REQUIRE(f.collector.turn());
  CHECK(covered(f)->second <= 1'010'000);
  f.run();
  CHECK(covered(f)->second == 1'011'000);
}

TEST_CASE("a stop covers what was open, if its dump was whole", "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.source.table = {flow().dumped()};
  const bool whole = GENERATE(true, false);
  if (!whole) f.source.outcome = EventSource::DumpState::kInterrupted;
  f.collector.request_stop();
  CHECK(f.run() == Pace::kDone);
  CollectorReport report;
  f.collector.report_to(report);
  CHECK(report.covered_whole == whole);
  SECTION("and what is covered begins anew when it goes on") {
    f.source.outcome = EventSource::DumpState::kDone;
    f.clock.advance(std::chrono::seconds(5));
    REQUIRE(f.collector.resume(f.source));
    CHECK_FALSE(covered(f));
    f.run();
    CHECK(covered(f)->first == 1'005'000);
  }
}

TEST_CASE("a collector that goes on for another one covers the time between, and claims no gap",
          "[session][coverage][handover]") {
  CollectorFixture before;
  before.run();
  const auto left = before.collector.continuation();
  REQUIRE(left);
  CollectorFixture f;
  f.clock.advance(std::chrono::seconds(25));  // two windows have ended
  f.source.table = {flow().id(1).stamped(at_ms(1'000'500)).traffic({3, 300}, {2, 200}).dumped()};
  f.collector.continue_from(*left, {});
  f.run();
  CHECK(covered(f) == std::pair<std::int64_t, std::int64_t>(1'000'000, 1'025'000));
  const auto records = f.take();
  REQUIRE(records.size() == 1);  // no gap; and the window that ended meanwhile is closed by the first dump
  CHECK(records[0].event == RecordEvent::kInterim);
}

TEST_CASE("what was dropped while no collector looked is a gap, from when the log was last complete",
          "[session][coverage][handover]") {
  CollectorFixture f(ReliableMode::kOff);
  const Moment complete{to_ms(f.clock.now()), f.clock.steady()};
  f.clock.advance(std::chrono::seconds(3));
  f.source.drop(7);
  f.collector.continue_from({.complete_until = complete, .covered_from = complete.wall, .dropped = 2}, {});
  f.live(std::chrono::seconds(3));
  const auto records = f.take();
  REQUIRE(records.size() == 1);
  CHECK(records[0].start_time == complete.wall);
  CHECK(records[0].events_lost == Count(5));
}

TEST_CASE("while something is missing that is not told there is nothing to go on from",
          "[session][handover]") {
  CollectorFixture f(ReliableMode::kOff);
  CHECK_FALSE(f.collector.continuation());  // nothing is covered yet
  f.run();
  REQUIRE(f.collector.continuation());
  SECTION("a gap that is not over") {
    f.source.drop(1);
    f.run();
  }
  SECTION("the kernel sends no events") {
    f.source.sends = false;
    f.live(std::chrono::seconds(2));
  }
  CHECK_FALSE(f.collector.continuation());
}

TEST_CASE("where ends are not told only a dump proves that a session goes on", "[session][coverage]") {
  CollectorFixture f;
  f.source.subscribed = {true, true, false};
  Collector collector(f.source, f.tracker, f.output, f.clock,
                      {.window = std::chrono::seconds(10), .events = {.configured = f.source.subscribed}});
  const auto until = [&] {
    for (int i = 0; i < 1000 && *collector.turn() == Pace::kAtOnce; ++i) {
    }
    CollectorReport report;
    collector.report_to(report);
    return report.covered_until;
  };
  CHECK(until() == ms(1'000'000));
  f.clock.advance(std::chrono::seconds(9));
  CHECK(until() == ms(1'000'000));
  f.clock.advance(std::chrono::seconds(2));
  CHECK(until() == ms(1'011'000));
}

constexpr EventGroups kEndsAlone{false, false, true};
constexpr EventGroups kWithStarts{true, false, true};
constexpr EventNeeds kAuto{.configured = {}};

CollectorReport report_of(const CollectorFixture& f) {
  CollectorReport report;
  f.collector.report_to(report);
  return report;
}

TEST_CASE("auto takes the groups that the records need", "[session][events]") {
  EventNeeds needs = kAuto;
  const auto chosen = [&](bool stamps) { return choose_events(needs, stamps); };
  CHECK(chosen(true) == EventChoice{kEndsAlone, EventsWhy::kEndsTellAll});
  CHECK(chosen(false) == EventChoice{kWithStarts, EventsWhy::kNoStamps});
  needs.records = RecordMode::kEnd;
  CHECK(chosen(true) == EventChoice{kEndsAlone, EventsWhy::kEndsTellAll});
  needs.records = RecordMode::kStartEnd;
  CHECK(chosen(true) == EventChoice{kWithStarts, EventsWhy::kStartsWanted});
  needs.records = RecordMode::kWindow;
  needs.reliable = ReliableMode::kOff;
  CHECK(chosen(true) == EventChoice{kWithStarts, EventsWhy::kNotReliable});
  needs.ends_tell_state = false;
  CHECK(chosen(true) == EventChoice{EventGroups(), EventsWhy::kOldKernel});
  needs.configured = EventGroups{false, true, true};
  CHECK(chosen(false) == EventChoice{{false, true, true}, EventsWhy::kConfigured});
  CHECK(to_string(EventGroups()) == "new,update,destroy");
  CHECK(to_string(EventGroups{false, false, false}) == "none");
}

TEST_CASE("with auto the groups change with what the kernel stamps", "[session][events]") {
  CollectorFixture f(kAuto, kEndsAlone);
  f.run();
  CHECK(report_of(f).groups_why == EventsWhy::kEndsTellAll);
  CHECK_FALSE(report_of(f).open);  // of those that began since nobody hears yet
  f.source.stamps = false;
  f.live(std::chrono::seconds(1));
  CHECK(f.source.subscribed == kWithStarts);
  CHECK(report_of(f).groups == kWithStarts);
  CHECK(report_of(f).groups_why == EventsWhy::kNoStamps);
  CHECK(report_of(f).open == std::uint64_t{0});
  SECTION("but NEW stays until what was under way before the stamps has come") {
    f.source.stamps = true;
    f.live(std::chrono::milliseconds(1000));
    CHECK(f.source.subscribed == kWithStarts);
    f.live(std::chrono::milliseconds(1100));
    CHECK(f.source.subscribed == kEndsAlone);
  }
  SECTION("and not for stamps that come and go") {
    for (int i = 0; i < 5; ++i) {
      f.source.stamps = !f.source.stamps;
      f.live(std::chrono::milliseconds(1000));
      CHECK(f.source.subscribed == kWithStarts);
    }
  }
  CHECK(f.take().empty());
}

TEST_CASE(
    "where stamps end with DESTROY alone, nothing is covered until a dump has shown what began meanwhile",
    "[session][events][coverage]") {
  CollectorFixture f(kAuto, kEndsAlone);
  f.run();
  f.live(std::chrono::seconds(3));
  f.clock.advance(std::chrono::milliseconds(900));
  f.run();
  const std::int64_t stamped = covered(f)->second;
  CHECK(stamped <= 1'003'900);  // as of the last look, not of now
  f.source.stamps = false;
  // Began and ended when nobody could tell when, and one that nobody heard of yet.
  f.source.table = {flow().id(2).dumped()};
  f.source.outcome = EventSource::DumpState::kInterrupted;
  f.live(std::chrono::seconds(2));
  CHECK(f.source.subscribed == kWithStarts);
  CHECK_FALSE(covered(f));
  CHECK_FALSE(f.collector.continuation());
  f.source.outcome = EventSource::DumpState::kDone;
  f.live(std::chrono::seconds(10));
  REQUIRE(covered(f));
  CHECK(covered(f)->first > stamped);
  CHECK(f.tracker.live() == 1);
}

TEST_CASE("where stamps end and NEW cannot be had nothing is covered", "[session][events][coverage]") {
  CollectorFixture f(kAuto, kEndsAlone);
  f.run();
  REQUIRE(covered(f));
  f.source.stamps = false;
  f.source.subscribe_error = Error{ErrorKind::kIo, "refused"};
  f.live(std::chrono::seconds(5));
  CHECK_FALSE(covered(f));
  f.source.subscribe_error.reset();
  f.live(std::chrono::seconds(2));
  CHECK(covered(f));
}

TEST_CASE("fewer groups lose no session and cover on, with what all the time had in common",
          "[session][events][coverage]") {
  CollectorFixture f(kAuto, EventGroups());
  CHECK(report_of(f).groups_why == EventsWhy::kTakenOver);
  f.source.queue = {flow().id(1).created()};
  f.source.table = {flow().id(1).dumped()};
  f.run();
  const std::int64_t from = covered(f)->first;
  f.live(std::chrono::seconds(3));
  CHECK(f.source.subscribed == kEndsAlone);
  CHECK(covered(f)->first == from);
  CHECK(f.collector.covered_groups() == kEndsAlone);
  f.source.queue = {flow().id(1).stamped(at_ms(1'000'100)).destroyed()};
  f.run();
  const SessionRecord end = f.only();
  CHECK(end.reason == RecordReason::kDestroyed);
  REQUIRE(end.session_start);
  CHECK(end.session_start->time_since_epoch().count() == 1'000'100);
}

TEST_CASE("one that goes on for another changes the groups when it has looked",
          "[session][events][handover]") {
  CollectorFixture before(kAuto, kEndsAlone);
  before.run();
  const auto left = before.collector.continuation();
  REQUIRE(left);
  CollectorFixture f(kAuto, kEndsAlone);
  f.clock.advance(std::chrono::seconds(5));
  f.collector.continue_from(*left, kEndsAlone);
  SECTION("and covers the time between where the kernel stamps") {
    f.run();
    CHECK(covered(f)->first == 1'000'000);
    CHECK(f.source.subscribed == kEndsAlone);
  }
  SECTION("but not where it does not: nobody knows since when") {
    f.source.stamps = false;
    f.run();
    CHECK(f.source.subscribed == kWithStarts);
    CHECK(covered(f)->first == 1'005'000);
  }
}

TEST_CASE("what --events names is subscribed to, whatever the kernel stamps", "[session][events]") {
  CollectorFixture f({.configured = kEndsAlone}, kEndsAlone);
  f.source.stamps = false;
  f.live(std::chrono::seconds(3));
  CHECK(f.source.subscribed == kEndsAlone);
  CHECK(covered(f));
  CHECK(report_of(f).groups_why == EventsWhy::kConfigured);
}

}  // namespace
}  // namespace natsession
