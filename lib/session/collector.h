// Collector: drives one EventSource and one Tracker. Each turn takes what the kernel has queued, moves a
// running dump on by one part, and closes windows when they are due. It never blocks and never waits: the
// caller does, by what turn() says.
// Threads: one, except for the request_ functions, which any thread may call.
#pragma once

#include <atomic>
#include <optional>

#include "session/flow_trackers.h"
#include "session/gap_keeper.h"
#include "session/tracker.h"
#include "session/window_schedule.h"

namespace natsession {

struct CollectorSettings {
  std::chrono::milliseconds window = std::chrono::minutes(10);
  ReliableMode reliable = ReliableMode::kAuto;
  unsigned guard_percent = kDefaultGuardPercent;  // of nf_conntrack_max
  EventNeeds events = {};                         // which are to be subscribed to
  bool nothing_before = false;                    // no log tells of the time before: a gap is to say so
};

// Where a collector goes on for one that has ended, of the same events.
struct Continuation {
  Moment complete_until;      // until then all is in the log
  UnixMs covered_from;        // since when every session is known
  std::uint64_t dropped = 0;  // EventSource::dropped() of which the log knows
};

class Collector {
 public:
  // What the caller does before the next turn.
  enum class Pace {
    kAtOnce,  // there is more to do
    kTick,  // events are coming: collect them in kTick, not one by one, because each wake-up costs the sender
    kIdle,  // wait for an event, a request, or kIdleLimit
    kDone,  // after request_stop(): everything that was seen has been emitted
  };
  static constexpr std::chrono::milliseconds kTickLength{10};
  static constexpr std::chrono::milliseconds kIdleLimit{
      500};  // so that windows close, also after a clock step

  // All outlive the collector. `flows`: may be null.
  Collector(EventSource& source, Tracker& tracker, RecordOutput& output, const Clock& clock,
            const CollectorSettings& settings, FlowTrackers* flows = nullptr);

  // Errors: the source is broken for good.
  [[nodiscard]] Result<Pace> turn();

  // Before the first turn: the log goes on where another collector's ended, which had heard all that the
  // source does not give any more, of `groups` at least. Nothing was missed meanwhile: events were queued.
  // The source still has the groups of that one.
  void continue_from(const Continuation& before, const EventGroups& groups);
  // What one would continue from when the log has all that was emitted so far; none while something is
  // missing in it that is not told yet.
  [[nodiscard]] std::optional<Continuation> continuation() const;

  // After kDone: begins again, as a new collector with the same tracker and counters would, with the same
  // source or another. What it told and dropped before is not looked at; sessions that are over vanish with
  // the dump that now comes.
  // Errors: the source's, where it cannot be subscribed to.
  Result<void> resume(EventSource& source);
  // After kDone: the source may go; nothing but resume() and this may be called then.
  void leave_source();

  // The initial dump has been taken in: every session is known.
  [[nodiscard]] bool ready() const { return ready_; }
  // Brings all that the collector, its tracker and its source tell up to date in `report`.
  void report_to(CollectorReport& report) const;

  // SIGUSR1: the window closes now, and the next one at its boundary.
  void request_close() { close_requested_.store(true, std::memory_order_relaxed); }
  // Somebody waits for what is proved: the next turn looks at once whether the kernel sends events, and not
  // within a second as usual.
  void request_look() { look_requested_.store(true, std::memory_order_relaxed); }
  // SIGTERM: what is queued is handled, open sessions get an interim record, then turn() says kDone.
  void request_stop() {
    request_look();  // what is proved reaches to the stop
    stop_requested_.store(true, std::memory_order_relaxed);
  }

  // The groups that were subscribed to in all of the time that is covered.
  [[nodiscard]] const EventGroups& covered_groups() const { return covered_groups_; }
  [[nodiscard]] const CollectorCounters& counters() const { return counters_; }
  [[nodiscard]] bool reliable() const { return guard_.reliable(); }
  [[nodiscard]] const std::optional<Error>& last_dump_error() const { return last_dump_error_; }

 private:
  static constexpr std::chrono::nanoseconds kNever = std::chrono::nanoseconds::max();

  // A dump pass, step by step. What was queued before the dump is handled before it, and what was queued
  // while it ran before its outcome counts.
  enum class Step { kNone, kDrainBefore, kDump, kDrainAfter, kSweep };

