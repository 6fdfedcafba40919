#include "delivery/status.h"

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
  return status.in_trouble || status.closed || status.left_behind ? DeliveryState::kFailed
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

SinkStatus status_of(const SinkShare& share, std::optional<Ordinal> end, const Clock& clock) {
  SinkStatus status;
  status.name = share.name;
  status.destination = share.spec.destination.empty() ? share.name : share.spec.destination;
  status.enabled = share.enabled_wanted.load(std::memory_order_acquire);
  status.breaker = share.breaker.load(std::memory_order_acquire);
  status.in_trouble = share.in_trouble.load(std::memory_order_acquire);
  status.left_behind = share.lanes_behind.load(std::memory_order_acquire) != 0;
  status.closed = share.closed.load(std::memory_order_acquire);
  status.state = state_of(status, status.enabled == share.disabled.load(std::memory_order_acquire));
  share.last_failure.with([&](const Failure& failure) { add_failure(status, failure); });
  status.last_failure_at = share.last_failure_at.get();

  status.delivered = share.delivered.value();
  status.retried = share.retried.value();
  status.dropped = share.dropped();
  status.rejected = share.rejected.value();
  status.dead_lettered = share.dead_lettered.value();
  status.dead_letters_lost = share.dead_letters_lost.value();
  status.waiting = share.queued();
  if (end) {
    const Ordinal position = share.position.load(std::memory_order_acquire);
    status.waiting = *end > position ? *end - position : 0;
  }

  const UnixMs now = to_ms(clock.now());
  if (const auto oldest = share.oldest_waiting.get(); oldest && status.waiting > 0) {
    status.oldest_waiting = std::max(now - *oldest, std::chrono::milliseconds::zero());
  }
  status.last_delivery = share.last_delivery.get();
  if (const auto until = share.suspended_until.get()) {
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
