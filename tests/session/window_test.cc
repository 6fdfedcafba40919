// Windows, dumps and sessions that go without a word.
#include <span>

#include <catch2/catch.hpp>

#include "support/tracker_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language

TEST_CASE("each window with traffic gets its increase, and the records add up to the kernel's counters",
          "[session][window]") {
  TrackerFixture f;
  Flow s = flow().stamped(at_ms(1'003'000));
  f.now(1'003'002);
  f.event(s.created());
  f.close_window(1'010'000, {s.traffic({10, 1000}, {8, 8000}).dumped()});
  const SessionRecord first = f.only();
  CHECK(first.event == RecordEvent::kInterim);
  CHECK(first.start_time == ms(1'003'000));
  CHECK(first.end_time == ms(1'010'000));
  CHECK(first.bytes_from_vpc == Count(1000));

  f.close_window(1'020'000, {s.traffic({15, 1500}, {9, 9000}).dumped()});
  const SessionRecord second = f.only();
  CHECK(second.seq == 1);
  CHECK(second.start_time == ms(1'010'000));
  CHECK(second.end_time == ms(1'020'000));
  CHECK(second.bytes_from_vpc == Count(500));
  CHECK(second.pkts_from_pub == Count(1));

  f.event(s.traffic({16, 1616}, {9, 9000}).destroyed(at_ms(1'024'000)));
  const SessionRecord last = f.only();
  CHECK(last.event == RecordEvent::kEnd);
  CHECK(last.seq == 2);
  CHECK(last.start_time == ms(1'020'000));
  CHECK(last.end_time == ms(1'024'000));
  CHECK(last.bytes_from_vpc == Count(116));
  CHECK(last.bytes_from_pub == Count(0));
  CHECK(first.session_id == second.session_id);
  CHECK(second.session_id == last.session_id);
}

TEST_CASE("a session that was idle in a window gets no record for it", "[session][window]") {
  TrackerFixture f;
  const Flow s = flow().traffic({10, 1000}, {8, 8000});
  f.event(s.created());
  f.close_window(1'010'000, {s.dumped()});
  f.take();
  f.close_window(1'020'000, {s.dumped()});
  CHECK(f.take().empty());
}

TEST_CASE("an end record is written also when nothing is left to report", "[session][window]") {
  TrackerFixture f;
  const Flow s = flow().traffic({10, 1000}, {8, 8000});
  f.event(s.created());
  f.close_window(1'010'000, {s.dumped()});
  f.take();
  f.event(s.destroyed(at_ms(1'012'000)));
  CHECK(f.only().bytes_from_vpc == Count(0));
}

TEST_CASE("without accounting a live session gets an interim record each window, with unknown counters",
          "[session][window]") {
  TrackerFixture f;
  f.event(flow().created());
  f.close_window(1'010'000, {flow().dumped()});
  CHECK_FALSE(f.only().bytes_from_vpc.known());
  f.close_window(1'020'000, {flow().dumped()});
  CHECK(f.only().seq == 1);
}

