#include "delivery/sink_worker.h"

#include <algorithm>

#include "delivery/batch.h"
#include "delivery/left_behind.h"

namespace natsession {
namespace {

constexpr std::chrono::seconds kRejectedTellInterval{1};
// A sink in trouble for so long is not expected to recover while a stop waits for it.
constexpr std::chrono::seconds kLastingTrouble{5};
// So many records that are rejected in a row go to the disk at once: it would be slow for each of them.
constexpr std::uint64_t kMaxLetters = 100;

}  // namespace

SinkWorker::SinkWorker(SinkShare& share, std::unique_ptr<Intake> intake, DeadLetters dead_letters,
                       const WorkerScene& scene)
    : share_(share),
      intake_(std::move(intake)),
      dead_letters_(std::move(dead_letters)),
      scene_(scene),
      health_(share, scene.settings, scene.clock, scene.desk) {}

Turn SinkWorker::step() {
  const Turn turn = work();
  if (turn.kind == Turn::Kind::kSleep) commit();
  return turn;
}

Turn SinkWorker::work() {
  if (scene_.run.abandoned.load(std::memory_order_acquire)) {
    commit();
    intake_->finish();
    return {Turn::Kind::kDone};
  }
  tell_who_is_left_behind(scene_.receivers, scene_.desk);
  const Time now = scene_.clock.steady();
  due_ = intake_->tick(now);
  if (share_.reopen_wanted.exchange(false, std::memory_order_acq_rel)) {
    reopen();
    health_.try_now();  // the new destination may be well
  }
  comply();
  if (share_.closed.load(std::memory_order_relaxed) || share_.disabled.load(std::memory_order_relaxed)) {
    return pass_by();
  }
  if (note_stop() && in_vain()) return leave();
  if (const std::optional<Time> wait = health_.wait(now)) return sleep(Doorbell::Sleep::kDeep, wait);
  return offer(now);
}

void SinkWorker::comply() {
  const bool enabled = share_.enabled_wanted.load(std::memory_order_acquire);
  if (enabled != share_.disabled.load(std::memory_order_relaxed)) return;
  if (enabled) {
    intake_->resume();
    health_.try_now();
  }
  share_.disabled.store(!enabled, std::memory_order_release);
}

// Whether the program is stopping. Its first sight is the time for a last try: there may be no later one.
// What is kept has one, so a target that refuses is not asked once more.
bool SinkWorker::note_stop() {
  if (stopping_ || !scene_.run.stopping.load(std::memory_order_acquire)) return stopping_;
  stopping_ = true;
  last_try_ = health_.in_trouble_for() >= kLastingTrouble;
  if (!intake_->keeps() || !health_.suspended()) health_.try_now();
  return true;
}

// No use to hold up the stop: the target refuses, or was in lasting trouble and what waits is kept. Another
// fault may pass, until the time limit.
bool SinkWorker::in_vain() const {
  const bool kept = intake_->keeps();
  return (health_.suspended() && (kept || tried_)) || (kept && last_try_ && tried_ && health_.in_trouble());
}

Turn SinkWorker::offer(Time now) {
  const bool complete = intake_->complete();  // before the look: then nothing comes behind it
  const BatchLimits& limits = share_.spec.batch;
  const Intake::Offer offered = intake_->offer(limits, slept_lightly_ ? now : looked_at_);
  looked_at_ = now;
  slept_lightly_ = false;
  if (!offered.trouble.empty()) {
    health_.fail(Answer::retry_later(0, offered.trouble), intake_->frontier());
    return stopping_ ? leave() : Turn{};
  }
  if (offered.records.empty()) {
    share_.oldest_waiting.clear();
    if (!complete) return idle(now);
    flush();
    return leave();
  }
  share_.oldest_waiting.set(offered.records.front().end_time);

  const SinkHealth::Permit permit = health_.permit(now, intake_->frontier());
  if (permit == SinkHealth::Permit::kWaitForData) return sleep(Doorbell::Sleep::kLight, std::nullopt);
  const Batch batch = cut_batch(offered.records, limits);
  const Time waited = now - offered.since;
  if (!batch.full && waited < limits.linger && !stopping_ && !owed_ && permit == SinkHealth::Permit::kSend) {
    return sleep(Doorbell::Sleep::kLight, limits.linger - waited);
  }
  flush_at_.reset();
  if (permit == SinkHealth::Permit::kTest) health_.begin_test();
  deliver(offered.records.first(batch.count));
  return {};
}

void SinkWorker::deliver(std::span<const SessionRecord> records) {
  if (owed_) {
    share_.retried.add(1);
    health_.note_retry();
  }
  const std::uint64_t frontier = intake_->frontier();
  Answer answer = share_.spec.sink->deliver(records);
  if (answer.kind == Answer::Kind::kDelivered) answer.taken = records.size();
  answer.taken = std::min(answer.taken, records.size());
  // Also if the sink has hung for so long that the program has gone on without it: its place is still this
  // worker's alone.
  settle(records, answer);
  uncommitted_ = true;
  const bool only_rejected = answer.kind == Answer::Kind::kRejected && answer.taken == 0;
  if (!only_rejected || letters_ >= kMaxLetters) commit();
  if (scene_.run.abandoned.load(std::memory_order_acquire)) return;  // nobody listens any more
  tried_ = stopping_;
  judge(answer, answer.taken, frontier);
}

void SinkWorker::settle(std::span<const SessionRecord> records, const Answer& answer) {
  using Kind = Answer::Kind;
  share_.delivered.add(answer.taken);
  if (answer.taken > 0) share_.last_delivery.set(to_ms(scene_.clock.now()));
  const bool rest = answer.taken < records.size();
  owed_ = rest && (answer.kind == Kind::kRetryLater || answer.kind == Kind::kTargetFailed);
  const bool rejected = rest && answer.kind == Kind::kRejected;
  if (rejected) bury(records[answer.taken], answer.why);
  intake_->settle(answer.taken + (rejected ? 1 : 0));
}

void SinkWorker::commit() {
  if (!uncommitted_) return;
  uncommitted_ = false;
  if (letters_ > 0) {
    const Result<void> synced = intake_->keeps() ? dead_letters_.sync() : Result<void>();
    (synced ? share_.dead_lettered : share_.dead_letters_lost).add(letters_);
    letters_ = 0;
    tell_burial(synced);
  }
  intake_->commit();
}

void SinkWorker::judge(const Answer& answer, std::size_t taken, std::uint64_t frontier) {
  using Kind = Answer::Kind;
  switch (answer.kind) {
    case Kind::kDelivered:
      health_.well();
      if (!answer.why.empty()) {
        scene_.desk.report({.kind = Report::Kind::kNotice, .sink = share_.name, .why = answer.why});
      }
      break;
    case Kind::kRetryLater:
      if (taken > 0) health_.went_on();
      // What goes on, if slowly, is offered the rest at once, unless it asked for a pause.
      if (taken == 0 || answer.throttled_by || answer.after) health_.fail(answer, frontier);
      break;
    case Kind::kTargetFailed:
      health_.fail(answer, frontier);
      break;
    case Kind::kRejected:
      health_.well();
      tell_rejected();
      break;
    case Kind::kClosed:
      health_.close(answer);
      break;
  }
}

// Counted, and kept where it can be.
void SinkWorker::bury(const SessionRecord& record, const std::string& why) {
  share_.rejected.add(1);
  ++untold_rejected_;
  rejected_why_ = why;
  if (!dead_letters_.kept()) return;
  const std::uint64_t before = dead_letters_.overwritten();
  const Result<void> added = dead_letters_.add(record, why);
  share_.dead_letters_lost.add(dead_letters_.overwritten() - before + (added ? 0 : 1));
  if (added) ++letters_;
  tell_burial(added);
}

void SinkWorker::tell_burial(const Result<void>& buried) {
  if (burial_fails_ == !buried) return;
  burial_fails_ = !buried;
  scene_.desk.report(
      {.kind = buried ? Report::Kind::kDeadLetterTroubleOver : Report::Kind::kDeadLetterTrouble,
       .sink = share_.name,
       .why = buried ? std::string() : buried.error().message});
}

void SinkWorker::tell_rejected() {
  const Time now = scene_.clock.steady();
  if (untold_rejected_ == 0 || (rejected_told_at_ && now - *rejected_told_at_ < kRejectedTellInterval))
    return;
  rejected_told_at_ = now;
  scene_.desk.report({.kind = Report::Kind::kRejected,
                      .sink = share_.name,
                      .why = rejected_why_,
                      .records = untold_rejected_});
  untold_rejected_ = 0;
}

void SinkWorker::reopen() {
  const Result<void> reopened = share_.spec.sink->reopen();
  if (reopened) return;
  scene_.desk.report(
      {.kind = Report::Kind::kReopenFailed, .sink = share_.name, .why = reopened.error().message});
}

void SinkWorker::flush() {
  const Result<void> flushed = share_.spec.sink->flush();
  const std::string failure = flushed ? std::string() : flushed.error().message;
  if (failure == flush_failure_) return;
  flush_failure_ = failure;
  if (failure.empty()) return;
  scene_.desk.report({.kind = Report::Kind::kFlushFailed, .sink = share_.name, .why = failure});
}

// Disabled, or closed for good.
Turn SinkWorker::pass_by() {
  const bool complete = intake_->complete();
  const bool closed = share_.closed.load(std::memory_order_relaxed);
  owed_ = owed_ && !closed;
  intake_->pass_by(owed_);
  if (complete || (intake_->keeps() && scene_.run.stopping.load(std::memory_order_acquire))) return leave();
  const auto waiting = intake_->offer({.records = 1}, scene_.clock.steady()).records;
  if (waiting.empty()) {
    share_.oldest_waiting.clear();
  } else {
    share_.oldest_waiting.set(waiting.front().end_time);
  }
  return sleep(Doorbell::Sleep::kLight, std::nullopt);
}

Turn SinkWorker::idle(Time now) {
  tell_rejected();
  if (!flush_at_) flush_at_ = now + scene_.settings.idle_flush;
  if (now >= *flush_at_) {
    flush();
    flush_at_ = now + scene_.settings.idle_flush_again;
  }
  return sleep(Doorbell::Sleep::kLight, *flush_at_ - now);
}

Turn SinkWorker::sleep(Doorbell::Sleep depth, std::optional<Time> limit) {
  slept_lightly_ = depth == Doorbell::Sleep::kLight;
  if (due_ && (!limit || *due_ < *limit)) limit = due_;
  return {Turn::Kind::kSleep, depth, limit};
}

Turn SinkWorker::leave() {
  rejected_told_at_.reset();
  tell_rejected();
  commit();
  intake_->finish();
  return {Turn::Kind::kDone};
}

}  // namespace natsession
