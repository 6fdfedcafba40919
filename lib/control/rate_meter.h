// RateMeter: how fast a counter grows, over about the last ten seconds.
// Threads: one; or all under one lock.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace natsession {

class RateMeter {
 public:
  static constexpr std::chrono::seconds kStep{1};

  // Told now and then what the counter is; more often than kStep adds nothing.
  void sample(std::chrono::nanoseconds steady, std::uint64_t count) {
    newest_ = {steady, count};
    if (samples_ != 0 && steady - ring_[(samples_ - 1) % ring_.size()].at < kStep) return;
    ring_[samples_++ % ring_.size()] = newest_;
  }

  // Since the oldest sample that is kept, up to the newest.
  [[nodiscard]] double per_second() const {
    if (samples_ == 0) return 0;
    const Sample& oldest = ring_[samples_ < ring_.size() ? 0 : samples_ % ring_.size()];
    const double seconds = std::chrono::duration<double>(newest_.at - oldest.at).count();
    return seconds <= 0
               ? 0
               : static_cast<double>(newest_.count - std::min(oldest.count, newest_.count)) / seconds;
  }

 private:
  struct Sample {
    std::chrono::nanoseconds at{};
    std::uint64_t count = 0;
  };
  std::array<Sample, 11> ring_{};
  std::size_t samples_ = 0;
  Sample newest_;
};

}  // namespace natsession
