// Doorbell: wakes one sleeping thread, and costs no system call while that thread is awake.
//
// The sleeper takes tally(), looks for work, and if there is none sleeps on that tally: a ring in between
// makes sleep() return at once, so none is missed.
// Threads: one sleeper calls sleep(); any thread rings.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace natsession {

class Doorbell {
 public:
  enum class Sleep : std::uint32_t {
    kLight = 1,  // any ring wakes
    kDeep = 2,   // only ring_urgently() wakes: there may be work, but it is too early for it
  };

  void ring();
  void ring_urgently();

  [[nodiscard]] std::uint32_t tally() const { return tally_.load(std::memory_order_seq_cst); }
  // Sleeps until a ring that came after `tally` was taken, or until `limit` has passed. May return early.
  void sleep(std::uint32_t tally, Sleep kind, std::optional<std::chrono::nanoseconds> limit);

 private:
  void wake();

  static constexpr std::uint32_t kAwake = 0;
  std::atomic<std::uint32_t> tally_{0};  // the futex word
  std::atomic<std::uint32_t> sleeper_{kAwake};
};

}  // namespace natsession
