#include "session/collector.h"

#include <catch2/catch.hpp>

#include "support/manual_clock.h"
#include "support/scripted_source.h"
#include "support/tracker_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language
using Pace = Collector::Pace;

struct CollectorFixture : TrackerFixture {
  explicit CollectorFixture(RecordMode mode = RecordMode::kWindow) : TrackerFixture(mode) {}

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
  Collector collector{source, tracker, output, clock, std::chrono::seconds(10)};
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

TEST_CASE("while events come they are collected on a tick; with none the collector idles", "[session][collector]") {
  CollectorFixture f;
  f.run();
  f.source.queue = {flow().created()};
  CHECK(f.run() == Pace::kTick);
  CHECK(f.run() == Pace::kIdle);
}

TEST_CASE("at a boundary the table is dumped and sessions that moved get their interim record", "[session][collector]") {
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

TEST_CASE("an overrun becomes a gap record with the number of lost events, and the table is looked through", "[session][collector]") {
  CollectorFixture f;
  f.run();
  f.clock.advance(std::chrono::milliseconds(700));
  f.source.lose(17);
  f.source.table = {flow().dumped()};
  f.run();
  const SessionRecord gap = f.only();
  CHECK(gap.event == RecordEvent::kGap);
  CHECK(gap.reason == RecordReason::kOverrun);
  CHECK(gap.events_lost == Count(17));
  CHECK(gap.start_time == ms(1'000'000));
  CHECK(gap.end_time == ms(1'000'700));
  CHECK(f.tracker.live() == 1);
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

TEST_CASE("a stop handles what is queued, writes open sessions as interim, and is done", "[session][collector]") {
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

TEST_CASE("a request closes the window at once, and the boundary closes the rest of it", "[session][collector]") {
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

}  // namespace
}  // namespace natsession