  template <typename Call>
  void each_tracker(Call&& call);
  void subscribe_to_new(bool subscribed);
  [[nodiscard]] bool any_mute() const;
  [[nodiscard]] std::optional<Tracker::Unheard> take_unheard();
  [[nodiscard]] bool wants_confirmation();
  [[nodiscard]] bool sweep();
  void want_pass(const DumpPurpose& purpose);
  void watch_table(std::chrono::nanoseconds steady);
  void watch_events(const Moment& now);
  void watch_clock(UnixMs now);
  [[nodiscard]] bool watch_groups();
  [[nodiscard]] Moment moment() const;
  void watch_losses(std::size_t unreadable);
  void count_drops(std::uint64_t dropped, std::size_t unreadable, bool come_again);
  void tell_gap(bool drained);
  void want_reconciliation(std::chrono::nanoseconds steady);
  void show_the_unshown(std::chrono::nanoseconds steady);
  void advance_pass(bool drained);
  void cover_on();
  void tell_unheard();
  void tell_start();
  void report_coverage(CollectorReport& report) const;
  void begin_dump();
  void pass_over();
  void dump_failed(Error error);

  EventSource* source_;
  SourceCounters left_;  // of sources before this one
  Tracker& tracker_;     // the session log's
  FlowTrackers* const flows_;
  RecordOutput& output_;
  const Clock& clock_;
  const std::chrono::milliseconds window_;
  WindowSchedule schedule_;

  Step step_ = Step::kNone;
  DumpPurpose purpose_;                // of the pass that runs
  std::optional<DumpPurpose> wanted_;  // the next one
  bool whole_ = false;                 // the dump of this pass was complete
  bool delayed_ = false;               // DESTROY events may have been on their way when it ended
  bool confirming_ = false;            // this pass looks again for sessions that the last one did not show
  int tries_ = 0;                      // of this pass, after interruptions
  std::uint64_t dropped_at_pass_ = 0;  // source_.dropped() when this pass began
  std::uint64_t dropped_before_ = 0;   // and when the one before it began
  std::chrono::nanoseconds pass_began_{};
  UnixMs pass_began_at_{};
  std::chrono::nanoseconds pass_ended_{};
  std::chrono::nanoseconds reconcile_at_ = kNever;

  TableGuard guard_;
  GapKeeper gap_;
  std::chrono::nanoseconds table_looked_at_{};
  std::uint64_t dropped_seen_ = 0;
  bool losses_open_ = false;  // events were lost, and no dump has yet told what became of their sessions
  bool delaying_ = false;     // events did not fit since the queue was last empty
  // Since then flows may have begun of which no NEW came, and that no dump has shown.
  std::optional<Moment> unshown_since_;
  std::chrono::nanoseconds missed_at_ = std::chrono::hours(-1);  // when events last did not fit
  Moment complete_until_;  // until then nothing can be missing: the queue was empty, nothing was delayed
  const EventNeeds needs_;
  EventChoice choice_;
  ConntrackSysctls sysctls_;           // at the last look
  std::optional<TableUsage> table_;    // likewise
  UnixMs clock_seen_{};                // the wall clock, by the last turn
  UnixMs came_until_ = UnixMs::min();  // before it was set back it had shown times up to this
  bool stamped_before_ = false;        // at the last look but one: what was under way then is over
  bool blind_ = false;                 // the groups that are missing could not be subscribed to
  EventGroups covered_groups_;
  bool start_untold_;  // that nothing is known of the time before
  std::chrono::nanoseconds events_looked_at_ = std::chrono::hours(-1);
  std::chrono::nanoseconds longest_look_{};  // between two looks, since the last dump but one
  std::chrono::nanoseconds longest_look_before_{};
  Moment sent_until_;                   // when the kernel was last seen to tell of new flows
  bool silent_ = false;                 // it did not since, and no dump has yet shown what began meanwhile
  bool sends_again_ = false;            // that dump is wanted
  std::uint64_t trusted_after_ = 0;     // a dump shows it that is behind so many
  std::optional<UnixMs> covered_from_;  // since when every session is known
  UnixMs shown_until_{};                // when the last whole pass began
  bool ended_whole_ = false;            // and the one of a stop was whole
  bool ready_ = false;
  bool stopping_ = false;
  std::optional<Error> last_dump_error_;

  std::atomic<bool> close_requested_{false};
  std::atomic<bool> look_requested_ = false;
  std::atomic<bool> stop_requested_{false};
  CollectorCounters counters_;
};

}  // namespace natsession
