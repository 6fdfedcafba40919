#include "session/collector.h"

#include <algorithm>
#include <utility>

namespace natsession {
namespace {

// An interrupted dump is repeated so often, then left to the next window.
constexpr int kMaxTries = 3;

// How often the table's fill is looked at. It can grow by some thousand flows in this time.
constexpr std::chrono::milliseconds kTableInterval{50};

// How often it is looked whether the kernel still sends events, and stamps: what is covered ends there.
constexpr std::chrono::seconds kEventsInterval{1};

// A clock that is disciplined is set back by less.
constexpr std::chrono::milliseconds kClockTolerance{100};
// So long nothing is covered, rather than times that came twice.
constexpr std::chrono::minutes kSoon{10};

// After a loss the table is looked through, but not so often that dumps become the load.
constexpr std::chrono::seconds kReconcilePause{1};
constexpr int kReconcileShare = 4;  // at most one part in this and one of the time

// The kernel tries a delayed event again within a second: what it has not brought by then is not on its way.
constexpr std::chrono::seconds kSettled{5};

// Cells that one turn looks at after a dump. Each makes at most one record.
constexpr std::uint32_t kSweepStep = 2048;

static_assert(kSweepStep <= RecordOutput::kRoom / 2);

EventGroups common(const EventGroups& some, const EventGroups& others) {
  return groups_of(bits_of(some) & bits_of(others));
}

// What has no stamp of its own happened before it was received: the clock is asked behind that.
struct TimedHandler final : EventSource::Handler {
  TimedHandler(Tracker& to, FlowTrackers* and_to, const Clock& by, UnixNs since)
      : tracker(to), flows(and_to), clock(by), waiting_since(since) {}
  void on_event(const ConntrackEvent& event) override { on_events({&event, 1}); }
  void on_events(std::span<const ConntrackEvent> events) override {
    const UnixNs now = clock.now();
    tracker.set_now(now, waiting_since);
    if (flows == nullptr) {
      tracker.on_events(events);
      return;
    }
    flows->each([&](Tracker& each) { each.set_now(now, waiting_since); });
    flows->on_events(events, tracker);
  }
  Tracker& tracker;
  FlowTrackers* const flows;
  const Clock& clock;
  const UnixNs waiting_since;
};

struct DumpHandler final : EventSource::Handler {
  DumpHandler(Tracker& to, FlowTrackers* and_to) : tracker(to), flows(and_to) {}
  void on_event(const ConntrackEvent& event) override {
    if (flows == nullptr) {
      tracker.on_dump_entry(event);
    } else {
      flows->on_dump_entry(event, tracker);
    }
  }
  Tracker& tracker;
  FlowTrackers* const flows;
};

}  // namespace

Collector::Collector(EventSource& source, Tracker& tracker, RecordOutput& output, const Clock& clock,
                     const CollectorSettings& settings, FlowTrackers* flows)
    : source_(&source),
      tracker_(tracker),
      flows_(flows),
      output_(output),
      clock_(clock),
      window_(settings.window),
      schedule_(settings.window, to_ms(clock.now())),
      guard_(settings.reliable, settings.guard_percent),
      complete_until_(moment()),
      needs_(settings.events),
      choice_(choose_events(settings.events, source.sysctls().stamps_sessions())),
      start_untold_(settings.nothing_before),
      sent_until_(complete_until_) {
  if (choice_.groups != source.groups()) choice_ = {source.groups(), EventsWhy::kTakenOver};
  subscribe_to_new(choice_.groups.new_);
  if (flows_ != nullptr) flows_->open_windows(to_ms(clock.now()));
  want_pass({.close = {}, .final = false, .initial = true});
}

template <typename Call>
void Collector::each_tracker(Call&& call) {
  call(tracker_);
  if (flows_ != nullptr) flows_->each(call);
}

void Collector::subscribe_to_new(bool subscribed) {
  each_tracker([&](Tracker& tracker) { tracker.subscribe_to_new(subscribed); });
}

bool Collector::any_mute() const {
  bool any = tracker_.mute() > 0;
  if (flows_ != nullptr) flows_->each([&](const Tracker& tracker) { any = any || tracker.mute() > 0; });
  return any;
}

std::optional<Tracker::Unheard> Collector::take_unheard() {
  std::optional<Tracker::Unheard> all;
  each_tracker([&](Tracker& tracker) {
    const auto unheard = tracker.take_unheard();
    if (!unheard) return;
    all = Tracker::Unheard{std::min(all.value_or(*unheard).first, unheard->first),
                           std::max(all.value_or(*unheard).last, unheard->last)};
  });
  return all;
}

bool Collector::wants_confirmation() {
  bool any = false;
  each_tracker([&](const Tracker& tracker) { any = any || tracker.wants_confirmation(); });
  return any;
}

// True when all have done.
bool Collector::sweep() {
  if (!tracker_.sweep(kSweepStep)) return false;
  bool done = true;
  if (flows_ != nullptr)
    flows_->each(
        [&](Tracker& tracker) { done = done && tracker.sweep(kSweepStep / FlowTrackers::kMaxWindows); });
  return done;
}

void Collector::leave_source() {
  if (source_ == nullptr) return;
  left_ += source_->counters();
  source_ = nullptr;
}

void Collector::continue_from(const Continuation& before, const EventGroups& groups) {
  dropped_seen_ = dropped_at_pass_ = dropped_before_ = before.dropped;
  complete_until_ = sent_until_ = before.complete_until;
  covered_from_ = before.covered_from;
  covered_groups_ = common(groups, choice_.groups);
  start_untold_ = false;
  // A window that ended meanwhile is closed by the first dump.
  schedule_ = WindowSchedule(window_, before.complete_until.wall);
  if (flows_ != nullptr) flows_->open_windows(before.complete_until.wall);
}

std::optional<Continuation> Collector::continuation() const {
  if (!covered_from_ || silent_ || losses_open_ || gap_.open_since()) return std::nullopt;
  const Moment& until = sent_until_.steady < complete_until_.steady ? sent_until_ : complete_until_;
  return Continuation{until, *covered_from_, dropped_seen_};
}

Result<void> Collector::resume(EventSource& source) {
  source_ = &source;
  choice_ = choose_events(needs_, source.sysctls().stamps_sessions());
  stamped_before_ = false;
  if (auto set = source.set_groups(choice_); !set) return set;
  subscribe_to_new(choice_.groups.new_);
  const UnixMs now = to_ms(clock_.now());
  schedule_ = WindowSchedule(window_, now);
  if (flows_ != nullptr) flows_->open_windows(now);
  dropped_seen_ = dropped_at_pass_ = dropped_before_ = source_->dropped();
  losses_open_ = delaying_ = false;
  unshown_since_.reset();
  complete_until_ = moment();
  covered_from_.reset();
  trusted_after_ = counters_.passes;
  ready_ = stopping_ = ended_whole_ = false;
  stop_requested_.store(false, std::memory_order_relaxed);
  want_pass({.close = {}, .final = false, .initial = true});
  return {};
}

// Asks for a pass when the one that runs is over. Two that wait become one.
void Collector::want_pass(const DumpPurpose& purpose) {
  if (!wanted_) {
    wanted_ = purpose;
    return;
  }
  if (purpose.close) wanted_->close = purpose.close;
  wanted_->final = wanted_->final || purpose.final;
}

Result<Collector::Pace> Collector::turn() {
  const std::chrono::nanoseconds steady = clock_.steady();
  const UnixNs now = clock_.now();
  watch_clock(to_ms(now));
  if (!output_.has_room() || !source_->has_room()) {
    watch_losses(0);
    watch_table(steady);
    ++counters_.held_back_turns;
    return Pace::kTick;
  }

  each_tracker([&](Tracker& tracker) { tracker.set_now(now, UnixNs(complete_until_.wall)); });
  TimedHandler handler(tracker_, flows_, clock_, UnixNs(complete_until_.wall));
  const auto received = source_->receive(handler);
  if (!received) return received.error();
  watch_losses(received->unreadable);
  watch_table(steady);
  watch_events({to_ms(now), steady});
  tell_gap(received->drained);
  if (received->drained) {
    delaying_ = false;
    if (steady - missed_at_ >= (guard_.watches() ? kSettled : std::chrono::seconds(0)))
      complete_until_ = {to_ms(now), steady};
  }
  show_the_unshown(steady);

  if (const auto close = schedule_.close_if_due(to_ms(now)))
    want_pass({.close = close, .final = false, .initial = false});
  if (flows_ != nullptr) {
    if (flows_->close_if_due(to_ms(now))) want_pass({});
    if (received->drained && !gap_.open_since()) flows_->tell_closed(complete_until_.wall);
  }
  if (close_requested_.exchange(false, std::memory_order_relaxed)) {
    want_pass({.close = to_ms(now), .final = false, .initial = false});
  }
  if (steady >= reconcile_at_) {
    reconcile_at_ = kNever;
    want_pass({});
  }
  if (!stopping_ && stop_requested_.load(std::memory_order_relaxed)) {
    stopping_ = true;
    want_pass({.close = to_ms(now), .final = true, .initial = false});
  }

  advance_pass(received->drained);
  if (stopping_ && step_ == Step::kNone && !wanted_) {
    tell_gap(true);
    tell_start();
    ended_whole_ = whole_;
    return Pace::kDone;
  }
  if (step_ != Step::kNone || wanted_ || !received->drained) return Pace::kAtOnce;
  return received->messages > 0 ? Pace::kTick : Pace::kIdle;
}

// Forwarding comes before logging: also, and above all, while this collector is held back.
void Collector::watch_table(std::chrono::nanoseconds steady) {
  if (!guard_.watches() || steady - table_looked_at_ < kTableInterval) return;
  table_looked_at_ = steady;
  const bool before = guard_.reliable();
  const Pulse* const pulse = source_->pulse();
  if (before ? !delaying_ : pulse != nullptr && !pulse->is_settled()) return;
  const auto usage = source_->table_usage();
  if (guard_.decide(usage ? *usage : TableUsage::not_known(), delaying_) == before) return;
  if (before) ++counters_.guard_trips;
  if (auto set = source_->set_reliable(!before); !set) last_dump_error_ = set.error();
  // What was dropped until it was on again is gone, though it can be counted only now.
  if (!before) count_drops(source_->dropped(), 0, /*come_again=*/false);
}

// Subscribes to what is needed by now. False if it was less until now than what could tell when sessions
// begin: some may have begun since the last look of which nobody will ever know when.
bool Collector::watch_groups() {
  if (needs_.configured && *needs_.configured == choice_.groups) return true;
  const bool stamps = sysctls_.stamps_sessions();
  const EventChoice wanted = choose_events(needs_, stamps);
  const auto is_blind = [&] { return wanted.groups.new_ && !choice_.groups.new_ && !stamps; };
  const bool was_blind = is_blind();
  // A packet may have begun its flow just before the kernel began to stamp, and still be on its way.
  const bool settled = stamped_before_ || wanted.groups.new_ || needs_.configured;
  stamped_before_ = stamps;
  if (wanted != choice_ && settled) {
    const auto set = source_->set_groups(wanted);
    if (!set) last_dump_error_ = set.error();
    choice_ = {source_->groups(), set ? wanted.why : choice_.why};
    subscribe_to_new(choice_.groups.new_);
    covered_groups_ = common(covered_groups_, choice_.groups);
  }
  blind_ = is_blind();
  return !was_blind;
}

// A flow that begins while nf_conntrack_events is 0 never sends an event. It is known again by a dump, if it
// lives so long.
void Collector::watch_events(const Moment& now) {
  if (now.steady - events_looked_at_ < kEventsInterval) {
    // Where nothing has changed since the look before, it is as if that were now; all else is for the usual
    // one.
    if (look_requested_.exchange(false, std::memory_order_relaxed) && !blind_ && !silent_ &&
        sysctls_.sends_events() && source_->sysctls() == sysctls_)
      sent_until_ = now;
    return;
  }
  if (events_looked_at_.count() >= 0) longest_look_ = std::max(longest_look_, now.steady - events_looked_at_);
  events_looked_at_ = now.steady;
  sysctls_ = source_->sysctls();
  const auto usage = source_->table_usage();
  table_ = usage ? std::optional(*usage) : std::nullopt;
  const bool sends = sysctls_.sends_events();
  if (!watch_groups()) {
    covered_from_.reset();
    trusted_after_ = counters_.passes;
    want_pass({});
    if (sends && !silent_) return;
  }
  if (sends && !silent_) {
    sent_until_ = now;
    return;
  }
  if (!sends) {
    silent_ = true;
    sends_again_ = false;
    covered_from_.reset();
  } else if (!sends_again_) {
    sends_again_ = true;
    trusted_after_ = counters_.passes;
    want_pass({});
  }
  gap_.add(sent_until_, now, RecordReason::kEventsOff, Count());
}

// Where it is set back some times come twice. What is covered ends, and begins anew: behind those times,
// where they are over soon; else at once, and who reads sees by the two covered times that overlap which
// times these are.
void Collector::watch_clock(UnixMs now) {
  const UnixMs before = std::exchange(clock_seen_, now);
  if (now >= before - kClockTolerance) return;
  if (came_until_ > now + kSoon) came_until_ = UnixMs::min();
  if (before <= now + kSoon) came_until_ = std::max(came_until_, before);
  if (!covered_from_) return;
  covered_from_.reset();
  trusted_after_ = counters_.passes;
  want_pass({});
}

// An overrun is data: it is counted, the log says so, and a dump tells what became of the sessions. In
// reliable mode what did not fit comes again, or was a NEW or UPDATE, which harms no record: the next dump
// shows its session.
void Collector::watch_losses(std::size_t unreadable) {
  // In this order: what was dropped after the guard outside had turned it off is counted after that is known.
  const std::uint64_t dropped = source_->dropped();
  Pulse* const pulse = source_->pulse();
  const auto cleared = pulse != nullptr ? pulse->beat() : std::nullopt;
  if (cleared && guard_.reliable()) {
    count_drops(std::clamp(*cleared, dropped_seen_, dropped), 0, /*come_again=*/true);
    guard_.went_off();
    ++counters_.guard_trips;
    // It may have claimed to, and not have done it yet.
    if (auto set = source_->set_reliable(false); !set) last_dump_error_ = set.error();
  }
  count_drops(dropped, unreadable, guard_.reliable());
}

void Collector::count_drops(std::uint64_t dropped, std::size_t unreadable, bool come_again) {
  const std::uint64_t missed = dropped - dropped_seen_;
  dropped_seen_ = dropped;
  if (missed > 0 || unreadable > 0) {
    each_tracker([&](Tracker& tracker) { tracker.miss_news(missed + unreadable); });
    if (choice_.groups.new_ && !unshown_since_) unshown_since_ = complete_until_;
  }
  if (missed > 0) {
    delaying_ = true;
    missed_at_ = clock_.steady();
  }
  std::uint64_t lost = unreadable;
  if (come_again) {
    counters_.events_delayed += missed;
  } else {
    lost += missed;
  }
  if (lost == 0) return;
  ++counters_.overruns;
  counters_.events_lost += lost;
  losses_open_ = true;
  // The time is asked for after the count: this thread may have been stopped for long since the turn began.
  gap_.add(complete_until_, moment(), guard_.watches() ? RecordReason::kTableGuard : RecordReason::kOverrun,
           Count(lost));
  want_reconciliation(clock_.steady());
}

Moment Collector::moment() const {
  return {to_ms(clock_.now()), clock_.steady()};
}

void Collector::tell_gap(bool drained) {
  // While no events are sent it goes on, however seldom that is looked at.
  const auto gap = gap_.take_if_over(clock_.steady(), drained && !silent_, stopping_);
  if (!gap) return;
  // How many were lost is told once.
  if (const auto& then = gap->time.by_old_clock)
    tracker_.emit_gap(then->from, then->until, gap->reason, Count());
  tracker_.emit_gap(gap->time.since, gap->end, gap->reason, gap->lost);
}

void Collector::want_reconciliation(std::chrono::nanoseconds steady) {
  if (reconcile_at_ != kNever) return;
  const auto pause =
      std::max<std::chrono::nanoseconds>(kReconcilePause, (pass_ended_ - pass_began_) * kReconcileShare);
  reconcile_at_ = pass_ended_.count() == 0 ? steady : std::max(steady, pass_ended_ + pause);
}

// A NEW that did not fit comes again with the flow's next packet, if there is one. As soon as nothing else is
// on its way a dump shows those flows.
void Collector::show_the_unshown(std::chrono::nanoseconds steady) {
  if (unshown_since_ && unshown_since_->steady < complete_until_.steady && step_ == Step::kNone && !wanted_)
    want_reconciliation(steady);
}

void Collector::advance_pass(bool drained) {
  switch (step_) {
    case Step::kNone:
      if (!wanted_) return;
      purpose_ = *wanted_;
      wanted_.reset();
      tries_ = 0;
      confirming_ = false;
      pass_began_ = clock_.steady();
      pass_began_at_ = to_ms(clock_.now());
      step_ = Step::kDrainBefore;
      [[fallthrough]];
    case Step::kDrainBefore:
      if (drained) begin_dump();
      return;
    case Step::kDump: {
      DumpHandler handler(tracker_, flows_);
      const auto state = source_->continue_dump(handler);
      if (!state) return dump_failed(state.error());
      if (*state == EventSource::DumpState::kMore) return;
      whole_ = *state == EventSource::DumpState::kDone;
      step_ = Step::kDrainAfter;
      return;
    }
    case Step::kDrainAfter: {
      if (!drained) return;
      delayed_ = guard_.reliable() && source_->dropped() != dropped_before_;
      each_tracker([this](Tracker& tracker) { tracker.end_pass(whole_, delayed_); });
      step_ = Step::kSweep;
      return;
    }
    case Step::kSweep:
      if (sweep()) pass_over();
      return;
  }
}

void Collector::begin_dump() {
  ++counters_.passes;
  if (!confirming_ && tries_ == 0) {
    dropped_before_ = dropped_at_pass_;
    dropped_at_pass_ = source_->dropped();
  }
  tracker_.begin_pass(purpose_);
  if (flows_ != nullptr) flows_->begin_pass(purpose_, /*again=*/confirming_ || tries_ > 0);
  const auto started = source_->start_dump();
  if (!started) return dump_failed(started.error());
  step_ = Step::kDump;
}

void Collector::dump_failed(Error error) {
  last_dump_error_ = std::move(error);
  whole_ = false;
  step_ = Step::kDrainAfter;
}

void Collector::pass_over() {
  step_ = Step::kNone;
  purpose_.initial = false;
  if (!whole_) {
    ++counters_.passes_failed;
    if (++tries_ < kMaxTries) step_ = Step::kDrainBefore;
  } else if (!confirming_ && wants_confirmation()) {
    confirming_ = true;  // once: where DESTROY is not subscribed to, sessions vanish all the time
    step_ = Step::kDrainBefore;
  }
  if (step_ != Step::kNone) return;
  ready_ = true;
  if (flows_ != nullptr) flows_->pass_over();
  pass_ended_ = clock_.steady();
  if (whole_) {
    tell_unheard();
    shown_until_ = pass_began_at_;
    if (source_->dropped() == dropped_at_pass_) unshown_since_.reset();
    tell_start();
    if (!blind_ && counters_.passes > trusted_after_ && (sends_again_ || !(silent_ || covered_from_)))
      cover_on();
  }
  if (!losses_open_) return;
  // Sessions that this dump did not show are told apart by the next one, once nothing is on its way any more.
  // After a loss that does not wait for the window.
  losses_open_ = !whole_ || delayed_;
  if (losses_open_) want_reconciliation(pass_ended_);
}

// Between two looks no events may have been sent. Sessions that began then never send one, and this dump
// shows those that live on; of the others nobody will hear.
void Collector::tell_unheard() {
  const auto longest = std::chrono::ceil<std::chrono::milliseconds>(
      std::max({longest_look_, longest_look_before_, std::chrono::nanoseconds(kEventsInterval)}));
  longest_look_before_ = std::exchange(longest_look_, {});
  const auto unheard = take_unheard();
  // What was lost otherwise is told otherwise.
  if (!unheard || silent_ || losses_open_ || source_->dropped() != dropped_before_) return;
  tracker_.emit_gap(unheard->first - longest, unheard->last + longest, RecordReason::kEventsOff, Count());
}

// Until a whole dump has shown what was there, sessions may have been that nobody will hear of.
void Collector::tell_start() {
  if (!start_untold_) return;
  start_untold_ = false;
  tracker_.emit_gap(kUnknownStart, to_ms(clock_.now()), RecordReason::kStarted, Count());
}

// Every session is known: by its event, or by the dump that is over now.
void Collector::cover_on() {
  const Moment now = moment();
  if (silent_) gap_.add(sent_until_, now, RecordReason::kEventsOff, Count());
  silent_ = sends_again_ = false;
  sent_until_ = now;
  if (!covered_from_) {
    covered_from_ = std::max(now.wall, came_until_);
    covered_groups_ = choice_.groups;
  }
}

void Collector::report_coverage(CollectorReport& report) const {
  report.covered_from = report.covered_until = std::nullopt;
  report.covered_whole = false;
  if (!covered_from_) return;
  UnixMs until = std::min(complete_until_.wall, sent_until_.wall);
  if (const auto lost = gap_.open_since()) until = std::min(until, *lost);
  if (unshown_since_) until = std::min(until, unshown_since_->wall);
  // What a window's end makes known is recorded when its dump is over.
  if (wanted_ && wanted_->close) until = std::min(until, *wanted_->close);
  if (step_ != Step::kNone && purpose_.close) until = std::min(until, *purpose_.close);
  if (const auto closing = flows_ != nullptr ? flows_->closing() : std::nullopt)
    until = std::min(until, *closing);
  if (!choice_.groups.destroy || any_mute()) until = std::min(until, shown_until_);
  if (until < *covered_from_) return;  // also after the clock was set back
  report.covered_from = covered_from_;
  report.covered_until = until;
  report.covered_whole = ended_whole_;
}

void Collector::report_to(CollectorReport& report) const {
  static_cast<TrackerCounters&>(report) = tracker_.counters();
  static_cast<CollectorCounters&>(report) = counters_;
  static_cast<SourceCounters&>(report) = left_;
  static_cast<SourceCounters&>(report) += source_->counters();
  report.live = tracker_.live();
  report.open = choice_.groups.new_ ? std::optional(report.live) : std::nullopt;
  report.groups = choice_.groups;
  report.groups_why = choice_.why;
  report.sysctls = sysctls_;
  report.table_entries = table_ ? std::optional(table_->count) : std::nullopt;
  report.table_limit = table_ ? std::optional(table_->max) : std::nullopt;
  report.ready = ready_;
  report.reliable = reliable();
  report.guard_tripped = guard_.watches() && ready_ && !reliable();
  report_coverage(report);
}

}  // namespace natsession
