// Backoff: how long to wait before the next try: doubling, with a limit, and spread by chance so that many
// sinks that failed together do not come back together.
// Threads: one.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace natsession {

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
