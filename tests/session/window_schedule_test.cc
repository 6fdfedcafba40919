#include "session/window_schedule.h"

#include <catch2/catch.hpp>

namespace natsession {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

UnixMs at(std::int64_t ms) {
  return UnixMs(milliseconds(ms));
}

TEST_CASE("windows are aligned to the clock, wherever the daemon started in them", "[session][window]") {
  WindowSchedule schedule(minutes(10), at(1'795'263'662'108));
  CHECK(schedule.next_boundary() == at(1'795'264'200'000));
}

TEST_CASE("a window closes at its boundary, not before", "[session][window]") {
  WindowSchedule schedule(milliseconds(2000), at(10'500));
  CHECK_FALSE(schedule.close_if_due(at(11'999)).has_value());
  CHECK(schedule.close_if_due(at(12'000)) == at(12'000));
  CHECK_FALSE(schedule.close_if_due(at(12'001)).has_value());
}

TEST_CASE("a window that was slept over closes at its own end", "[session][window]") {
  WindowSchedule schedule(milliseconds(2000), at(10'500));
  CHECK(schedule.close_if_due(at(99'100)) == at(12'000));
  CHECK(schedule.next_boundary() == at(100'000));
}

TEST_CASE("a clock that is stepped back closes nothing and opens the window of its time",
          "[session][window]") {
  WindowSchedule schedule(milliseconds(2000), at(10'500));
  CHECK_FALSE(schedule.close_if_due(at(3'100)).has_value());
  CHECK(schedule.next_boundary() == at(4'000));
  CHECK(schedule.close_if_due(at(4'000)) == at(4'000));
}

TEST_CASE("a slice that ends on a boundary lies in the window before it", "[session][window]") {
  CHECK(window_of(at(4'000), milliseconds(2000)) == at(2'000));
  CHECK(window_of(at(4'001), milliseconds(2000)) == at(4'000));
  CHECK(window_of(at(-1), milliseconds(2000)) == at(-2'000));
}

}  // namespace
}  // namespace natsession
