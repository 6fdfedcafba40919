// A tracker that goes on from the log of an earlier run.
#include <catch2/catch.hpp>

#include "support/tracker_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language

OpenSessions open_in(const std::vector<SessionRecord>& log) {
  OpenSessions open;
  for (const SessionRecord& record : log) open.add(record);
  return open;
}

// A flow that began at 1,000,000 and had 10 packets each way at the first boundary.
Flow living() {
  return flow().stamped(at_ms(1'000'000)).traffic({10, 1000}, {10, 5000});
}
Flow living_later() {
  return flow().stamped(at_ms(1'000'000)).traffic({15, 1500}, {18, 9000});
}

std::vector<SessionRecord> first_run(RecordMode mode = RecordMode::kWindow) {
  TrackerFixture f(mode);
  f.initial_dump({});
  f.event(living().created());
  f.close_window(1'010'000, {living().dumped()});
  return f.take();
}

TEST_CASE("after a kill a session goes on with its id, the next seq, and what was not reported yet",
          "[session][open-before]") {
  const auto log = first_run();
  REQUIRE(log.size() == 1);
  TrackerFixture f;
  f.tracker.restore(open_in(log));
  f.now(1'013'000);
  f.initial_dump({living_later().dumped()});
  CHECK(f.take().empty());
  f.event(living_later().destroyed(at_ms(1'015'000)));
  const SessionRecord end = f.only();
  CHECK(end.session_id == log[0].session_id);
  CHECK(end.seq == 1);
  CHECK(end.bytes_from_vpc == Count(500));
  CHECK(end.pkts_from_pub == Count(8));
  CHECK(end.start_time == ms(1'010'000));
  CHECK(end.reason == RecordReason::kDestroyed);
}

TEST_CASE("a session that ended while nobody logged ends as vanished, once", "[session][open-before]") {
  const auto log = first_run();
  TrackerFixture f;
  f.tracker.restore(open_in(log));
  f.now(1'033'000);
  f.initial_dump({});
  const SessionRecord end = f.only();
  CHECK(end.session_id == log[0].session_id);
  CHECK(end.seq == 1);
  CHECK(end.reason == RecordReason::kVanished);
  CHECK_FALSE(end.bytes_from_vpc.known());
  CHECK(end.start_time == ms(1'030'000));
  CHECK(end.end_time == ms(1'033'000));
  CHECK(end.origin != nullptr);
  f.close_window(1'040'000, {});
  CHECK(f.take().empty());
}

TEST_CASE("a dump that was not whole proves nothing of sessions of an earlier run",
          "[session][open-before]") {
  TrackerFixture f;
  f.tracker.restore(open_in(first_run()));
  f.now(1'013'000);
  f.dump({.close = {}, .final = false, .initial = true}, {}, false);
  CHECK(f.take().empty());
  f.dump({.close = {}, .final = false, .initial = false}, {living_later().dumped()});
  f.event(living_later().destroyed(at_ms(1'015'000)));
  CHECK(f.only().seq == 1);
}

TEST_CASE("a DESTROY that comes before the initial dump ends the session of the earlier run",
          "[session][open-before]") {
  TrackerFixture f;
  f.tracker.restore(open_in(first_run()));
  f.now(1'013'000);
  f.event(living_later().destroyed(at_ms(1'012'000)));
  const SessionRecord end = f.only();
  CHECK(end.seq == 1);
  CHECK(end.bytes_from_vpc == Count(500));
  f.initial_dump({});
  CHECK(f.take().empty());
}

TEST_CASE("a new session on the same ports is not the one of the earlier run", "[session][open-before]") {
  const auto log = first_run();
  TrackerFixture f;
  f.tracker.restore(open_in(log));
  f.now(1'033'000);
  f.initial_dump({flow().stamped(at_ms(1'031'000)).traffic({1, 100}, {1, 100}).dumped()});
  const SessionRecord vanished = f.only();
  CHECK(vanished.session_id == log[0].session_id);
  f.event(flow().stamped(at_ms(1'031'000)).traffic({1, 100}, {1, 100}).destroyed(at_ms(1'034'000)));
  const SessionRecord end = f.only();
  CHECK(end.session_id != log[0].session_id);
  CHECK(end.seq == 0);
  CHECK(end.bytes_from_vpc == Count(100));
}

