#include "delivery/sink_worker.h"

#include <algorithm>

#include "delivery/log_consumer.h"

namespace natsession {
namespace {

constexpr std::chrono::seconds kRejectedReportInterval{1};
// A sink in trouble for so long is not expected to recover while a stop waits for it.
constexpr std::chrono::seconds kLastingTrouble{5};
// So many records that are rejected in a row go to the disk at once: it would be slow for each of them.
constexpr std::uint64_t kMaxLetters = 100;

}  // namespace

SinkWorker::SinkWorker(SinkState& state, std::unique_ptr<LogConsumer> consumer, DeadLetters dead_letters,
                       const DeliveryContext& context)
    : state_(state),
      consumer_(std::move(consumer)),
      dead_letters_(std::move(dead_letters)),
      context_(context),
      health_(state, context.settings, context.clock, context.reporter) {}

Turn SinkWorker::step() {
  const Turn turn = work();
  if (turn.kind == Turn::Kind::kSleep) commit();
  return turn;
}

Turn SinkWorker::work() {
  if (context_.run.abandoned.load(std::memory_order_acquire)) {
    commit();
    consumer_->finish();
    return {Turn::Kind::kDone};
  }
  const Time now = context_.clock.steady();
  due_ = consumer_->tick(now);
  if (state_.reopen_wanted.exchange(false, std::memory_order_acq_rel)) {
    reopen();
    health_.try_now();  // the new destination may be well
  }
  comply();
  if (state_.closed.load(std::memory_order_relaxed) || state_.disabled.load(std::memory_order_relaxed)) {
    return stand_by();
  }
  if (note_stop() && in_vain()) return leave();
  if (const std::optional<Time> wait = health_.wait(now)) return sleep(Notifier::Sleep::kDeep, wait);
  if (tell_proof(now, false)) return {};
  return offer(now);
}

void SinkWorker::comply() {
  const bool enabled = state_.enabled_wanted.load(std::memory_order_acquire);
  if (enabled != state_.disabled.load(std::memory_order_relaxed)) return;
  if (enabled) health_.try_now();
  if (!state_.closed.load(std::memory_order_relaxed)) {
    consumer_->set_hold(enabled ? LogReader::Hold::kHolds : LogReader::Hold::kWaits);
  }
  state_.disabled.store(!enabled, std::memory_order_release);
}

// Whether the program is stopping. Its first sight is the time for a last try: there may be no later one.
// What is kept has one, so a target that refuses is not asked once more.
bool SinkWorker::note_stop() {
  if (stopping_ || !context_.run.stopping.load(std::memory_order_acquire)) return stopping_;
  stopping_ = true;
  last_try_ = health_.in_trouble_for() >= kLastingTrouble;
  if (!consumer_->keeps() || !health_.suspended()) health_.try_now();
  return true;
}

// No use to hold up the stop: the target refuses, or was in lasting trouble and what waits is kept. Another
// fault may pass, until the time limit.
bool SinkWorker::in_vain() const {
  const bool kept = consumer_->keeps();
  return (health_.suspended() && (kept || tried_)) || (kept && last_try_ && tried_ && health_.in_trouble());
}

Turn SinkWorker::offer(Time now) {
  const bool complete = consumer_->complete();  // before the look: then nothing comes behind it
  const BatchLimits& limits = state_.spec.batch;
  const LogConsumer::Offer offered = consumer_->offer(limits, slept_lightly_ ? now : looked_at_);
  looked_at_ = now;
  slept_lightly_ = false;
  if (!offered.trouble.empty()) {
    health_.fail(Answer::retry_later(0, offered.trouble), consumer_->high_watermark());
    return stopping_ ? leave() : Turn{};
  }
  if (offered.records.empty()) {
    state_.oldest_waiting.clear();
    if (!complete) return idle(now);
    flush();
    tell_proof(now, true);
    return leave();
  }
  state_.oldest_waiting.set(offered.records.front().end_time);

  const SinkHealth::Permit permit = health_.permit(now, consumer_->high_watermark());
  if (permit == SinkHealth::Permit::kWaitForData) return sleep(Notifier::Sleep::kLight, std::nullopt);
  Batch batch = cut_batch(offered.records, limits);
  const bool known_again = state_.spec.sink->knows_batches();
  if (known_again) batch = consumer_->settle(batch, limits.records);
  const Time waited = now - offered.since;
  if (!batch.full && waited < limits.linger && !stopping_ && !owed_ && permit == SinkHealth::Permit::kSend) {
    return sleep(Notifier::Sleep::kLight, limits.linger - waited);
  }
  flush_at_.reset();
  if (permit == SinkHealth::Permit::kTest) health_.begin_test();
  if (known_again) {
    consumer_->promise(batch.count, batch.full);
    state_.spec.sink->name_batch(consumer_->first_offered());
  }
  deliver(offered.records.first(batch.count));
  return {};
}

void SinkWorker::deliver(std::span<const SessionRecord> records) {
  if (owed_) {
    state_.retried.add(1);
    health_.note_retry();
  }
  const std::uint64_t high_watermark = consumer_->high_watermark();
  Answer answer = state_.spec.sink->deliver(records);
  if (answer.kind == Answer::Kind::kDelivered) answer.taken = records.size();
  answer.taken = std::min(answer.taken, records.size());
  answer.lost = std::min(answer.lost, answer.taken);
  // Also if the sink has hung for so long that the program has gone on without it: its place is still this
  // worker's alone.
  acknowledge(records, answer);
  uncommitted_ = true;
  const bool only_rejected = answer.kind == Answer::Kind::kRejected && answer.taken == 0;
  if (!only_rejected || letters_ >= kMaxLetters) commit();
  if (context_.run.abandoned.load(std::memory_order_acquire)) return;  // nobody listens any more
  tried_ = stopping_;
  judge(answer, answer.taken, high_watermark);
}

void SinkWorker::acknowledge(std::span<const SessionRecord> records, const Answer& answer) {
  using Kind = Answer::Kind;
  state_.delivered.add(answer.taken - answer.lost);
  if (answer.taken > 0) state_.last_delivery.set(to_ms(context_.clock.now()));
  const bool rest = answer.taken < records.size();
  owed_ = rest && (answer.kind == Kind::kRetryLater || answer.kind == Kind::kTargetFailed);
  // Which ones, nobody says.
  for (const SessionRecord& record : records.first(answer.lost > 0 ? answer.taken : 0))
    consumer_->note_lost(record.end_time);
  if (answer.lost > 0) {
    state_.rejected.add(answer.lost);
    state_.dead_letters_lost.add(dead_letters_.kept() ? answer.lost : 0);
    unreported_rejected_ += answer.lost;
    rejected_why_ = answer.why;
  }
  const bool rejected = rest && answer.kind == Kind::kRejected;
  if (rejected) consumer_->note_lost(records[answer.taken].end_time);
  if (rejected) write_dead_letter(records[answer.taken], answer.why);
  consumer_->acknowledge(answer.taken + (rejected ? 1 : 0));
}

void SinkWorker::commit() {
  if (!uncommitted_) return;
  uncommitted_ = false;
  if (letters_ > 0) {
    const Result<void> synced = consumer_->keeps() ? dead_letters_.sync() : Result<void>();
    (synced ? state_.dead_lettered : state_.dead_letters_lost).add(letters_);
    letters_ = 0;
    report_dead_letters(synced);
  }
  consumer_->commit(consumer_->keeps() ? state_.spec.sink->memory() : std::string());
}

void SinkWorker::judge(const Answer& answer, std::size_t taken, std::uint64_t high_watermark) {
  using Kind = Answer::Kind;
  state_.tried.store(true, std::memory_order_release);
  switch (answer.kind) {
    case Kind::kDelivered:
      health_.well();
      report_rejected();
      if (!answer.why.empty() && answer.lost == 0) {
        context_.reporter.report({.kind = Report::Kind::kNotice, .sink = state_.name, .why = answer.why});
      }
      break;
    case Kind::kRetryLater:
      if (taken > 0) health_.went_on();
      // What goes on, if slowly, is offered the rest at once, unless it asked for a pause.
      if (taken == 0 || answer.throttled_by || answer.after) health_.fail(answer, high_watermark);
      break;
    case Kind::kTargetFailed:
      health_.fail(answer, high_watermark);
      break;
    case Kind::kRejected:
      health_.rejected(answer);
      report_rejected();
      break;
    case Kind::kClosed:
      health_.close(answer);
      consumer_->set_hold(LogReader::Hold::kClosed);
      break;
  }
}

// Counted, and kept where it can be.
void SinkWorker::write_dead_letter(const SessionRecord& record, const std::string& why) {
  state_.rejected.add(1);
  ++unreported_rejected_;
  rejected_why_ = why;
  if (!dead_letters_.kept()) return;
  const std::uint64_t before = dead_letters_.overwritten();
  const Result<void> added = dead_letters_.add(record, why);
  state_.dead_letters_lost.add(dead_letters_.overwritten() - before + (added ? 0 : 1));
  if (added) ++letters_;
  report_dead_letters(added);
}

void SinkWorker::report_dead_letters(const Result<void>& written) {
  if (dead_letters_fail_ == !written) return;
  dead_letters_fail_ = !written;
  context_.reporter.report(
      {.kind = written ? Report::Kind::kDeadLetterTroubleOver : Report::Kind::kDeadLetterTrouble,
       .sink = state_.name,
       .why = written ? std::string() : written.error().message});
}

void SinkWorker::report_rejected() {
  const Time now = context_.clock.steady();
  if (unreported_rejected_ == 0 ||
      (rejected_reported_at_ && now - *rejected_reported_at_ < kRejectedReportInterval))
    return;
  rejected_reported_at_ = now;
  context_.reporter.report({.kind = Report::Kind::kRejected,
                            .sink = state_.name,
                            .why = rejected_why_,
                            .records = unreported_rejected_});
  unreported_rejected_ = 0;
}

// What is proved of the records that it was given, in order and not too often, where the sink keeps that; at
// the end whatever is left. True: it took some time.
bool SinkWorker::tell_proof(Time now, bool last) {
  Sink& sink = *state_.spec.sink;
  const auto interval = sink.proof_interval();
  if (!interval || owed_ || health_.in_trouble()) return false;
  if (!last && now < proof_at_) return false;
  constexpr int kLooks = 8;  // in an interval, while there is nothing
  const std::vector<Coverage> proved = consumer_->proved();
  if (proved.empty()) {
    consumer_->told();
    proof_at_ = now + *interval / kLooks;
    return false;
  }
  proof_at_ = now + *interval;
  commit();  // a claim is behind the place that it rests on, also in the file
  const Result<void> taken = sink.take_proof({context_.origin.instance, consumer_->stream(), proved});
  if (taken) consumer_->told();
  const std::string failure = taken ? std::string() : taken.error().message;
  if (failure != proof_failure_ && !failure.empty()) {
    context_.reporter.report({.kind = Report::Kind::kNotice,
                              .sink = state_.name,
                              .why = "what is proved of its records cannot be kept there: " + failure});
  }
  proof_failure_ = failure;
  return true;
}

void SinkWorker::reopen() {
  const Result<void> reopened = state_.spec.sink->reopen();
  if (reopened) return;
  context_.reporter.report(
      {.kind = Report::Kind::kReopenFailed, .sink = state_.name, .why = reopened.error().message});
}

void SinkWorker::flush() {
  const Result<void> flushed = state_.spec.sink->flush();
  const std::string failure = flushed ? std::string() : flushed.error().message;
  if (failure == flush_failure_) return;
  flush_failure_ = failure;
  if (failure.empty()) return;
  context_.reporter.report({.kind = Report::Kind::kFlushFailed, .sink = state_.name, .why = failure});
}

// Disabled, or closed for good: what comes waits, as long as the log has it.
Turn SinkWorker::stand_by() {
  if (context_.run.stopping.load(std::memory_order_acquire)) return leave();
  if (state_.closed.load(std::memory_order_relaxed)) return sleep(Notifier::Sleep::kLight, std::nullopt);
  const auto waiting = consumer_->offer({.records = 1}, context_.clock.steady()).records;
  if (waiting.empty()) {
    state_.oldest_waiting.clear();
  } else {
    state_.oldest_waiting.set(waiting.front().end_time);
  }
  return sleep(Notifier::Sleep::kLight, std::nullopt);
}

Turn SinkWorker::idle(Time now) {
  report_rejected();
  if (!flush_at_) flush_at_ = now + context_.settings.idle_flush;
  if (now >= *flush_at_) {
    flush();
    flush_at_ = now + context_.settings.idle_flush_again;
  }
  return sleep(Notifier::Sleep::kLight, *flush_at_ - now);
}

Turn SinkWorker::sleep(Notifier::Sleep depth, std::optional<Time> limit) {
  slept_lightly_ = depth == Notifier::Sleep::kLight;
  if (due_ && (!limit || *due_ < *limit)) limit = due_;
  return {Turn::Kind::kSleep, depth, limit};
}

Turn SinkWorker::leave() {
  rejected_reported_at_.reset();
  report_rejected();
  commit();
  consumer_->finish();
  return {Turn::Kind::kDone};
}

}  // namespace natsession
