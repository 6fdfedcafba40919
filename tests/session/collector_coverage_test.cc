// What a collector proves, goes on with, and subscribes to.
#include <algorithm>

#include <catch2/catch.hpp>

#include "session/collector_fixture.h"

namespace natsession::testing {
namespace {

using Pace = Collector::Pace;

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

TEST_CASE("who waits for what is covered does not wait for the look of each second", "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.live(std::chrono::seconds(5));
  const std::int64_t before = covered(f)->second;
  f.clock.advance(std::chrono::milliseconds(300));
  f.run();
  REQUIRE(covered(f)->second == before);
  SECTION("where nothing has changed") {
    f.collector.request_look();
    f.run();
    CHECK(covered(f)->second == before + 300);
    f.clock.advance(std::chrono::milliseconds(100));
    f.run();
    CHECK(covered(f)->second == before + 300);  // once for each request
  }
  SECTION("at a stop") {
    f.collector.request_stop();
    f.run();
    CHECK(covered(f)->second == before + 300);
  }
  SECTION("but where the kernel sends no events any more") {
    f.source.sends = false;
    f.collector.request_look();
    f.run();
    CHECK(covered(f)->second == before);
    f.live(std::chrono::seconds(2));
    CHECK_FALSE(covered(f));
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

TEST_CASE("a flow whose NEW did not fit is shown by a dump, as soon as nothing is on its way any more",
          "[session][coverage]") {
  CollectorFixture f(GENERATE(ReliableMode::kOn, ReliableMode::kAuto, ReliableMode::kOff));
  f.run();
  f.live(std::chrono::seconds(2));
  const auto before = covered(f);
  const std::size_t dumps = f.source.dumps;
  f.source.drop(1);
  f.source.table = {flow().traffic({1, 1}, {1, 1}).dumped()};
  f.source.on_dump_start = [&] { CHECK(covered(f) == before); };  // it is not known yet
  f.clock.advance(std::chrono::milliseconds(500));
  f.live(std::chrono::seconds(7));
  CHECK(f.tracker.live() == 1);
  CHECK(covered(f)->second >= before->second + 7'000);  // its DESTROY will be sent
  CHECK(f.source.dumps == dumps + 1);
}

TEST_CASE("where only ends are subscribed to no dump is made for a NEW", "[session][coverage]") {
  CollectorFixture f({.configured = EventGroups{false, false, true}}, EventGroups{false, false, true});
  f.run();
  f.live(std::chrono::seconds(2));
  const std::size_t dumps = f.source.dumps;
  f.source.drop(1);
  f.live(std::chrono::milliseconds(7'500));
  CHECK(f.source.dumps == dumps);
}

TEST_CASE("of more flows without a NEW than events that did not fit some may never send one",
          "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.live(std::chrono::seconds(2));
  const auto before = covered(f);
  f.source.drop(1);
  f.source.table = {flow().traffic({1, 1}, {1, 1}).dumped(),
                    flow().id(2).from("10.0.0.3", 1).traffic({1, 1}, {1, 1}).dumped()};
  f.live(std::chrono::milliseconds(7'500));
  CHECK(f.tracker.live() == 2);
  CHECK(f.tracker.mute() == 1);
  CHECK(covered(f)->second < before->second + 7'000);
}

TEST_CASE("while no dump shows such flows, nothing behind the time when their NEW did not fit is covered",
          "[session][coverage]") {
  CollectorFixture f(GENERATE(ReliableMode::kOn, ReliableMode::kAuto));
  f.run();
  f.live(std::chrono::seconds(2));
  const auto before = covered(f);
  f.source.drop(1);
  f.source.dump_error = Error{ErrorKind::kIo, "dump: no buffer space"};
  f.live(std::chrono::seconds(20));
  CHECK(covered(f) == before);
  f.source.dump_error.reset();
  f.live(std::chrono::seconds(20));
  CHECK(covered(f)->second >= before->second + 40'000);
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

TEST_CASE("without stamps it tells that none were sent at some time since the dump before",
          "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.live(std::chrono::seconds(15));  // the second dump
  REQUIRE(f.take().empty());
  f.source.table = {flow().dumped()};
  f.live(std::chrono::seconds(10));
  const std::vector<SessionRecord> records = f.take();
  REQUIRE(records.size() == 1);
  CHECK(records[0].reason == RecordReason::kEventsOff);
  CHECK(records[0].start_time <= ms(1'010'000));
  CHECK(records[0].start_time >= ms(1'008'000));
  CHECK(records[0].end_time >= ms(1'020'000));
  CHECK(records[0].end_time <= ms(1'022'000));
  f.live(std::chrono::seconds(20));
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
  const Flow of = GENERATE(true, false) ? flow().stamped(at_ms(1'004'000)) : flow();
  f.run();
  f.live(std::chrono::seconds(5));
  f.source.on_dump_start = [&] {
    if (!lost) f.source.queue.push_back(Flow(of).created());
    f.source.on_dump_start = {};
  };
  f.source.table = {Flow(of).dumped()};
  if (lost) f.source.drop(1);
  f.live(std::chrono::seconds(10));
  for (const SessionRecord& record : f.take()) CHECK(record.reason != RecordReason::kEventsOff);
}

TEST_CASE("a session without a stamp begins with its NEW, also where a dump was sooner",
          "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.live(std::chrono::seconds(5));
  f.source.on_dump_start = [&] {
    f.source.queue.push_back(flow().created());
    f.source.on_dump_start = {};
  };
  f.source.table = {flow().dumped()};
  f.live(std::chrono::seconds(10));
  f.source.queue = {flow().destroyed()};
  f.source.table.clear();
  f.run();
  const std::vector<SessionRecord> records = f.take();
  REQUIRE(records.size() == 1);
  REQUIRE(records[0].session_start);
  CHECK(*records[0].session_start >= ms(1'010'000));
  CHECK(*records[0].session_start <= ms(1'010'100));
}

TEST_CASE("where rules keep NEW back, sessions without one tell nothing of events", "[session][coverage]") {
  CollectorFixture f;
  const bool stamped = GENERATE(true, false);
  const auto begun = [&](std::uint32_t id, std::int64_t at) {
    Flow made = flow().id(id).from("10.0.0.3", static_cast<std::uint16_t>(id));
    return stamped ? made.stamped(at_ms(at)) : made;
  };
  f.run();
  f.live(std::chrono::seconds(5));
  f.source.table = {begun(1, 1'004'000).dumped()};
  f.live(std::chrono::seconds(10));
  CHECK_FALSE(f.take().empty());  // it is not known yet
  f.source.table.clear();
  f.source.queue = {begun(1, 1'004'000).destroyed()};
  f.live(std::chrono::seconds(3));
  f.take();
  f.source.table = {begun(2, 1'017'000).dumped()};
  f.live(std::chrono::seconds(10));
  for (const SessionRecord& record : f.take()) CHECK(record.event != RecordEvent::kGap);
}

TEST_CASE("a NEW that was lost is not one that rules keep back", "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.live(std::chrono::seconds(5));
  f.source.drop(1);
  f.source.table = {flow().stamped(at_ms(1'004'000)).dumped()};
  f.live(std::chrono::seconds(10));
  f.source.queue = {flow().stamped(at_ms(1'004'000)).destroyed()};
  f.source.table.clear();
  f.live(std::chrono::seconds(10));
  f.take();
  f.source.table = {flow().id(2).from("10.0.0.3", 1).stamped(at_ms(1'027'000)).dumped()};
  f.live(std::chrono::seconds(10));
  const std::vector<SessionRecord> records = f.take();
  CHECK(std::count_if(records.begin(), records.end(), [](const SessionRecord& record) {
          return record.reason == RecordReason::kEventsOff;
        }) == 1);
}

TEST_CASE("where the clock is set back what is covered begins anew", "[session][coverage]") {
  CollectorFixture f;
  f.run();
  f.live(std::chrono::seconds(30));
  REQUIRE(covered(f)->first == 1'000'000);
  SECTION("behind what it had shown, where that is soon") {
    f.clock.step_to(f.clock.now() - std::chrono::seconds(20));
    f.run();
    f.live(std::chrono::seconds(19));
    CollectorReport report;
    f.collector.report_to(report);
    CHECK_FALSE(report.covered_from);
    f.live(std::chrono::seconds(5));
    REQUIRE(covered(f));
    CHECK(covered(f)->first >= 1'029'990);
    CHECK(covered(f)->first <= 1'030'010);
    CHECK(covered(f)->second >= 1'033'000);
  }
  SECTION("or at once") {
    f.clock.step_to(f.clock.now() - std::chrono::hours(1));
    f.run();
    f.live(std::chrono::seconds(5));
    REQUIRE(covered(f));
    CHECK(covered(f)->second <= 1'036'000 - 3'600'000);
  }
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
}  // namespace natsession::testing
