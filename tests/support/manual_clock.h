// A clock that moves when a test says so.
#pragma once

#include "base/time.h"

namespace natsession::testing {

class ManualClock final : public Clock {
 public:
  explicit ManualClock(UnixNs start) : now_(start) {}
  [[nodiscard]] UnixNs now() const override { return now_; }
  [[nodiscard]] std::chrono::nanoseconds steady() const override { return steady_; }

  void advance(std::chrono::nanoseconds step) {
    now_ += step;
    steady_ += step;
  }
  // The wall clock is set; steady time does not notice.
  void step_to(UnixNs now) { now_ = now; }

 private:
  UnixNs now_;
  std::chrono::nanoseconds steady_{};
};

}  // namespace natsession::testing
