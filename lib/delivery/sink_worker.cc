#include "delivery/sink_worker.h"

#include <algorithm>
#include <functional>

namespace natsession {

SinkWorker::SinkWorker(SinkState& state, std::span<const std::unique_ptr<SinkState>> all, const RunState& run,
                       const DeliverySettings& settings, const Clock& clock, ReportDesk& desk)
    : state_(state),
      all_(all),
      run_(run),
      settings_(settings),
      clock_(clock),
      desk_(desk),
      backoff_(settings.retry_first, settings.retry_limit,
               static_cast<std::uint32_t>(std::hash<std::string>()(state.name))) {}

SinkWorker::Next SinkWorker::step() {
  if (run_.abandoned.load(std::memory_order_acquire)) return {Next::Kind::kDone};
  tell_who_is_left_behind();
  if (state_.reopen_wanted.exchange(false, std::memory_order_acq_rel)) {
    reopen();
    retry_at_.reset();  // the new destination may be well
  }
  if (state_.closed.load(std::memory_order_relaxed)) {
    discard();
    if (run_.stopping.load(std::memory_order_acquire)) return {Next::Kind::kDone};
    return {Next::Kind::kSleep};
  }
  if (!saw_stopping_ && run_.stopping.load(std::memory_order_acquire)) {
    saw_stopping_ = true;
    backoff_.reset();
    retry_at_.reset();  // there may be no time for a later try
  }
  if (retry_at_) {
    const std::chrono::nanoseconds wait = *retry_at_ - clock_.steady();
    if (wait > std::chrono::nanoseconds::zero()) return {Next::Kind::kSleep, Doorbell::Sleep::kDeep, wait};
    retry_at_.reset();
  }
  Lane* const lane = owed_ != nullptr ? owed_ : next_ready();
  if (lane == nullptr) return idle();
  flush_at_.reset();
  deliver(*lane);
  return {Next::Kind::kStep};
}

// Whether the lane has records to read. Gives batches back that are read to their end.
bool SinkWorker::ready(Lane& lane) {
  while (RecordBatch** const front = lane.queue.front()) {
    RecordBatch* const batch = *front;
    const RecordBatch::View view = batch->view();
    if (lane.read < view.count) return true;
    if (!view.sealed) return false;
    lane.read = 0;
    lane.queue.pop();
    lane.pool.release(batch);
  }
  return false;
}

Lane* SinkWorker::next_ready() {
  for (std::size_t tried = 0; tried < state_.lanes.size(); ++tried) {
    Lane& lane = *state_.lanes[turn_];
    turn_ = (turn_ + 1) % state_.lanes.size();
    if (ready(lane)) return &lane;
  }
  return nullptr;
}

void SinkWorker::deliver(Lane& lane) {
  const RecordBatch& batch = **lane.queue.front();
  const std::span<const SessionRecord> records = batch.records(lane.read, batch.view().count);
  if (owed_ != nullptr) {
    state_.retried.add(1);
    ++trouble_retries_;
  }
  const Answer answer = state_.sink->deliver(records);

  using Kind = Answer::Kind;
  const std::size_t taken =
      answer.kind == Kind::kDelivered ? records.size() : std::min(answer.taken, records.size());
  state_.delivered.add(taken);
  settle(lane, taken);
  const bool rest = taken < records.size();
  const bool again = answer.kind == Kind::kRetryLater || answer.kind == Kind::kTargetFailed;
  owed_ = rest && again ? &lane : nullptr;
  if (answer.kind == Kind::kRejected && rest) {
    state_.rejected.add(1);
    settle(lane, 1);
  }
  // The sink may have hung for so long that the program has gone on without it.
  if (run_.abandoned.load(std::memory_order_acquire)) return;

  switch (answer.kind) {
    case Kind::kDelivered:
      recover();
      if (!answer.why.empty()) desk_.report({Report::Kind::kNotice, state_.name, answer.why});
      break;
    case Kind::kRetryLater:
    case Kind::kTargetFailed:
      if (taken > 0) {
        backoff_.reset();  // it goes on, if slowly: the rest is offered at once
      } else {
        fail(answer);
      }
      break;
    case Kind::kRejected:
      recover();
      desk_.report({Report::Kind::kRejected, state_.name, answer.why});
      break;
    case Kind::kClosed:
      close(answer);
      break;
  }
}

// `count` records more of the lane's first batch are done with.
void SinkWorker::settle(Lane& lane, std::size_t count) {
  lane.read += count;
  lane.taken.add(count);
}

void SinkWorker::fail(const Answer& answer) {
  const std::chrono::nanoseconds now = clock_.steady();
  retry_at_ = now + backoff_.next();
  state_.last_failure.with([&](std::string& text) { text = answer.why; });
  if (trouble_since_) return;
  trouble_since_ = now;
  trouble_retries_ = 0;
  state_.in_trouble.store(true, std::memory_order_release);
  desk_.report({Report::Kind::kTrouble, state_.name, answer.why});
}

void SinkWorker::recover() {
  backoff_.reset();
  if (!trouble_since_) return;
  const std::chrono::nanoseconds lasted = clock_.steady() - *trouble_since_;
  trouble_since_.reset();
  state_.in_trouble.store(false, std::memory_order_release);
  desk_.report({Report::Kind::kTroubleOver, state_.name, {}, lasted, trouble_retries_});
}

void SinkWorker::close(const Answer& answer) {
  state_.last_failure.with([&](std::string& text) { text = answer.why; });
  state_.closed.store(true, std::memory_order_release);
  desk_.closed(state_.name, answer.why);
}

// What is queued for a closed sink, and what comes still, goes nowhere.
void SinkWorker::discard() {
  for (const auto& lane : state_.lanes) {
    while (ready(*lane)) {
      const std::size_t count = (*lane->queue.front())->view().count - lane->read;
      state_.discarded.add(count);
      settle(*lane, count);
    }
  }
}

void SinkWorker::reopen() {
  const Result<void> reopened = state_.sink->reopen();
  if (!reopened) desk_.report({Report::Kind::kReopenFailed, state_.name, reopened.error().message});
}

void SinkWorker::flush() {
  const Result<void> flushed = state_.sink->flush();
  const std::string failure = flushed ? std::string() : flushed.error().message;
  if (failure == flush_failure_) return;
  flush_failure_ = failure;
  if (!failure.empty()) desk_.report({Report::Kind::kFlushFailed, state_.name, failure});
}

SinkWorker::Next SinkWorker::idle() {
  if (run_.stopping.load(std::memory_order_acquire)) {
    if (next_ready() != nullptr) return {Next::Kind::kStep};  // it came before the stop, and after the look
    flush();
    return {Next::Kind::kDone};
  }
  const std::chrono::nanoseconds now = clock_.steady();
  if (!flush_at_) flush_at_ = now + settings_.idle_flush;
  if (now >= *flush_at_) {
    flush();
    flush_at_ = now + settings_.idle_flush_again;
  }
  return {Next::Kind::kSleep, Doorbell::Sleep::kLight, *flush_at_ - now};
}

// A worker that hangs cannot tell of itself, so every worker tells of all.
void SinkWorker::tell_who_is_left_behind() {
  for (const auto& sink : all_) {
    const auto changed = [&] {
      const bool behind = sink->lanes_behind.load(std::memory_order_acquire) != 0;
      return behind != sink->told_behind.load(std::memory_order_relaxed);
    };
    if (!changed()) continue;
    desk_.report_with([&](const auto& report) {
      if (!changed()) return;  // another worker was quicker
      const bool behind = !sink->told_behind.load(std::memory_order_relaxed);
      sink->told_behind.store(behind, std::memory_order_relaxed);
      if (behind) {
        report(Report{Report::Kind::kLeftBehind, sink->name, {}, {}, 0, sink->waiting()});
      } else {
        const std::uint64_t before = sink->dropped_when_left.load(std::memory_order_relaxed);
        report(Report{Report::Kind::kCaughtUp, sink->name, {}, {}, 0, sink->dropped() - before});
      }
    });
  }
}

}  // namespace natsession
