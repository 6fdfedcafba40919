// A collector on a scripted source, with a clock of the test's own.
#pragma once

#include <optional>
#include <utility>

#include <catch2/catch.hpp>

#include "session/collector.h"
#include "support/manual_clock.h"
#include "support/scripted_source.h"
#include "support/tracker_fixture.h"

namespace natsession::testing {

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
  Collector::Pace run() {
    for (int i = 0; i < 10'000; ++i) {
      const auto pace = collector.turn();
      REQUIRE(pace);
      if (*pace != Collector::Pace::kAtOnce) return *pace;
    }
    FAIL("the collector does not come to rest");
    return Collector::Pace::kDone;
  }

  ManualClock clock{at_ms(1'000'000)};
  ScriptedSource source;
  Pulse& pulse = source.shared_pulse;
  Collector collector;
};

// What the collector proves, in ms since 1970.
inline std::optional<std::pair<std::int64_t, std::int64_t>> covered(const CollectorFixture& f) {
  CollectorReport report;
  f.collector.report_to(report);
  if (!report.covered_from) return std::nullopt;
  return std::pair(report.covered_from->time_since_epoch().count(),
                   report.covered_until->time_since_epoch().count());
}

}  // namespace natsession::testing
