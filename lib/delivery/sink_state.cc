#include "delivery/sink_state.h"

#include <algorithm>

namespace natsession {
namespace {

// The specification's name for "delivery is suspended after one of the others".
constexpr std::string_view kUnavailableTarget = "UnavailableTarget";

void add_failure(SinkReport& report, const Failure& failure) {
  report.code = failure.code;
  report.message = failure.why;
  report.last_failure_code = failure.code;
  report.last_failure = failure.why;
  if (report.breaker == Breaker::State::kClosed) return;
  report.code = kUnavailableTarget;
  report.message = "delivery is suspended after " + failure.suspended_by + ": " + failure.why;
}

DeliveryState state_of(const SinkState& state, const SinkReport& report) {
  if (report.enabled == state.disabled.load(std::memory_order_acquire)) return DeliveryState::kModifying;
  const bool refusing = state.refusing.load(std::memory_order_acquire);
  if (report.in_trouble || report.closed || report.lagging || refusing) return DeliveryState::kFailed;
  return state.tried.load(std::memory_order_acquire) ? DeliveryState::kSuccess : DeliveryState::kModifying;
}

}  // namespace

SinkReport report_of(const SinkState& state, const LogStatus& log, const Clock& clock) {
  SinkReport report;
  report.name = state.name;
  report.enabled = state.enabled_wanted.load(std::memory_order_acquire);
  report.breaker = state.breaker.load(std::memory_order_acquire);
  report.in_trouble = state.in_trouble.load(std::memory_order_acquire);
  report.lagging = log.lagging;
  report.closed = state.closed.load(std::memory_order_acquire);
  report.state = state_of(state, report);
  state.last_failure.with([&](const Failure& failure) { add_failure(report, failure); });
  report.last_failure_at = state.last_failure_at.get();

  report.delivered = state.delivered.value();
  report.retried = state.retried.value();
  report.dropped = state.dropped(log);
  report.rejected = state.rejected.value();
  report.dead_lettered = state.dead_lettered.value();
  report.dead_letters_lost = state.dead_letters_lost.value();
  report.waiting = state.waiting(log);

  const UnixMs now = to_ms(clock.now());
  if (const auto oldest = state.oldest_waiting.get(); oldest && report.waiting > 0) {
    report.oldest_waiting = std::max(now - *oldest, std::chrono::milliseconds::zero());
  }
  report.last_delivery = state.last_delivery.get();
  if (const auto until = state.suspended_until.get()) {
    const auto rest = std::max(until->time_since_epoch() - clock.steady(), std::chrono::nanoseconds::zero());
    report.suspended_until = now + std::chrono::ceil<std::chrono::milliseconds>(rest);
  }
  if (const FlowCounts* const counts = state.flow_counts.get()) {
    report.no_data = counts->no_data.load(std::memory_order_relaxed);
    report.skipped = counts->skipped.load(std::memory_order_relaxed);
    report.left_out = counts->left_out.load(std::memory_order_relaxed);
  }
  return report;
}

bool Drained::any_hung() const {
  const auto hung = [](const Undelivered& entry) { return entry.hung; };
  return std::any_of(undelivered.begin(), undelivered.end(), hung) ||
         std::any_of(kept.begin(), kept.end(), hung);
}

}  // namespace natsession
