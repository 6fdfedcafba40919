// Tracker: follows sessions through events and dumps and makes their records. It keeps what the kernel does
// not give again: when a session began, and what of it has been reported. No I/O, no clock: the collector
// says what time it is.
// Threads: one, the collector's.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <tsl/robin_map.h>
#include <tsl/robin_set.h>

#include "record/record_output.h"
#include "session/collector_report.h"
#include "session/event_source.h"
#include "session/flow_table.h"
#include "session/port_usage.h"
#include "session/record_maker.h"
#include "session/settings.h"
#include "session/vpc_map.h"

namespace natsession {

struct TrackerSettings {
  RecordMode records = RecordMode::kWindow;
  std::chrono::milliseconds window = std::chrono::minutes(10);
  // Sessions beyond these are not followed: they still get their end record from DESTROY, but no interim
  // ones.
  std::size_t max_sessions = 16'000'000;
  std::size_t max_vanished = 1'000'000;   // how many that vanished are remembered, for a DESTROY after all
  bool destroys = true;                   // DESTROY is subscribed to
  std::uint32_t flow = 0;                 // of flow logs alone: see SessionRecord::flow
  InterfaceFinder* interfaces = nullptr;  // records have interfaces, and flags of TCP; outlives the tracker
};

// What a dump is for.
struct DumpPurpose {
  // Set: a window closes, sessions that moved traffic get an interim record that ends here.
  std::optional<UnixMs> close;
  // The daemon stops (and `close` is set): every open session with something to tell, or of which nothing was
  // told yet, gets an interim record, whatever the record mode.
  bool final = false;
  // The first dump of all: sessions in it are older than the logger.
  bool initial = false;
};

class Tracker final : public EventSource::Handler {
 public:
  // `origin` is interned. `output` outlives the tracker.
  Tracker(const TrackerSettings& settings, const Origin& origin, VpcMap vpcs, RecordOutput& output);

  // The wall clock, for events without a stamp of their own, and since when they may have waited. Called
  // before each batch of events.
  void set_now(UnixNs now, UnixNs waiting_since) {
    now_ = now;
    waiting_since_ = std::min(now, waiting_since);
  }
  void set_now(UnixNs now) { set_now(now, now); }

  // One event from the kernel. Emits at most three records.
  void on_event(const ConntrackEvent& event) override;
  // The same for several: what they will need of the table is fetched into the cache first.
  void on_events(std::span<const ConntrackEvent> events) override;
  // These will come, one by one: likewise.
  void expect(std::span<const ConntrackEvent> events);

  // A dump pass: begin_pass(), on_dump_entry() for each entry (at most two records each), then end_pass()
  // after everything that was queued while the dump ran has been handled, then sweep() until it says done.
  void begin_pass(const DumpPurpose& purpose);
  void on_dump_entry(const ConntrackEvent& entry);
  // `whole`: the dump was complete and not interrupted. `delayed`: DESTROY events may still be on their way.
  void end_pass(bool whole, bool delayed);
  // Looks at `count` cells for sessions that the dump did not show. Emits at most `count` records. True when
  // done.
  bool sweep(std::uint32_t count);
  // Whether NEW is subscribed to, from now on.
  void subscribe_to_new(bool subscribed) {
    if (subscribed && !news_) news_since_ = to_ms(now_);
    news_ = subscribed;
  }
  // Sessions that may never send an event, as they began before the kernel sent any: that they have ended is
  // known by a dump alone.
  [[nodiscard]] std::size_t mute() const { return mute_; }
  // So many events did not fit, or could not be read; each may have been a NEW.
  void miss_news(std::uint64_t count) {
    news_missed_ = to_ms(now_);
    missed_ += count;
  }
  // When sessions began that the passes since the last call showed, whole or not, and that ought to have sent
  // a NEW. If none was lost, which is for the caller to know, the kernel sent no events then.
  struct Unheard {
    UnixMs first, last;  // of a session without a stamp: it began between these
  };
  [[nodiscard]] std::optional<Unheard> take_unheard() { return std::exchange(unheard_, {}); }

  // After a sweep: sessions are missing for the first time, and one more dump would tell whether they are
  // gone.
  [[nodiscard]] bool wants_confirmation() const { return wants_confirmation_; }

  // Gives the log a gap record.
  void emit_gap(UnixMs start, UnixMs end, RecordReason reason, Count lost) {
    maker_.gap(start, end, reason, lost);
  }

  // Tells that all which ended by `end` in the window that ends there has been told.
  void emit_window_closed(UnixMs end) { maker_.window_closed(end); }

  // Records from now on carry these, from a reloaded configuration; they outlive every record.
  void relabel(const Origin& origin, VpcMap vpcs) { maker_.relabel(origin, std::move(vpcs)); }

  [[nodiscard]] std::size_t live() const { return v4_.size() + v6_.size(); }
  [[nodiscard]] std::size_t table_bytes() const { return v4_.bytes() + v6_.bytes() + maker_.bytes(); }
  [[nodiscard]] TrackerCounters counters() const;
  // DESTROY events that were handled, and whose records are emitted.
  [[nodiscard]] std::uint64_t destroys() const { return counters_.events.destroyed; }

  // Counts the SNAT ports of the next `count` cells behind `cursor`. True when all were looked at. Sessions
  // may come and go between calls.
  struct TableCursor {
    bool v6 = false;
    std::uint32_t at = 0;
  };
  bool count_ports(PortUsage& usage, TableCursor& cursor, std::uint32_t count);