TEST_CASE("a slice never covers more than one window", "[session][window]") {
  TrackerFixture f;
  f.initial_dump({flow().stamped(at_ms(12'345)).traffic({1, 1}, {1, 1}).dumped()});
  f.close_window(1'010'000, {flow().stamped(at_ms(12'345)).traffic({2, 2}, {2, 2}).dumped()});
  const SessionRecord r = f.only();
  CHECK(r.session_start == ms(12'345));
  CHECK(r.start_time == ms(1'000'000));
  CHECK(r.bytes_from_vpc == Count(2));
}

TEST_CASE("a session that began after the boundary is not in the window that closes", "[session][window]") {
  TrackerFixture f;
  f.now(1'010'001);
  f.event(flow().created());
  f.close_window(1'010'000, {flow().traffic({1, 1}, {1, 1}).dumped()});
  CHECK(f.take().empty());
}

TEST_CASE("a window that is closed by hand divides the slices there", "[session][window]") {
  TrackerFixture f;
  Flow s = flow();
  f.event(s.created());
  f.close_window(1'004'000, {s.traffic({1, 100}, {1, 100}).dumped()});
  CHECK(f.only().end_time == ms(1'004'000));
  f.close_window(1'010'000, {s.traffic({2, 150}, {1, 100}).dumped()});
  const SessionRecord r = f.only();
  CHECK(r.start_time == ms(1'004'000));
  CHECK(r.bytes_from_vpc == Count(50));
}

TEST_CASE("a flow that a dump shows twice makes one interim record", "[session][window]") {
  TrackerFixture f;
  f.event(flow().created());
  Flow s = flow();
  f.close_window(1'010'000, {s.traffic({1, 100}, {0, 0}).dumped(), s.traffic({2, 200}, {0, 0}).dumped()});
  CHECK(f.only().bytes_from_vpc == Count(100));
  f.event(s.destroyed());
  CHECK(f.only().bytes_from_vpc == Count(100));
}

TEST_CASE("counters that somebody zeroed are unknown in the next record, and count from there",
          "[session][window]") {
  TrackerFixture f;
  Flow s = flow();
  f.event(s.created());
  f.close_window(1'010'000, {s.traffic({9, 900}, {9, 900}).dumped()});
  f.take();
  SECTION("at the end") {
    f.event(s.traffic({1, 40}, {1, 50}).destroyed());
    const SessionRecord r = f.only();
    CHECK_FALSE(r.bytes_from_vpc.known());
    CHECK_FALSE(r.pkts_from_vpc.known());
    CHECK_FALSE(r.bytes_from_pub.known());
    CHECK_FALSE(r.pkts_from_pub.known());
  }
  SECTION("when the window closes, also where only one direction shows it") {
    f.close_window(1'020'000, {s.traffic({1, 40}, {9, 950}).dumped()});
    CHECK_FALSE(f.only().bytes_from_pub.known());
    f.event(s.traffic({2, 70}, {9, 950}).destroyed());
    const SessionRecord r = f.only();
    CHECK(r.bytes_from_vpc == Count(30));
    CHECK(r.bytes_from_pub == Count(0));
  }
  SECTION("also when it was idle since") {
    f.close_window(1'020'000, {s.traffic({0, 0}, {0, 0}).dumped()});
    CHECK_FALSE(f.only().bytes_from_vpc.known());
  }
  CHECK(f.tracker.counters().counters_reset == 1);
}

TEST_CASE("a flow that a flowtable carries and nobody counts has unknown counters, never zero",
          "[session][window]") {
  TrackerFixture f(RecordMode::kWindow, 10, std::chrono::minutes(10));
  Flow s = flow().traffic({2, 112}, {1, 60});
  const auto carried = [&s] { return Flow(s).status(kStatusSrcNat | kStatusOffload).dumped(); };
  f.event(s.created());
  f.close_window(1'200'000, {carried()});
  CHECK(f.only().bytes_from_pub == Count(60));  // tracked, before it was carried
  SECTION("in each window, and at the end") {
    for (const std::int64_t close : {1'800'000, 2'400'000}) {
      f.close_window(close, {carried()});
      const SessionRecord r = f.only();
      CHECK(r.event == RecordEvent::kInterim);
      CHECK_FALSE(r.bytes_from_vpc.known());
      CHECK_FALSE(r.pkts_from_vpc.known());
      CHECK_FALSE(r.bytes_from_pub.known());
      CHECK_FALSE(r.pkts_from_pub.known());
    }
    f.event(s.traffic({4, 216}, {2, 112}).destroyed());
    CHECK_FALSE(f.only().bytes_from_pub.known());
  }
  SECTION("until it is tracked again") {
    f.close_window(1'800'000, {carried()});
    f.take();
    f.close_window(2'400'000, {s.traffic({4, 216}, {2, 112}).dumped()});
    CHECK_FALSE(f.only().bytes_from_pub.known());
    f.event(s.traffic({5, 256}, {3, 172}).destroyed());
    CHECK(f.only().bytes_from_pub == Count(60));
  }
  SECTION("one that is counted has its counts") {
    s.traffic({9, 912}, {9, 960});
    f.close_window(1'800'000, {carried()});
    CHECK(f.only().bytes_from_pub == Count(900));
    // A flowtable keeps for 30 s what moves nothing: nothing is claimed of so short a time.
    f.close_window(1'820'000, {carried()});
    CHECK(f.take().empty());
  }
}

constexpr std::int64_t kHour = 3'600'000;

TEST_CASE("a session that stays idle has a record with zero counters at least once a day",
          "[session][window]") {
  TrackerFixture f(RecordMode::kWindow, 10, std::chrono::hours(1));
  const Flow s = flow().traffic({10, 1000}, {8, 8000});
  f.event(s.created());
  const auto failing = GENERATE(-1, 20, 22, 23, 24, 46);  // the dump of this window
  for (int hour = 1; hour <= 100; ++hour) {
    if (hour == failing) {
      f.dump({.close = to_ms(at_ms(hour * kHour)), .final = false, .initial = false}, {}, /*whole=*/false);
    } else {
      f.close_window(hour * kHour, {s.dumped()});
    }
  }
  const auto records = f.take();
  CHECK(records.size() <= 6);
  UnixMs last = records.front().end_time;
  CHECK(last == ms(kHour));
  for (const SessionRecord& r : std::span(records).subspan(1)) {
    CHECK(r.event == RecordEvent::kInterim);
    CHECK(r.bytes_from_vpc == Count(0));
    CHECK(r.pkts_from_pub == Count(0));
    CHECK(r.start_time == r.end_time - std::chrono::hours(1));
    CHECK(r.end_time - last <= std::chrono::hours(24));
    last = r.end_time;
  }
  CHECK(ms(100 * kHour) - last <= std::chrono::hours(24));
}

TEST_CASE("windows of a day have a record of each open session", "[session][window]") {
  TrackerFixture f(RecordMode::kWindow, 10, std::chrono::hours(24));
  const Flow s = flow().traffic({10, 1000}, {8, 8000});
  f.event(s.created());
  for (int day = 1; day <= 3; ++day) f.close_window(day * 24 * kHour, {s.dumped()});
  CHECK(f.take().size() == 3);
}

TEST_CASE("where a session has no interim records it has none a day either", "[session][window]") {
  const auto mode = GENERATE(RecordMode::kEnd, RecordMode::kStartEnd);
  TrackerFixture f(mode, 10, std::chrono::hours(1));
  f.event(flow().created());
  f.take();
  for (int hour = 1; hour <= 50; ++hour) f.close_window(hour * kHour, {flow().dumped()});
  CHECK(f.take().empty());
}

TEST_CASE("after a restart a session that was idle all the while does not wait another day",
          "[session][open-before]") {
  const Flow s = flow().stamped(at_ms(1'000'000)).traffic({10, 1000}, {8, 8000});
  OpenSessions open;
  {
    TrackerFixture f(RecordMode::kWindow, 10, std::chrono::hours(1));
    f.event(s.created());
    f.close_window(kHour, {s.dumped()});
    open.add(f.only());
  }
  TrackerFixture f(RecordMode::kWindow, 10, std::chrono::hours(1));
  f.tracker.restore(std::move(open));
  f.now(20 * kHour);
  f.initial_dump({s.dumped()});
  for (int hour = 21; hour <= 25; ++hour) f.close_window(hour * kHour, {s.dumped()});
  const SessionRecord r = f.only();
  CHECK(r.seq == 1);
  CHECK(r.bytes_from_vpc == Count(0));
  CHECK(r.end_time <= ms(25 * kHour));
}

TEST_CASE("a session that two whole dumps did not show ends as vanished, once", "[session][vanish]") {
  TrackerFixture f;
  f.event(flow().created());
  f.close_window(1'010'000, {});
  CHECK(f.take().empty());
  CHECK(f.tracker.wants_confirmation());
  f.close_window(1'010'000, {});
  const SessionRecord r = f.only();
  CHECK(r.event == RecordEvent::kEnd);
  CHECK(r.reason == RecordReason::kVanished);
  CHECK(r.end_time == ms(1'010'000));
  CHECK_FALSE(r.bytes_from_vpc.known());

  SECTION("a DESTROY that comes after all makes no second end") {
    f.event(flow().destroyed());
    CHECK(f.take().empty());
    CHECK(f.tracker.counters().late_destroys == 1);
  }
  SECTION("a NEW on its key is a session of its own") {
    f.event(flow().created());
    f.event(flow().destroyed());
    CHECK(f.only().reason == RecordReason::kDestroyed);
  }
}

TEST_CASE("what vanishes beyond the memory of it waits, and ends once", "[session][vanish]") {
  const bool destroys = GENERATE(true, false);
  TrackerFixture f(
      TrackerSettings{.window = std::chrono::seconds(10), .max_vanished = 4, .destroys = destroys});
  for (std::uint32_t id = 0; id < 7; ++id) f.event(flow().id(id).created());
  f.dump({}, {});
  f.dump({}, {});
  std::size_t ends = f.take().size();
  if (!destroys) {
    CHECK(ends == 7);  // none can come after all
    return;
  }
  CHECK(ends == 4);
  f.now(1'059'000);
  f.dump({}, {});
  CHECK(f.take().empty());
  SECTION("when its DESTROY comes") {
    for (std::uint32_t id = 0; id < 7; ++id) f.event(flow().id(id).destroyed());
    const auto rest = f.take();
    REQUIRE(rest.size() == 3);
    for (const SessionRecord& r : rest) CHECK(r.reason == RecordReason::kDestroyed);
    CHECK(f.tracker.counters().late_destroys == 4);
  }
  SECTION("when none is on its way any more") {
    f.now(1'061'000);
    f.dump({}, {});
    CHECK(f.take().size() == 2);
  }
  SECTION("when what was waited for has come") {
    for (std::uint32_t id = 0; id < 7; ++id) {
      if (f.tracker.live() > 2) f.event(flow().id(id).destroyed());
    }
    f.take();
    f.dump({}, {});
    CHECK(f.tracker.live() < 3);
  }
}

TEST_CASE("a dump that shows the next session on a key takes nothing from the one whose DESTROY is queued",
          "[session][vanish]") {
  TrackerFixture f;
  const auto gap_ms = GENERATE(2, 2'000);  // within the slack between stamp and receipt, and beyond it
  const Flow first = flow().stamped(at_ms(1'000'000)).traffic({1, 100}, {1, 100});
  const Flow second = flow().stamped(at_ms(1'000'000 + gap_ms)).traffic({2, 200}, {2, 200});
  f.event(first.created());
  const bool seen_before = GENERATE(false, true);
  if (seen_before) f.dump({}, {first.dumped()});
  f.now(1'000'001 + gap_ms);
  f.tracker.begin_pass({});
  f.tracker.on_dump_entry(second.dumped());
  f.event(first.destroyed(at_ms(1'000'001)));
  f.event(second.created());
  f.tracker.end_pass(true, false);
  while (!f.tracker.sweep(10)) {
  }
  f.event(second.destroyed(at_ms(1'005'000)));
  const auto r = f.take();
  REQUIRE(r.size() == 2);
  CHECK(r[0].reason == RecordReason::kDestroyed);
  CHECK(r[0].session_start == ms(1'000'000));
  CHECK(r[0].bytes_from_vpc == Count(100));
  CHECK(r[1].reason == RecordReason::kDestroyed);
  CHECK(r[1].session_start == ms(1'000'000 + gap_ms));
  CHECK(r[1].bytes_from_vpc == Count(200));
}

TEST_CASE("a dump that was interrupted proves nothing", "[session][vanish]") {
  TrackerFixture f;
  f.event(flow().created());
  for (int i = 0; i < 3; ++i) f.dump({}, {}, false);
  CHECK(f.take().empty());
  CHECK(f.tracker.live() == 1);
}

TEST_CASE("where DESTROY events are delayed a missing session waits for a dump with no delays",
          "[session][vanish]") {
  TrackerFixture f;
  f.event(flow().created());
  f.dump({}, {}, true, true);
  CHECK_FALSE(f.tracker.wants_confirmation());
  f.dump({}, {}, true, true);
  CHECK(f.take().empty());
  SECTION("then it has vanished") {
    f.dump({}, {});
    CHECK(f.only().reason == RecordReason::kVanished);
  }
  SECTION("or its DESTROY comes") {
    f.event(flow().destroyed());
    CHECK(f.only().reason == RecordReason::kDestroyed);
  }
}

TEST_CASE("a session that is missing once and then seen has not vanished", "[session][vanish]") {
  TrackerFixture f;
  f.event(flow().created());
  f.dump({}, {});
  SECTION("in a dump") {
    f.dump({}, {flow().dumped()});
  }
  SECTION("by an UPDATE") {
    f.event(flow().updated());
  }
  f.dump({}, {});
  CHECK(f.take().empty());
}

TEST_CASE("a dump entry that is older than the session's DESTROY does not bring it back",
          "[session][vanish]") {
  TrackerFixture f;
  f.event(flow().created());
  f.tracker.begin_pass({});
  f.event(flow().destroyed());
  f.tracker.on_dump_entry(flow().dumped());
  f.tracker.end_pass(true, false);
  CHECK(f.only().reason == RecordReason::kDestroyed);
  CHECK(f.tracker.live() == 0);
}

TEST_CASE("a session that begins while a dump runs is not missed by it", "[session][vanish]") {
  TrackerFixture f;
  for (int i = 0; i < 2; ++i) {
    f.tracker.begin_pass({});
    if (i == 0) f.event(flow().created());
    if (i == 1) f.tracker.on_dump_entry(flow().dumped());
    f.tracker.end_pass(true, false);
    while (!f.tracker.sweep(10)) {
    }
    CHECK_FALSE(f.tracker.wants_confirmation());
  }
  CHECK(f.tracker.live() == 1);
}

TEST_CASE("a NEW that was still queued when the dump showed its session makes no second one",
          "[session][vanish]") {
  TrackerFixture f;
  f.tracker.begin_pass({});
  f.tracker.on_dump_entry(flow().dumped());
  f.event(flow().created());
  f.tracker.end_pass(true, false);
  CHECK(f.take().empty());
  CHECK(f.tracker.live() == 1);
  CHECK(f.tracker.counters().reused == 0);
}

TEST_CASE("at the stop open sessions get an interim record and no end", "[session][stop]") {
  const auto mode = GENERATE(RecordMode::kWindow, RecordMode::kEnd, RecordMode::kStartEnd);
  TrackerFixture f(mode);
  const Flow s = flow().traffic({1, 100}, {1, 200});
  f.event(s.created());
  f.take();
  f.stop(1'005'000, {s.dumped()});
  const SessionRecord r = f.only();
  CHECK(r.event == RecordEvent::kInterim);
  CHECK(r.end_time == ms(1'005'000));
  CHECK(r.bytes_from_pub == Count(200));
}

TEST_CASE("at the stop a session that the dump does not show is written with unknown counters",
          "[session][stop]") {
  TrackerFixture f;
  f.event(flow().created());
  f.stop(1'005'000, {});
  const SessionRecord r = f.only();
  CHECK(r.event == RecordEvent::kInterim);
  CHECK_FALSE(r.bytes_from_vpc.known());
}

}  // namespace
}  // namespace natsession
