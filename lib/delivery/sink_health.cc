#include "delivery/sink_health.h"

#include <algorithm>
#include <functional>

namespace natsession {

SinkHealth::SinkHealth(SinkState& state, const DeliverySettings& settings, const Clock& clock,
                       Reporter& reporter)
    : state_(state),
      clock_(clock),
      reporter_(reporter),
      backoff_(settings.retry_first, settings.retry_limit,
               static_cast<std::uint32_t>(std::hash<std::string>()(state.name))),
      breaker_(state.spec.suspend) {}

SinkHealth::Time SinkHealth::in_trouble_for() const {
  return trouble_since_ ? clock_.steady() - *trouble_since_ : Time::zero();
}

std::optional<SinkHealth::Time> SinkHealth::wait(Time now) {
  if (retry_at_) {
    if (now < *retry_at_) return *retry_at_ - now;
    retry_at_.reset();
  }
  // How much has come makes no difference yet.
  if (breaker_.permit(now, 0) == Breaker::Permit::kWait) return breaker_.suspended_until() - now;
  return std::nullopt;
}

SinkHealth::Permit SinkHealth::permit(Time now, std::uint64_t high_watermark) const {
  switch (breaker_.permit(now, high_watermark)) {
    case Breaker::Permit::kSend:
      return Permit::kSend;
    case Breaker::Permit::kTest:
      return Permit::kTest;
    case Breaker::Permit::kWait:
    case Breaker::Permit::kWaitForData:
      break;
  }
  return Permit::kWaitForData;
}

void SinkHealth::try_now() {
  backoff_.reset();
  retry_at_.reset();
  breaker_.probe();
}

void SinkHealth::begin_test() {
  breaker_.begin_test();
  publish();
  reporter_.report({.kind = Report::Kind::kTestBatch, .sink = state_.name, .code = target_code_});
}

void SinkHealth::well() {
  state_.refusing.store(false, std::memory_order_release);
  backoff_.reset();
  const bool was_suspended = breaker_.state() != Breaker::State::kClosed;
  breaker_.succeed();
  if (!trouble_since_) return;
  const Time lasted = clock_.steady() - *trouble_since_;
  trouble_since_.reset();
  publish();
  reporter_.report({.kind = was_suspended ? Report::Kind::kResumed : Report::Kind::kTroubleOver,
                    .sink = state_.name,
                    .lasted = lasted,
                    .retries = retries_,
                    .code = was_suspended ? target_code_ : std::string()});
}

void SinkHealth::went_on() {
  state_.refusing.store(false, std::memory_order_release);
  backoff_.reset();
  if (breaker_.state() != Breaker::State::kClosed) well();
}

void SinkHealth::rejected(const Answer& answer) {
  well();
  if (answer.taken > 0) return;
  note_failure({}, answer.why);
  state_.refusing.store(true, std::memory_order_release);
}

void SinkHealth::fail(const Answer& answer, std::uint64_t high_watermark) {
  const Time now = clock_.steady();
  const bool target_failed = answer.kind == Answer::Kind::kTargetFailed;
  const std::optional<TargetCode> code = target_failed ? std::optional(answer.code) : answer.throttled_by;
  if (target_failed) target_code_ = to_string(answer.code);
  note_failure(code ? std::string(to_string(*code)) : std::string(), answer.why);
  const bool first = !trouble_since_.has_value();
  if (first) {
    trouble_since_ = now;
    retries_ = 0;
  }
  if (target_failed || breaker_.state() == Breaker::State::kTesting) {
    suspend(now, high_watermark, answer.why);
    return;
  }
  back_off(answer, now);
  publish();
  if (!first) return;
  reporter_.report({.kind = Report::Kind::kTrouble,
                    .sink = state_.name,
                    .why = answer.why,
                    .code = code ? std::string(to_string(*code)) : std::string()});
}

void SinkHealth::back_off(const Answer& answer, Time now) {
  Time delay = backoff_.next();
  // What the destination asks for, but never longer than after a target failure.
  if (answer.after) delay = std::max(delay, std::min<Time>(*answer.after, state_.spec.suspend));
  retry_at_ = now + delay;
}

void SinkHealth::suspend(Time now, std::uint64_t high_watermark, const std::string& why) {
  backoff_.reset();
  retry_at_.reset();
  breaker_.fail(now, high_watermark);
  publish();
  reporter_.report({.kind = Report::Kind::kSuspended,
                    .sink = state_.name,
                    .why = why,
                    .lasted = state_.spec.suspend,
                    .code = target_code_});
}

void SinkHealth::close(const Answer& answer) {
  note_failure({}, answer.why);
  state_.closed.store(true, std::memory_order_release);
  reporter_.closed(state_.name, answer.why);
}

void SinkHealth::note_failure(const std::string& code, const std::string& why) {
  state_.last_failure.with([&](Failure& failure) { failure = {code, why, target_code_}; });
  state_.last_failure_at.set(to_ms(clock_.now()));
}

void SinkHealth::publish() {
  if (suspended()) {
    state_.suspended_until.set(SteadyTime(breaker_.suspended_until()));
  } else {
    state_.suspended_until.clear();
  }
  state_.breaker.store(breaker_.state(), std::memory_order_release);
  state_.in_trouble.store(in_trouble(), std::memory_order_release);
}

}  // namespace natsession