  // Before the first event and the initial dump: sessions that had not ended in the log of the run before.
  // Those that the initial dump shows go on, the others end as vanished after it. Of them those that began
  // since `logged_since` did so under a subscription. `heard_since`: this run's is as old, because it is that
  // of the run before.
  void restore(OpenSessions open, std::optional<UnixMs> logged_since = {},
               std::optional<UnixMs> heard_since = {}) {
    open_before_ = std::move(open);
    logged_since_ = logged_since;
    inherited_since_ = heard_since;
  }
  // Of each session that has records and has not ended, what OpenSessions would tell of it. The last call.
  void take_open(std::vector<SessionRecord>& totals);

 private:
  template <typename Family>
  FlowTable<Family>& table();
  template <typename Family>
  void handle(const ConntrackEvent& event, const FlowKey<Family>& key, std::uint64_t hash);
  template <typename Family>
  void handle_new(const ConntrackEvent& event, const FlowKey<Family>& key, std::uint64_t hash);
  template <typename Family>
  void handle_update(const ConntrackEvent& event, const FlowKey<Family>& key, std::uint64_t hash);
  template <typename Family>
  void handle_destroy(const ConntrackEvent& event, const FlowKey<Family>& key, std::uint64_t hash);
  template <typename Family>
  void handle_dump_entry(const ConntrackEvent& entry);
  template <typename Family>
  Session<Family>* follow(const FlowKey<Family>& key, std::uint64_t hash);
  template <typename Family>
  void heard(Session<Family>& session);
  [[nodiscard]] bool sent_new(UnixMs begin) const {
    return news_ && begin >= heard_since_ && begin >= news_since_ + kStampSlack;
  }
  template <typename Family>
  void mark_mute(Session<Family>& session, std::uint64_t hash, bool restored);
  template <typename Family>
  [[nodiscard]] bool is_one_of_the_missed(const Session<Family>& session);
  template <typename Family>
  void begin_at(Session<Family>& session, const ConntrackEvent& event);
  template <typename Family>
  void begin_with(Session<Family>& session, const ConntrackEvent& event);
  template <typename Family>
  void close_vanished(Session<Family>& session, std::uint64_t hash, UnixMs end);
  template <typename Family>
  void close_gone(Session<Family>& session, std::uint64_t hash, UnixMs end);
  [[nodiscard]] bool can_remember_vanished();
  template <typename Family>
  void sweep_one(Session<Family>& session);
  bool sweep_open_before(std::uint32_t count);
  [[nodiscard]] bool was_closed_as_vanished(const ConntrackEvent& event, std::uint64_t hash,
                                            bool by_stamp) const;

  RecordMode mode_;
  std::size_t max_sessions_;
  RecordMaker maker_;
  UnixNs now_{};
  UnixNs waiting_since_{};

  FlowTable<V4> v4_;
  FlowTable<V6> v6_;

  OpenSessions open_before_;  // of an earlier run, and not seen yet

  bool news_ = false;
  UnixMs news_since_ = UnixMs::min();
  UnixMs news_missed_ = UnixMs::min();
  std::uint64_t missed_ = 0;  // events, of which no session that a dump showed is known to have been one
  std::optional<UnixMs> logged_since_;     // restored sessions that began since then were heard of
  std::optional<UnixMs> inherited_since_;  // for the first dump
  UnixMs heard_since_ = UnixMs::max();     // since when all that begin are heard of
  std::size_t mute_ = 0;
  bool news_are_kept_back_ = false;  // flows send DESTROY that did not send NEW: rules say so (CT --ctevents)
  static constexpr std::size_t kMaxUnheard = 4096;
  tsl::robin_map<std::uint64_t, Unheard>
      shown_first_;  // by the dump that runs, before their NEW: by key hash
  std::optional<Unheard> unheard_;

  UnixMs pass_began_{};
  std::optional<UnixMs> whole_pass_began_;  // the last; what it did not show began after that
  UnixMs all_known_since_ = UnixMs::max();  // the first whole pass was over: what others show is new

  // The pass that is under way.
  DumpPurpose purpose_;
  bool in_pass_ = false;         // between begin_pass() and end_pass()
  bool proves_absence_ = false;  // during the sweep: what the dump did not show may be gone
  bool delayed_ = false;
  bool wants_confirmation_ = false;
  std::uint8_t pass_ = 0;  // its number, 1 to 255
  std::uint32_t sweep_cursor_ = 0;
  bool sweeping_v6_ = false;
  tsl::robin_set<std::uint64_t> ended_in_pass_;  // key hashes: a dump entry that is older than its DESTROY

  // Sessions that were closed as vanished, for a DESTROY that comes after all: key hash to the kernel's start
  // in ms, or kNoStamp. Two generations. When the younger is full the older one is dropped, if no DESTROY can
  // be on its way any more for any in it; else sessions that are missing wait.
  static constexpr std::int64_t kNoStamp = INT64_MIN;
  static constexpr std::chrono::seconds kVanishedKept{60};
  bool destroys_;
  std::size_t vanished_limit_;     // of a generation
  UnixNs vanished_young_since_{};  // when the older one was last added to
  tsl::robin_map<std::uint64_t, std::int64_t> vanished_young_;
  tsl::robin_map<std::uint64_t, std::int64_t> vanished_old_;

  TrackerCounters counters_;
};

}  // namespace natsession
