// When a sink is tried again. Backoff: after a passing fault.
// Breaker: what follows a target failure: nothing is sent for a while; then, once there is new data, ONE
// batch is sent as a test. If that fails nothing is sent for as long again; if it succeeds delivery goes on.
//
//   kClosed ──target failure──▶ kSuspended ──time is over, new data──▶ kTesting ──taken──▶ kClosed
//                                   ▲                                     │
//                                   └──────────────any failure────────────┘
//
// New data are records that became readable after the last failure. It is asked by a number that only grows,
// the high watermark: how much has ever been readable.
//
// Time is steady: a clock that is set changes nothing. No chance enters.
// Threads: one.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <random>

namespace natsession {

class Breaker {
 public:
  enum class State : std::uint8_t { kClosed, kSuspended, kTesting };
  using Time = std::chrono::nanoseconds;  // steady

  explicit Breaker(Time suspension) : suspension_(suspension) {}

  [[nodiscard]] State state() const { return state_; }
  // Until then nothing is sent. Only while kSuspended.
  [[nodiscard]] Time suspended_until() const { return until_; }

  // What a sender may do now. While kTesting one batch is under way, and its outcome comes first.
  enum class Permit {
    kSend,
    kTest,        // send one batch; begin_test() is called for it
    kWait,        // until suspended_until()
    kWaitForData  // until the high watermark has moved
  };
  [[nodiscard]] Permit permit(Time now, std::uint64_t high_watermark) const {
    if (state_ != State::kSuspended) return Permit::kSend;
    if (probe_) return Permit::kTest;
    if (now < until_) return Permit::kWait;
    return high_watermark > known_ ? Permit::kTest : Permit::kWaitForData;
  }
  void begin_test() {
    state_ = State::kTesting;
    probe_ = false;
  }

  // A target failure, or, while kTesting, any failure. `high_watermark` as it was before the batch was sent:
  // what became readable since is new.
  void fail(Time now, std::uint64_t high_watermark) {
    state_ = State::kSuspended;
    until_ = now + suspension_;
    known_ = high_watermark;
    probe_ = false;
  }
  void succeed() {
    state_ = State::kClosed;
    probe_ = false;
  }
  // Somebody has changed something (reopened, enabled again), or there will be no later: the next batch is
  // the test, whatever the time and however old its data.
  void probe() { probe_ = state_ == State::kSuspended; }

 private:
  const Time suspension_;
  State state_ = State::kClosed;
  Time until_{};
  std::uint64_t known_ = 0;
  bool probe_ = false;
};

// Doubling, with a limit, and spread by chance so that many sinks that failed together do not come back
// together.
class Backoff {
 public:
  Backoff(std::chrono::nanoseconds first, std::chrono::nanoseconds limit, std::uint32_t seed)
      : first_(first), limit_(limit), next_(first), random_(seed) {}

  // Between half and the whole of the present step; the next step is twice as long.
  [[nodiscard]] std::chrono::nanoseconds next() {
    const std::chrono::nanoseconds step = next_;
    next_ = std::min(limit_, step * 2);
    std::uniform_int_distribution<std::int64_t> chance(step.count() / 2, step.count());
    return std::chrono::nanoseconds(chance(random_));
  }
  void reset() { next_ = first_; }

 private:
  std::chrono::nanoseconds first_;
  std::chrono::nanoseconds limit_;
  std::chrono::nanoseconds next_;
  std::minstd_rand random_;
};

}  // namespace natsession
