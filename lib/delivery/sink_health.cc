#include "delivery/sink_health.h"

#include <algorithm>
#include <functional>

namespace natsession {

SinkHealth::SinkHealth(SinkShare& share, const DeliverySettings& settings, const Clock& clock,
                       ReportDesk& desk)
    : share_(share),
      clock_(clock),
      desk_(desk),
      backoff_(settings.retry_first, settings.retry_limit,
               static_cast<std::uint32_t>(std::hash<std::string>()(share.name))),
      breaker_(share.spec.suspend) {}

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

SinkHealth::Permit SinkHealth::permit(Time now, std::uint64_t frontier) const {
  switch (breaker_.permit(now, frontier)) {
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
  desk_.report({.kind = Report::Kind::kTestBatch, .sink = share_.name, .code = target_code_});
}

void SinkHealth::well() {
  backoff_.reset();
  const bool was_suspended = breaker_.state() != Breaker::State::kClosed;
  breaker_.succeed();
  if (!trouble_since_) return;
  const Time lasted = clock_.steady() - *trouble_since_;
  trouble_since_.reset();
  publish();
  desk_.report({.kind = was_suspended ? Report::Kind::kResumed : Report::Kind::kTroubleOver,
                .sink = share_.name,
                .lasted = lasted,
                .retries = retries_,
                .code = was_suspended ? target_code_ : std::string()});
}

void SinkHealth::went_on() {
  backoff_.reset();
  if (breaker_.state() != Breaker::State::kClosed) well();
}

void SinkHealth::fail(const Answer& answer, std::uint64_t frontier) {
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
    suspend(now, frontier, answer.why);
    return;
  }
  back_off(answer, now);
  publish();
  if (!first) return;
  desk_.report({.kind = Report::Kind::kTrouble,
                .sink = share_.name,
                .why = answer.why,
                .code = code ? std::string(to_string(*code)) : std::string()});
}

void SinkHealth::back_off(const Answer& answer, Time now) {
  Time delay = backoff_.next();
  // What the destination asks for, but never longer than after a target failure.
  if (answer.after) delay = std::max(delay, std::min<Time>(*answer.after, share_.spec.suspend));
  retry_at_ = now + delay;
}

void SinkHealth::suspend(Time now, std::uint64_t frontier, const std::string& why) {
  backoff_.reset();
  retry_at_.reset();
  breaker_.fail(now, frontier);
  publish();
  desk_.report({.kind = Report::Kind::kSuspended,
                .sink = share_.name,
                .why = why,
                .lasted = share_.spec.suspend,
                .code = target_code_});
}

void SinkHealth::close(const Answer& answer) {
  note_failure({}, answer.why);
  share_.closed.store(true, std::memory_order_release);
  desk_.closed(share_.name, answer.why);
}

void SinkHealth::note_failure(const std::string& code, const std::string& why) {
  share_.last_failure.with([&](Failure& failure) { failure = {code, why, target_code_}; });
  share_.last_failure_at.set(to_ms(clock_.now()));
}

void SinkHealth::publish() {
  if (suspended()) {
    share_.suspended_until.set(SteadyTime(breaker_.suspended_until()));
  } else {
    share_.suspended_until.clear();
  }
  share_.breaker.store(breaker_.state(), std::memory_order_release);
  share_.in_trouble.store(in_trouble(), std::memory_order_release);
}

}  // namespace natsession
