// How long nothing was logged, where the clock was set meanwhile.
#include "session/missed_time.h"

#include <catch2/catch.hpp>

#include "support/manual_clock.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

// A clock at noon, of a machine that has been up for an hour. The log ends then.
struct Stop {
  Stop() {
    clock.reboot();
    clock.advance(1h);
    clock.step_to(UnixNs(12h));
    then = booted(clock);
  }
  // The clock says `now` when `passed` has.
  MissedTime after(std::chrono::nanoseconds passed, std::chrono::nanoseconds now) {
    clock.advance(passed);
    clock.step_to(UnixNs(now));
    return missed_since(until, then, clock);
  }
  ManualClock clock{UnixNs(0s)};
  UnixMs until{12h};
  Booted then;
};

TEST_CASE("what was missed begins where the log ends, as long as the clock is left alone",
          "[session][missed]") {
  const MissedTime missed = Stop().after(5min, 12h + 5min);
  CHECK(missed.since == UnixMs(12h));
  CHECK_FALSE(missed.by_old_clock);
}

TEST_CASE(
    "a clock that was set back meanwhile makes nothing of it forgotten, by the clock of now and of then",
    "[session][missed]") {
  Stop stop;
  const MissedTime missed = stop.after(5min, 11h + 5min);
  CHECK(missed.since == UnixMs(11h));
  REQUIRE(missed.by_old_clock);
  CHECK(missed.by_old_clock->from == UnixMs(12h));
  CHECK(missed.by_old_clock->until == UnixMs(12h + 5min));
}

TEST_CASE("a clock that was set back by less than a second, or by less than has passed, is one time",
          "[session][missed]") {
  const MissedTime missed = Stop().after(5min, 12h + 5min - 900ms);
  CHECK(missed.since == UnixMs(12h - 900ms));
  CHECK_FALSE(missed.by_old_clock);
}

TEST_CASE("a clock that was set ahead meanwhile makes it longer", "[session][missed]") {
  const MissedTime missed = Stop().after(5min, 13h + 5min);
  CHECK(missed.since == UnixMs(12h));
  CHECK_FALSE(missed.by_old_clock);
}

TEST_CASE("over a reboot the clock is all there is, and the time that the machine has been up since",
          "[session][missed]") {
  Stop stop;
  stop.clock.reboot();
  SECTION("the clock goes on") {
    CHECK(stop.after(2min, 20h).since == UnixMs(12h));
    CHECK_FALSE(stop.after(2min, 20h).by_old_clock);
  }
  SECTION("the clock is behind") {
    const MissedTime missed = stop.after(2min, 1h);
    CHECK(missed.since == UnixMs(58min));
    REQUIRE(missed.by_old_clock);
    CHECK(missed.by_old_clock->until == UnixMs(12h + 2min));
  }
}

}  // namespace
}  // namespace natsession::testing
