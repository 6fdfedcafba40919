// A clock that moves when a test says so.
#pragma once

#include "base/time.h"

namespace natsession::testing {

class ManualClock final : public Clock {
 public:
  explicit ManualClock(UnixNs start) : now_(start) {}
  [[nodiscard]] UnixNs now() const override { return now_; }
  [[nodiscard]] std::chrono::nanoseconds steady() const override { return steady_; }
  [[nodiscard]] BootTime boot() const override {
    return {"boot " + std::to_string(boots_), steady_ - booted_};
  }
  [[nodiscard]] bool synchronised() const override { return synchronised_; }

  void advance(std::chrono::nanoseconds step) {
    now_ += step;
    steady_ += step;
  }
  // The wall clock is set; steady time does not notice.
  void step_to(UnixNs now) { now_ = now; }
  // The machine is booted again.
  void reboot() {
    ++boots_;
    booted_ = steady_;
  }
  void synchronise(bool synchronised) { synchronised_ = synchronised; }

 private:
  UnixNs now_;
  std::chrono::nanoseconds steady_{};
  std::chrono::nanoseconds booted_{};
  int boots_ = 1;
  bool synchronised_ = false;
};

}  // namespace natsession::testing
