// Beginnings and ends.
#include <catch2/catch.hpp>

#include "support/tracker_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language

TEST_CASE("a session makes one end record with the kernel's counters and stamps", "[session][tracker]") {
  TrackerFixture f;
  const Flow s = flow().stamped(at_ms(1'000'500)).traffic({5, 500}, {4, 4000});
  f.event(s.created());
  CHECK(f.take().empty());
  f.event(s.destroyed(at_ms(1'003'000)));
  const SessionRecord r = f.only();
  CHECK(r.event == RecordEvent::kEnd);
  CHECK(r.reason == RecordReason::kDestroyed);
  CHECK(r.session_start == ms(1'000'500));
  CHECK(r.start_time == ms(1'000'500));
  CHECK(r.end_time == ms(1'003'000));
  CHECK(r.seq == 0);
  CHECK(r.session_id == derive_session_id(r));
  CHECK(f.tracker.live() == 0);
}

TEST_CASE("a DESTROY without a NEW is logged", "[session][tracker]") {
  TrackerFixture f;
  f.event(flow().stamped(at_ms(990'001)).traffic({1, 1}, {1, 1}).destroyed(at_ms(999'000)));
  const SessionRecord r = f.only();
  CHECK(r.event == RecordEvent::kEnd);
  CHECK(r.session_start == ms(990'001));
  CHECK(f.tracker.counters().destroys_unseen == 1);
}

TEST_CASE("a session older than the logger and without a stamp has no session_start", "[session][tracker]") {
  TrackerFixture f;
  SECTION("seen in the initial dump") {
    f.initial_dump({flow().dumped()});
    f.event(flow().destroyed(at_ms(1'004'000)));
    const SessionRecord r = f.only();
    CHECK_FALSE(r.session_start.has_value());
    CHECK(r.start_time == ms(1'000'000));
    CHECK(r.end_time == ms(1'004'000));
  }
  SECTION("first seen in its DESTROY") {
    f.event(flow().destroyed(at_ms(1'004'000)));
    const SessionRecord r = f.only();
    CHECK_FALSE(r.session_start.has_value());
    CHECK(r.start_time == r.end_time);
  }
}

TEST_CASE("without a stamp a session begins when its NEW is received and ends when its DESTROY is",
          "[session][tracker]") {
  TrackerFixture f;
  f.event(flow().created());
  f.now(1'002'345);
  f.event(flow().destroyed());
  const SessionRecord r = f.only();
  CHECK(r.session_start == ms(1'000'000));
  CHECK(r.end_time == ms(1'002'345));
}

TEST_CASE("counters that the kernel did not count are unknown, not zero", "[session][tracker]") {
  TrackerFixture f;
  f.event(flow().destroyed());
  const SessionRecord r = f.only();
  CHECK_FALSE(r.bytes_from_vpc.known());
  CHECK_FALSE(r.pkts_from_vpc.known());
  CHECK_FALSE(r.bytes_from_pub.known());
  CHECK_FALSE(r.pkts_from_pub.known());
}

TEST_CASE("a reused port is a new session, with a session_id of its own", "[session][tracker]") {
  TrackerFixture f;
  SECTION("after its DESTROY, also when the kernel gives the same id again") {
    f.event(flow().created());
    f.event(flow().stamped(at_ms(1'000'000)).destroyed(at_ms(1'001'000)));
    f.now(1'001'500);
    f.event(flow().created());
    f.event(flow().stamped(at_ms(1'001'500)).destroyed(at_ms(1'002'000)));
    const auto r = f.take();
    REQUIRE(r.size() == 2);
    CHECK(r[0].session_id != r[1].session_id);
    CHECK(r[1].reason == RecordReason::kDestroyed);
  }
  SECTION("when its DESTROY was lost: the first ends as vanished when the second begins") {
    f.event(flow().created());
    f.now(1'001'500);
    f.event(flow().created());
    f.event(flow().stamped(at_ms(1'001'500)).destroyed(at_ms(1'002'000)));
    const auto r = f.take();
    REQUIRE(r.size() == 2);
    CHECK(r[0].reason == RecordReason::kVanished);
    CHECK(r[0].end_time == ms(1'001'500));
    CHECK(r[1].reason == RecordReason::kDestroyed);
    CHECK(r[0].session_id != r[1].session_id);
  }
  SECTION("when DESTROY and the second NEW were lost: the stamp of the start tells") {
    f.initial_dump({flow().stamped(at_ms(999'000)).dumped()});
    f.event(flow().stamped(at_ms(1'001'500)).destroyed(at_ms(1'002'000)));
    const auto r = f.take();
    REQUIRE(r.size() == 2);
    CHECK(r[0].reason == RecordReason::kVanished);
    CHECK(r[0].session_start == ms(999'000));
    CHECK(r[1].reason == RecordReason::kDestroyed);
    CHECK(r[1].session_start == ms(1'001'500));
  }
}

TEST_CASE("two sessions from one source port to two destinations are two sessions", "[session][tracker]") {
  TrackerFixture f;
  const Flow a = flow().id(1).to("198.51.100.7", 443);
  const Flow b = flow().id(2).to("198.51.100.8", 443);
  f.event(a.created());
  f.event(b.created());
  CHECK(f.tracker.live() == 2);
  f.event(a.destroyed());
  CHECK(f.only().pub_ip == ip("198.51.100.7"));
  f.event(b.destroyed());
  CHECK(f.only().pub_ip == ip("198.51.100.8"));
}

TEST_CASE("an UPDATE of a flow that is not known begins no session", "[session][tracker]") {
  TrackerFixture f;
  f.event(flow().updated());
  CHECK(f.tracker.live() == 0);
  CHECK(f.tracker.counters().updates_unseen == 1);
}

TEST_CASE("start-end: a record when a session begins and one when it ends, under one session_id",
          "[session][tracker]") {
  TrackerFixture f(RecordMode::kStartEnd);
  f.event(flow().created());
  const SessionRecord start = f.only();
  CHECK(start.event == RecordEvent::kStart);
  CHECK(start.seq == 0);
  CHECK_FALSE(start.bytes_from_vpc.known());
  CHECK(start.start_time == start.end_time);
  // The kernel's own stamp, which only now is known, is a little earlier; the id must not change for that.
  f.event(flow().stamped(at_ms(999'998)).traffic({1, 10}, {1, 20}).destroyed(at_ms(1'050'000)));
  const SessionRecord end = f.only();
  CHECK(end.event == RecordEvent::kEnd);
  CHECK(end.seq == 1);
  CHECK(end.session_id == start.session_id);
  CHECK(end.start_time == ms(1'000'000));
  CHECK(end.end_time == ms(1'050'000));
  CHECK(end.bytes_from_pub == Count(20));
}

TEST_CASE("start-end: sessions of the initial dump are older than the logger and get no start record",
          "[session][tracker]") {
  TrackerFixture f(RecordMode::kStartEnd);
  f.initial_dump({flow().dumped()});
  CHECK(f.take().empty());
  f.event(flow().destroyed());
  CHECK(f.only().seq == 0);
}

TEST_CASE("end: one record over the whole life, however many windows it took", "[session][tracker]") {
  TrackerFixture f(RecordMode::kEnd);
  const Flow s = flow().stamped(at_ms(1'000'500)).traffic({5, 500}, {4, 4000});
  f.event(s.created());
  f.close_window(1'010'000, {s.dumped()});
  f.close_window(1'020'000, {s.dumped()});
  CHECK(f.take().empty());
  f.event(s.destroyed(at_ms(1'025'000)));
  const SessionRecord r = f.only();
  CHECK(r.start_time == ms(1'000'500));
  CHECK(r.end_time == ms(1'025'000));
  CHECK(r.bytes_from_vpc == Count(500));
}

TEST_CASE("start_time is never behind end_time, also when the clock was stepped back", "[session][tracker]") {
  TrackerFixture f;
  f.event(flow().stamped(at_ms(1'000'500)).destroyed(at_ms(400'000)));
  const SessionRecord r = f.only();
  CHECK(r.start_time <= r.end_time);
  CHECK(r.end_time == ms(400'000));
}

TEST_CASE("beyond the limit sessions are counted, and still get their end record", "[session][tracker]") {
  TrackerFixture f(RecordMode::kWindow, 1);
  f.event(flow().id(1).created());
  f.event(flow().id(2).created());
  CHECK(f.tracker.live() == 1);
  CHECK(f.tracker.counters().not_followed == 1);
  f.event(flow().id(2).traffic({1, 1}, {1, 1}).destroyed());
  CHECK(f.only().bytes_from_vpc == Count(1));
}

}  // namespace
}  // namespace natsession
