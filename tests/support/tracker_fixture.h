// A tracker with everything around it, for tests.
#pragma once

#include "session/tracker.h"
#include "support/flow.h"
#include "support/record_list.h"

namespace natsession::testing {

struct TrackerFixture {
  explicit TrackerFixture(RecordMode mode = RecordMode::kWindow, std::size_t max_sessions = 1'000'000,
                          std::chrono::milliseconds window = std::chrono::seconds(10))
      : TrackerFixture(TrackerSettings{.records = mode, .window = window, .max_sessions = max_sessions}) {}
  explicit TrackerFixture(const TrackerSettings& settings) : tracker(settings, origin, vpcs, output) {
    now(1'000'000);
  }

  // Milliseconds since 1970. Windows of 10 s: boundaries at multiples of 10,000.
  void now(std::int64_t ms) { tracker.set_now(at_ms(ms)); }
  void event(const ConntrackEvent& event) { tracker.on_event(event); }

  // A whole dump that shows `entries`, and its sweep.
  void dump(const DumpPurpose& purpose, std::initializer_list<ConntrackEvent> entries, bool whole = true,
            bool delayed = false) {
    tracker.begin_pass(purpose);
    for (const ConntrackEvent& entry : entries) tracker.on_dump_entry(entry);
    tracker.end_pass(whole, delayed);
    while (!tracker.sweep(3)) {
    }
  }
  void initial_dump(std::initializer_list<ConntrackEvent> entries) {
    dump({.close = {}, .final = false, .initial = true}, entries);
  }
  void close_window(std::int64_t ms, std::initializer_list<ConntrackEvent> entries) {
    now(ms + 1);
    dump({.close = to_ms(at_ms(ms)), .final = false, .initial = false}, entries);
  }
  void stop(std::int64_t ms, std::initializer_list<ConntrackEvent> entries) {
    now(ms);
    dump({.close = to_ms(at_ms(ms)), .final = true, .initial = false}, entries);
  }

  std::vector<SessionRecord> take() { return output.take(); }
  // The one record that came since the last call.
  SessionRecord only() {
    const auto records = take();
    if (records.size() != 1) throw std::runtime_error("not one record but " + std::to_string(records.size()));
    return records.front();
  }

  Origin origin{"gw-1", ""};
  VpcMap vpcs;
  RecordList output;
  Tracker tracker;
};

inline UnixMs ms(std::int64_t value) {
  return UnixMs(std::chrono::milliseconds(value));
}

}  // namespace natsession::testing
