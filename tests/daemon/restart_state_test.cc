#include "restart_state.h"

#include <catch2/catch.hpp>

#include "ledger/ledger_fixture.h"

namespace natsession::testing {
namespace {

TEST_CASE("a clock that is set back between two frames does not make the sessions before it forgotten",
          "[daemon][restart]") {
  LedgerFixture ledger;
  SessionRecord open = numbered_record(1000);
  open.event = RecordEvent::kInterim;
  open.seq = 0;
  REQUIRE(ledger.writer->append({&open, 1}) == 1);
  REQUIRE(ledger.writer->sync());
  if (GENERATE(false, true)) ledger.next_segment();  // the older ones in the same one, or in their own
  ledger.frame(1, 10);
  const auto left_open = sessions_left_open(ledger.directory(), at_second(500), {&test_origin()});
  REQUIRE(left_open);
  CHECK(left_open->at(0).log.size() == 1);
}

// The run before covered [0 s, 1000 s] and then, after another start, what `last` says; the clock is set by
// `step` and a minute passes.
MissedTime missed_over(std::chrono::seconds step, const Coverage& last) {
  LedgerFixture ledger;
  const auto prove = [&](const Coverage& coverage) {
    ledger.frame(1, 1);
    ledger.writer->prove({coverage}, true, true);
  };
  ledger.clock.advance(std::chrono::hours(1));
  ledger.clock.step_to(UnixNs(std::chrono::seconds(1000)));
  prove({"", at_second(0), at_second(1000), false, {7, 0, 0, std::chrono::seconds(60)}});
  ledger.clock.step_to(UnixNs(last.until));
  prove(last);
  ledger.clock.step_to(UnixNs(last.until + step));
  ledger.clock.advance(std::chrono::seconds(60));
  ledger.reopen();
  return missed_after(ledger.writer->previous_run().value(), "", ledger.clock);
}

TEST_CASE("the gap over a restart is as long as the time that has passed, whatever the clock says",
          "[daemon][restart]") {
  // This one began after the clock had been set back: it is the last all the same.
  Coverage last{"", at_second(500), at_second(610), false, {7, 0, 0, std::chrono::seconds(60)}};
  SECTION("after a kill, since the window before") {
    const MissedTime missed = missed_over(std::chrono::seconds(-300), last);
    CHECK(missed.since == at_second(300));
    REQUIRE(missed.by_old_clock);
    CHECK(missed.by_old_clock->from == at_second(600));
    CHECK(missed.by_old_clock->until == at_second(670));
  }
  SECTION("after a stop, since then") {
    last.whole = true;
    const MissedTime missed = missed_over(std::chrono::seconds(-300), last);
    CHECK(missed.since == at_second(310));
    CHECK(missed.by_old_clock->from == at_second(610));
    CHECK(missed.by_old_clock->until == at_second(670));
    CHECK(missed_over(std::chrono::seconds(0), last).since == at_second(610));
    CHECK_FALSE(missed_over(std::chrono::seconds(0), last).by_old_clock);
  }
}

TEST_CASE("so it is after a run that had proved nothing yet, but stopped in order", "[daemon][restart]") {
  LedgerFixture ledger;
  ledger.clock.advance(std::chrono::hours(1));
  ledger.clock.step_to(UnixNs(at_second(1000)));
  ledger.frame(1, 1);
  ledger.writer->set_logged_until(at_second(1000));
  const auto missed = [&](UnixMs now) {
    ledger.close();
    ledger.clock.advance(std::chrono::seconds(60));
    ledger.clock.step_to(UnixNs(now));
    ledger.open();
    return missed_after(ledger.writer->previous_run().value(), "", ledger.clock);
  };
  SECTION("the clock goes on") {
    const MissedTime found = missed(at_second(1060));
    CHECK(found.since == at_second(1000));
    CHECK_FALSE(found.by_old_clock);
  }
  SECTION("the clock was set back") {
    const MissedTime found = missed(at_second(700));
    CHECK(found.since == at_second(640));
    REQUIRE(found.by_old_clock);
    CHECK(found.by_old_clock->from == at_second(1000));
    CHECK(found.by_old_clock->until == at_second(1060));
  }
}

}  // namespace
}  // namespace natsession::testing
