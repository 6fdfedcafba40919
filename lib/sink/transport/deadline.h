// Deadline: how much longer an operation on a socket or pipe may wait. Real time: it is handed to poll().
// Threads: a plain value type.
#pragma once

#include <algorithm>
#include <chrono>

#include <poll.h>

namespace natsession {

// A batch that goes on, if slowly, has so many times the patience; then what is done of it is answered.
inline constexpr int kPatienceForAll = 6;

class Deadline {
 public:
  explicit Deadline(std::chrono::nanoseconds limit) : limit_(limit) { restart(); }

  void restart() { end_ = std::chrono::steady_clock::now() + limit_; }
  [[nodiscard]] std::chrono::nanoseconds left() const {
    return std::max(std::chrono::nanoseconds(0),
                    std::chrono::nanoseconds(end_ - std::chrono::steady_clock::now()));
  }
  [[nodiscard]] bool passed() const { return left().count() == 0; }

 private:
  std::chrono::nanoseconds limit_;
  std::chrono::steady_clock::time_point end_;
};

// poll() of one descriptor, to the nanosecond. Returns what came to pass, 0 if nothing did within the limit.
inline short wait_for(int fd, short events, std::chrono::nanoseconds limit) {
  pollfd wait{.fd = fd, .events = events, .revents = 0};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  const timespec time{.tv_sec = seconds.count(), .tv_nsec = (limit - seconds).count()};
  return ::ppoll(&wait, 1, &time, nullptr) > 0 ? wait.revents : short{0};
}

// Growing pauses between two looks at what tells of itself by no event.
class Pauses {
 public:
  [[nodiscard]] std::chrono::nanoseconds next() {
    const auto pause = next_;
    next_ = std::min(next_ * 2, kLongest);
    return pause;
  }
  void restart() { next_ = kShortest; }

 private:
  static constexpr std::chrono::nanoseconds kShortest{50'000};
  static constexpr std::chrono::nanoseconds kLongest{10'000'000};
  std::chrono::nanoseconds next_ = kShortest;
};

}  // namespace natsession
