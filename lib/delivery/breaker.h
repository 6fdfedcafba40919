// Breaker: what follows a target failure: nothing is sent for a while; then, once there is new data, ONE
// batch is sent as a test. If that fails nothing is sent for as long again; if it succeeds delivery goes on.
//
//   kClosed ──target failure──▶ kSuspended ──time is over, new data──▶ kTesting ──taken──▶ kClosed
//                                   ▲                                     │
//                                   └──────────────any failure────────────┘
//
// New data are records that became readable after the last failure. It is asked by a number that only grows,
// the frontier: how much has ever been readable.
//
// Time is steady: a clock that is set changes nothing. No chance enters.
// Threads: one.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

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
    kWaitForData  // until the frontier has moved
  };
  [[nodiscard]] Permit permit(Time now, std::uint64_t frontier) const {
    if (state_ != State::kSuspended) return Permit::kSend;
    if (probe_) return Permit::kTest;
    if (now < until_) return Permit::kWait;
    return frontier > known_ ? Permit::kTest : Permit::kWaitForData;
  }
  void begin_test() {
    state_ = State::kTesting;
    probe_ = false;
  }

  // A target failure, or, while kTesting, any failure. `frontier` as it was before the batch was sent: what
  // became readable since is new.
  void fail(Time now, std::uint64_t frontier) {
    state_ = State::kSuspended;
    until_ = now + suspension_;
    known_ = frontier;
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

}  // namespace natsession
