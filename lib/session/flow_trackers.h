// FlowTrackers: what follows flows for flow logs, beside the session log's tracker: a tracker for each length
// of window that a flow log has. Each sees the events that it is to follow, and has records of its own; the
// one with the session log's own window leaves out what the session log's records tell already.
// Threads: one, the collector's.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "session/tracker.h"
#include "session/window_schedule.h"

namespace natsession {

// What flow logs want of one network namespace. Nothing wanted: there are none that are on.
struct FlowWants {
  std::vector<std::chrono::seconds> windows;  // different ones, at most kMaxFlow each
  bool untranslated = false;                  // also flows that no address of is translated
  friend bool operator==(const FlowWants&, const FlowWants&) = default;
};

// Whether the session log's records, of windows of `log_window`, are also those of a flow log with `window`.
[[nodiscard]] inline bool session_log_serves(std::chrono::seconds window, RecordMode log_records,
                                             std::chrono::milliseconds log_window) {
  return log_records == RecordMode::kWindow && log_window == window;
}

class FlowTrackers {
 public:
  // Further lengths cost a record for each flow each.
  static constexpr std::size_t kMaxWindows = 4;

  // `log`: what the session log's tracker has; `log_selects`: the bits of a flow's status word that make it
  // the session log's. `finder` outlives the trackers, and `output` as well.
  FlowTrackers(const FlowWants& wants, const TrackerSettings& log, std::uint32_t log_selects,
               const Origin& origin, const VpcMap& vpcs, RecordOutput& output);

  // Events, in order, for `log` and for these. All records of one event are handed on together.
  void on_events(std::span<const ConntrackEvent> events, Tracker& log);
  void on_dump_entry(const ConntrackEvent& entry, Tracker& log);
  // DESTROY events whose records are emitted, all of them.
  [[nodiscard]] std::uint64_t destroys() const { return destroys_; }

  template <typename Call>
  void each(Call&& call) {
    for (const auto& series : series_) call(series->tracker);
  }
  template <typename Call>
  void each(Call&& call) const {
    for (const auto& series : series_) call(std::as_const(series->tracker));
  }

  // Windows are counted anew from the one of `now`.
  void open_windows(UnixMs now);
  // Whether a window is over: a pass is wanted, which closes it.
  [[nodiscard]] bool close_if_due(UnixMs now);
  // A pass begins, for what has become due and for `purpose`; `again`: the one before did not do.
  void begin_pass(const DumpPurpose& purpose, bool again);
  // It is over, and will not be repeated.
  void pass_over();
  // The end of the oldest window of which not all is told yet.
  [[nodiscard]] std::optional<UnixMs> closing() const;
  // Tells of windows whose flows have all been told: nothing can be missing that ended before
  // `complete_until`.
  void tell_closed(UnixMs complete_until);

  // By their windows' seconds.
  using Open = std::map<std::uint32_t, OpenSessions>;
  void restore(Open open, std::optional<UnixMs> logged_since, std::optional<UnixMs> heard_since);

 private:
  struct Series {
    Series(const TrackerSettings& settings, std::uint32_t without, const Origin& origin, const VpcMap& vpcs,
           RecordOutput& output)
        : tracker(settings, origin, vpcs, output), without(without), window(settings.window) {}
    Tracker tracker;
    const std::uint32_t without;  // flows with one of these bits in their status word are not its own
    const std::chrono::milliseconds window;
    std::optional<WindowSchedule> schedule;
    std::optional<UnixMs> due;      // a window's end, of which no pass has begun yet
    std::optional<UnixMs> closing;  // of the pass that runs
    std::deque<UnixMs> closed;      // passes are over; not told yet
  };
  [[nodiscard]] bool takes(const Series& series, const ConntrackEvent& event) const {
    return (event.status & series.without) == 0 && (untranslated_ || (event.status & kTranslated) != 0);
  }
  static constexpr std::uint32_t kTranslated = kStatusSrcNat | kStatusDstNat;

  const std::uint32_t log_selects_;
  const bool untranslated_;
  RecordOutput& output_;
  std::vector<std::unique_ptr<Series>> series_;
  std::uint64_t destroys_ = 0;
};

}  // namespace natsession
