#include "delivery/sink_state.h"

#include <algorithm>

namespace natsession {
namespace {

// The specification's name for "delivery is suspended after one of the others".
constexpr std::string_view kUnavailableTarget = "UnavailableTarget";

void add_failure(SinkStatus& status, const Failure& failure) {
  status.code = failure.code;
  status.message = failure.why;
  status.last_failure_code = failure.code;
  status.last_failure = failure.why;
  if (status.breaker == Breaker::State::kClosed) return;
  status.code = kUnavailableTarget;
  status.message = "delivery is suspended after " + failure.suspended_by + ": " + failure.why;
}

DeliveryState state_of(const SinkStatus& status, bool changing) {
  if (changing) return DeliveryState::kModifying;
  return status.in_trouble || status.closed || status.lagging ? DeliveryState::kFailed
                                                              : DeliveryState::kSuccess;
}

}  // namespace

std::string_view to_string(DeliveryState state) {
  switch (state) {
    case DeliveryState::kSuccess:
      return "Success";
    case DeliveryState::kModifying:
      return "Modifying";
    case DeliveryState::kFailed:
      return "Failed";
  }
  return {};
}

SinkStatus status_of(const SinkRuntime& state, const LogStatus& log, const Clock& clock) {
  SinkStatus status;
  status.name = state.name;
  status.enabled = state.enabled_wanted.load(std::memory_order_acquire);
  status.breaker = state.breaker.load(std::memory_order_acquire);
  status.in_trouble = state.in_trouble.load(std::memory_order_acquire);
  status.lagging = log.lagging;
  status.closed = state.closed.load(std::memory_order_acquire);
  status.state = state_of(status, status.enabled == state.disabled.load(std::memory_order_acquire));
  state.last_failure.with([&](const Failure& failure) { add_failure(status, failure); });
  status.last_failure_at = state.last_failure_at.get();

  status.delivered = state.delivered.value();
  status.retried = state.retried.value();
  status.dropped = state.dropped(log);
  status.rejected = state.rejected.value();
  status.dead_lettered = state.dead_lettered.value();
  status.dead_letters_lost = state.dead_letters_lost.value();
  status.waiting = state.waiting(log);

  const UnixMs now = to_ms(clock.now());
  if (const auto oldest = state.oldest_waiting.get(); oldest && status.waiting > 0) {
    status.oldest_waiting = std::max(now - *oldest, std::chrono::milliseconds::zero());
  }
  status.last_delivery = state.last_delivery.get();
  if (const auto until = state.suspended_until.get()) {
    const auto rest = std::max(until->time_since_epoch() - clock.steady(), std::chrono::nanoseconds::zero());
    status.suspended_until = now + std::chrono::ceil<std::chrono::milliseconds>(rest);
  }
  return status;
}

std::string failure_text(const SinkStatus& status) {
  return status.code.empty() ? status.message : status.code + ": " + status.message;
}

bool Drained::any_hung() const {
  const auto hung = [](const Undelivered& entry) { return entry.hung; };
  return std::any_of(undelivered.begin(), undelivered.end(), hung) ||
         std::any_of(kept.begin(), kept.end(), hung);
}

}  // namespace natsession