TEST_CASE("with start records too, the end of a session carries the id that its start had",
          "[session][open-before]") {
  const auto log = first_run(RecordMode::kStartEnd);
  REQUIRE(log.size() == 1);
  REQUIRE(log[0].event == RecordEvent::kStart);
  TrackerFixture f(RecordMode::kStartEnd);
  f.tracker.restore(open_in(log));
  // The kernel's stamp is a little before the receipt of NEW, which the start record carries.
  const Flow seen = flow().stamped(at_ms(999'999)).traffic({15, 1500}, {18, 9000});
  f.initial_dump({seen.dumped()});
  CHECK(f.take().empty());
  f.event(seen.destroyed(at_ms(1'015'000)));
  const SessionRecord end = f.only();
  CHECK(end.session_id == log[0].session_id);
  CHECK(end.seq == 1);
  CHECK(end.bytes_from_vpc == Count(1500));
}

TEST_CASE("what has ended in the log is not open", "[session][open-before]") {
  TrackerFixture f;
  f.initial_dump({});
  f.event(living().created());
  f.close_window(1'010'000, {living().dumped()});
  f.event(living_later().destroyed(at_ms(1'015'000)));
  f.event(flow().id(7).from("10.0.0.3", 1).stamped(at_ms(1'014'000)).destroyed(at_ms(1'016'000)));
  CHECK(open_in(f.take()).empty());
}

TEST_CASE("what a stop leaves is what the records of the run tell", "[session][open-before]") {
  const RecordMode mode = GENERATE(RecordMode::kWindow, RecordMode::kStartEnd, RecordMode::kEnd);
  TrackerFixture f(mode);
  f.initial_dump({});
  f.event(living().created());
  f.event(flow().id(7).from("10.0.0.3", 1).stamped(at_ms(1'000'500)).created());
  f.close_window(1'010'000, {living().dumped()});
  f.event(flow().id(7).from("10.0.0.3", 1).stamped(at_ms(1'000'500)).traffic({1, 1}, {1, 1}).destroyed());
  const auto by_stop = GENERATE(false, true);
  if (by_stop) f.stop(1'012'000, {living_later().dumped()});
  auto log = f.take();
  std::vector<SessionRecord> totals;
  f.tracker.take_open(totals);
  OpenSessions by_totals;
  for (const SessionRecord& total : totals) by_totals.add_total(total);
  OpenSessions by_records = open_in(log);
  REQUIRE(by_totals.size() == by_records.size());
  const auto total = by_totals.take_any();
  const auto expected = by_records.take_any();
  REQUIRE(total.has_value() == expected.has_value());
  if (!total) return;
  CHECK(total->session_id == expected->session_id);
  CHECK(total->seq == expected->seq);
  CHECK(total->end_time == expected->end_time);
  CHECK(total->bytes_from_vpc == expected->bytes_from_vpc);
  CHECK(total->pkts_from_pub == expected->pkts_from_pub);
}

TEST_CASE("after a stop a session goes on as after a kill", "[session][open-before]") {
  TrackerFixture f;
  f.event(living().created());
  f.stop(1'005'000, {living().dumped()});
  const SessionRecord last = f.only();
  std::vector<SessionRecord> totals;
  f.tracker.take_open(totals);
  REQUIRE(totals.size() == 1);
  OpenSessions open;
  open.add_total(totals[0]);
  TrackerFixture second;
  second.tracker.restore(std::move(open));
  second.now(1'006'000);
  SECTION("with what moved since") {
    second.initial_dump({living_later().dumped()});
    second.event(living_later().destroyed(at_ms(1'007'000)));
    const SessionRecord end = second.only();
    CHECK(end.session_id == last.session_id);
    CHECK(end.seq == 1);
    CHECK(end.bytes_from_vpc == Count(500));
    CHECK(end.start_time == ms(1'005'000));
  }
  SECTION("also where the run in between saw no whole dump") {
    totals.clear();
    second.tracker.take_open(totals);
    REQUIRE(totals.size() == 1);
    CHECK(totals[0].session_id == last.session_id);
    CHECK(totals[0].bytes_from_vpc == Count(1000));
  }
}

TEST_CASE("after a kill counters that somebody had zeroed are unknown once, not wrong",
          "[session][open-before]") {
  TrackerFixture f;
  f.event(living().created());
  f.close_window(1'010'000, {living().dumped()});
  f.close_window(1'020'000, {flow().stamped(at_ms(1'000'000)).traffic({2, 200}, {0, 0}).dumped()});
  TrackerFixture second;
  second.tracker.restore(open_in(f.take()));
  second.now(1'023'000);
  second.initial_dump({living_later().dumped()});
  second.close_window(1'030'000, {living_later().dumped()});
  CHECK_FALSE(second.only().bytes_from_vpc.known());
  second.event(flow().stamped(at_ms(1'000'000)).traffic({16, 1600}, {18, 9000}).destroyed(at_ms(1'035'000)));
  CHECK(second.only().bytes_from_vpc == Count(100));
}

TEST_CASE("what an earlier run left open waits while DESTROY events are delayed", "[session][open-before]") {
  TrackerFixture f;
  f.tracker.restore(open_in(first_run()));
  f.now(1'013'000);
  f.dump({.close = {}, .final = false, .initial = true}, {}, true, /*delayed=*/true);
  CHECK(f.take().empty());
  f.event(living_later().destroyed(at_ms(1'012'000)));
  CHECK(f.only().reason == RecordReason::kDestroyed);
}

TEST_CASE("a DESTROY that comes after a session of the earlier run has vanished makes no second end",
          "[session][open-before]") {
  TrackerFixture f;
  f.tracker.restore(open_in(first_run()));
  f.now(1'013'000);
  f.initial_dump({});
  CHECK(f.only().reason == RecordReason::kVanished);
  f.event(living_later().destroyed(at_ms(1'012'000)));
  CHECK(f.take().empty());
  CHECK(f.tracker.counters().late_destroys == 1);
  // Another session on the same ports is no such thing.
  f.event(flow().stamped(at_ms(1'014'000)).destroyed(at_ms(1'015'000)));
  CHECK(f.only().session_start == ms(1'014'000));
}

TEST_CASE("where earlier records are missing, the next one does not say again what they said",
          "[session][open-before]") {
  auto log = first_run();
  log[0].seq = 3;  // retention took those before
  TrackerFixture f;
  f.tracker.restore(open_in(log));
  f.now(1'013'000);
  f.initial_dump({living_later().dumped()});
  SECTION("at its end") {
    f.event(living_later().destroyed(at_ms(1'015'000)));
    const SessionRecord end = f.only();
    CHECK(end.seq == 4);
    CHECK_FALSE(end.bytes_from_vpc.known());
    CHECK_FALSE(end.pkts_from_pub.known());
  }
  SECTION("and what moves after the next window is known again") {
    f.close_window(1'020'000, {living_later().dumped()});
    CHECK_FALSE(f.only().bytes_from_vpc.known());
    f.event(flow().stamped(at_ms(1'000'000)).traffic({16, 1600}, {18, 9000}).destroyed(at_ms(1'025'000)));
    const SessionRecord end = f.only();
    CHECK(end.seq == 5);
    CHECK(end.bytes_from_vpc == Count(100));
    CHECK(end.pkts_from_pub == Count(0));
  }
}

}  // namespace
}  // namespace natsession
