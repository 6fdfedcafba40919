#include "session/flow_trackers.h"

#include <algorithm>

namespace natsession {
namespace {

// Of one event: a tracker emits at most three.
constexpr std::size_t kRecordsOfEvent = 3;
// Their places in the tables are looked for ahead.
constexpr std::size_t kLookahead = 64;
// Windows whose end was not told yet, while events are being delayed.
constexpr std::size_t kMostClosed = 1024;

}  // namespace

FlowTrackers::FlowTrackers(const FlowWants& wants, const TrackerSettings& log, std::uint32_t log_selects,
                           const Origin& origin, const VpcMap& vpcs, RecordOutput& output)
    : log_selects_(log_selects), untranslated_(wants.untranslated), output_(output) {
  for (const std::chrono::seconds window : wants.windows) {
    TrackerSettings settings = log;
    settings.records = RecordMode::kWindow;
    settings.window = window;
    settings.flow = static_cast<std::uint32_t>(window.count());
    // The session log's records have a view of their own of what is not source NAT.
    const std::uint32_t without =
        session_log_serves(window, log.records, log.window) ? log_selects & kStatusSrcNat : 0;
    series_.push_back(std::make_unique<Series>(settings, without, origin, vpcs, output));
  }
}

void FlowTrackers::on_events(std::span<const ConntrackEvent> events, Tracker& log) {
  while (!events.empty()) {
    const auto some = events.first(std::min(events.size(), kLookahead));
    events = events.subspan(some.size());
    log.expect(some);
    each([&](Tracker& tracker) { tracker.expect(some); });
    for (const ConntrackEvent& event : some) {
      // A successor is told of an event by the place of its records in the log: one place for all of them.
      output_.keep_together(kRecordsOfEvent * (1 + series_.size()));
      if ((event.status & log_selects_) != 0) log.on_event(event);
      for (const auto& series : series_) {
        if (takes(*series, event)) series->tracker.on_event(event);
      }
      if (event.type == EventType::kDestroy) ++destroys_;
    }
  }
}

void FlowTrackers::on_dump_entry(const ConntrackEvent& entry, Tracker& log) {
  if ((entry.status & log_selects_) != 0) log.on_dump_entry(entry);
  for (const auto& series : series_) {
    if (takes(*series, entry)) series->tracker.on_dump_entry(entry);
  }
}

void FlowTrackers::open_windows(UnixMs now) {
  for (const auto& series : series_) {
    series->schedule = WindowSchedule(series->window, now);
    series->due.reset();
    series->closing.reset();
  }
}

bool FlowTrackers::close_if_due(UnixMs now) {
  bool any = false;
  for (const auto& series : series_) {
    const auto close = series->schedule->close_if_due(now);
    if (!close) continue;
    series->due = close;
    any = true;
  }
  return any;
}

void FlowTrackers::begin_pass(const DumpPurpose& purpose, bool again) {
  for (const auto& series : series_) {
    if (!again && series->due) series->closing = std::exchange(series->due, {});
    DumpPurpose own = purpose;
    // By a request the session log's window closes early; a flow log's does not, unless all ends.
    if (!purpose.final) own.close = series->closing;
    series->tracker.begin_pass(own);
  }
}

void FlowTrackers::pass_over() {
  for (const auto& series : series_) {
    if (!series->closing) continue;
    series->closed.push_back(*std::exchange(series->closing, {}));
    if (series->closed.size() > kMostClosed) series->closed.pop_front();
  }
}

std::optional<UnixMs> FlowTrackers::closing() const {
  std::optional<UnixMs> oldest;
  for (const auto& series : series_) {
    for (const auto& close : {series->due, series->closing}) {
      if (close) oldest = std::min(oldest.value_or(*close), *close);
    }
  }
  return oldest;
}

void FlowTrackers::tell_closed(UnixMs complete_until) {
  for (const auto& series : series_) {
    for (auto& closed = series->closed; !closed.empty() && closed.front() <= complete_until;
         closed.pop_front())
      series->tracker.emit_window_closed(closed.front());
  }
}

void FlowTrackers::restore(Open open, std::optional<UnixMs> logged_since, std::optional<UnixMs> heard_since) {
  for (const auto& series : series_) {
    const auto flow = static_cast<std::uint32_t>(series->window.count() / 1000);
    // Of flows that no log followed before nothing was heard.
    const auto found = open.find(flow);
    if (found != open.end()) series->tracker.restore(std::move(found->second), logged_since, heard_since);
  }
}

}  // namespace natsession
