// Sessions between the same ends that begin in the same millisecond: (session_id, seq) names each record.
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "support/tracker_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language

// Each record has a name of its own, which stands in the ledger, too; each session has an id of its own.
void check_names(const std::vector<SessionRecord>& records, std::size_t sessions) {
  std::set<std::pair<std::uint64_t, std::uint32_t>> names;
  std::map<std::uint64_t, int> ends;
  for (const SessionRecord& r : records) {
    names.emplace(r.session_id, r.seq);
    ends[r.session_id] += r.event == RecordEvent::kEnd ? 1 : 0;
    CHECK(r.session_id == derive_session_id(r));
    CHECK(r.start_time <= r.end_time);
  }
  CHECK(names.size() == records.size());
  CHECK(ends.size() == sessions);
  for (const auto& [id, count] : ends) CHECK(count == 1);
}

TEST_CASE("a port that is used again within a millisecond is another session each time", "[session][twins]") {
  const auto mode = GENERATE(RecordMode::kWindow, RecordMode::kEnd, RecordMode::kStartEnd);
  const auto stamps = GENERATE(true, false);
  TrackerFixture f(mode);
  Flow s = flow().traffic({1, 100}, {1, 100});
  if (stamps) s.stamped(at_ms(1'000'000));
  for (int i = 0; i < 5; ++i) {
    f.event(s.created());
    f.event(s.destroyed(at_ms(1'000'000)));
  }
  f.event(s.created());
  f.close_window(1'010'000, {s.dumped()});
  f.event(s.destroyed(at_ms(1'012'000)));
  const auto records = f.take();
  check_names(records, 6);
  for (const SessionRecord& r : records) CHECK(r.session_start == ms(1'000'000));
  CHECK(records[0].seq == 0);
}

TEST_CASE("also more often than a millisecond has numbers for", "[session][twins]") {
  const auto mode = GENERATE(RecordMode::kWindow, RecordMode::kStartEnd);
  TrackerFixture f(mode);
  for (int i = 0; i < 1'000; ++i) {
    f.event(flow().created());
    f.event(flow().destroyed());
  }
  const auto records = f.take();
  check_names(records, 1'000);
  for (const SessionRecord& r : records) CHECK(r.end_time <= ms(1'000'003));
}

TEST_CASE("a DESTROY that comes late is not taken for the session that came behind it", "[session][twins]") {
  TrackerFixture f;
  const Flow first = flow().id(1).stamped(at_ms(1'000'000));
  const Flow second =
      flow().id(2).stamped(at_ms(1'000'000));  // while the first is undelivered its id is taken
  f.event(first.created());
  f.event(second.created());
  f.event(second.destroyed(at_ms(1'000'700)));
  f.event(first.destroyed(at_ms(1'000'000)));
  check_names(f.take(), 2);
}

TEST_CASE("sessions of which only the end is known are told apart by it", "[session][twins]") {
  TrackerFixture f;
  for (int i = 0; i < 4; ++i) {
    f.now(1'000'000 + i / 2);  // two in each millisecond
    f.event(flow().destroyed());
  }
  f.event(flow().created());  // and one that begins just then
  f.now(1'002'000);
  f.event(flow().destroyed());
  check_names(f.take(), 5);
}

TEST_CASE("a session that is one of several in its millisecond goes on after a kill", "[session][twins]") {
  TrackerFixture f(RecordMode::kStartEnd);
  const Flow s = flow().traffic({1, 100}, {1, 100});
  f.event(s.created());
  f.event(s.destroyed());
  f.event(s.created());
  const auto log = f.take();
  OpenSessions open;
  for (const SessionRecord& record : log) open.add(record);
  REQUIRE(open.size() == 1);
  TrackerFixture second(RecordMode::kStartEnd);
  second.tracker.restore(std::move(open));
  second.now(1'005'000);
  const Flow stamped = flow().stamped(at_ms(1'000'000)).traffic({2, 200}, {1, 100});
  second.initial_dump({stamped.dumped()});
  second.event(stamped.destroyed(at_ms(1'006'000)));
  const SessionRecord end = second.only();
  CHECK(end.session_id == log.back().session_id);
  CHECK(end.seq == log.back().seq + 1);
  CHECK(end.bytes_from_vpc == Count(200));
}

TEST_CASE("beyond the limit of the table a session has no start record, whose name its end would have",
          "[session][twins]") {
  TrackerFixture f(RecordMode::kStartEnd, 0);
  const Flow s = flow().stamped(at_ms(1'000'000));
  f.event(s.created());
  f.event(s.destroyed(at_ms(1'002'000)));
  CHECK(f.only().event == RecordEvent::kEnd);
}

}  // namespace
}  // namespace natsession
