#include "session/collector.h"

namespace natsession {
namespace {

// An interrupted dump is repeated so often, then left to the next window.
constexpr int kMaxTries = 3;

// Cells that one turn looks at after a dump. Each makes at most one record.
constexpr std::uint32_t kSweepStep = 2048;

static_assert(kSweepStep <= RecordOutput::kRoom / 2);

struct DumpHandler final : EventSource::Handler {
  explicit DumpHandler(Tracker& to) : tracker(to) {}
  void on_event(const ConntrackEvent& event) override { tracker.on_dump_entry(event); }
  Tracker& tracker;
};

}  // namespace

Collector::Collector(EventSource& source, Tracker& tracker, RecordOutput& output, const Clock& clock,
                     std::chrono::milliseconds window)
    : source_(source),
      tracker_(tracker),
      output_(output),
      clock_(clock),
      schedule_(window, to_ms(clock.now())),
      last_drained_(to_ms(clock.now())) {
  want_pass({.close = {}, .final = false, .initial = true});
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
  if (!output_.has_room()) {
    ++counters_.held_back_turns;
    return Pace::kTick;
  }

  const UnixNs now = clock_.now();
  tracker_.set_now(now);
  const auto received = source_.receive(tracker_);
  if (!received) return received.error();
  watch_losses(*received);
  if (received->drained) last_drained_ = to_ms(now);

  if (const auto close = schedule_.close_if_due(to_ms(now))) want_pass({.close = close, .final = false, .initial = false});
  if (close_requested_.exchange(false, std::memory_order_relaxed)) {
    want_pass({.close = to_ms(now), .final = false, .initial = false});
  }
  if (!stopping_ && stop_requested_.load(std::memory_order_relaxed)) {
    stopping_ = true;
    want_pass({.close = to_ms(now), .final = true, .initial = false});
  }

  advance_pass(received->drained);
  if (stopping_ && step_ == Step::kNone && !wanted_) return Pace::kDone;
  if (step_ != Step::kNone || wanted_ || !received->drained) return Pace::kAtOnce;
  return received->messages > 0 ? Pace::kTick : Pace::kIdle;
}

// An overrun is data: it is counted, the log says so, and a dump tells what became of the sessions.
void Collector::watch_losses(const EventSource::Received& received) {
  if (!received.overrun) return;
  ++counters_.overruns;
  const std::uint64_t dropped = source_.dropped();
  const std::uint64_t lost = dropped - dropped_seen_;
  dropped_seen_ = dropped;
  counters_.events_lost += lost;
  const Count known = lost > 0 ? Count(lost) : Count();  // a truncated message is lost, but not counted as dropped
  tracker_.emit_gap(last_drained_, to_ms(clock_.now()), RecordReason::kOverrun, known);
  want_pass({});
}

void Collector::advance_pass(bool drained) {
  switch (step_) {
    case Step::kNone:
      if (!wanted_) return;
      purpose_ = *wanted_;
      wanted_.reset();
      tries_ = 0;
      confirming_ = false;
      step_ = Step::kDrainBefore;
      [[fallthrough]];
    case Step::kDrainBefore:
      if (drained) begin_dump();
      return;
    case Step::kDump: {
      DumpHandler handler(tracker_);
      const auto state = source_.continue_dump(handler);
      if (!state) return dump_failed(state.error());
      if (*state == EventSource::DumpState::kMore) return;
      whole_ = *state == EventSource::DumpState::kDone;
      step_ = Step::kDrainAfter;
      return;
    }
    case Step::kDrainAfter: {
      if (!drained) return;
      tracker_.end_pass(whole_, source_.redelivers() && source_.dropped() != dropped_before_);
      step_ = Step::kSweep;
      return;
    }
    case Step::kSweep:
      if (tracker_.sweep(kSweepStep)) pass_over();
      return;
  }
}

void Collector::begin_dump() {
  ++counters_.passes;
  if (!confirming_ && tries_ == 0) {
    dropped_before_ = dropped_at_pass_;
    dropped_at_pass_ = source_.dropped();
  }
  tracker_.begin_pass(purpose_);
  const auto started = source_.start_dump();
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
  } else if (tracker_.wants_confirmation() && !confirming_) {
    confirming_ = true;  // once: where DESTROY is not subscribed to, sessions vanish all the time
    step_ = Step::kDrainBefore;
  }
  if (step_ == Step::kNone) ready_ = true;
}

}  // namespace natsession
