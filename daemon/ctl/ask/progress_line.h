// ProgressLine: how far a long question is, on one line of the terminal; nothing where stderr is none, or
// before the question has taken a while.
// Threads: show() from one at a time, any; the rest from one.
#pragma once

#include <chrono>
#include <functional>

#include "query/scan.h"

namespace natsession::ctl {

class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(const ScanProgress& progress);
  // Before anything else is written.
  void clear();
  [[nodiscard]] std::function<void(const ScanProgress&)> callback();

 private:
  using Clock = std::chrono::steady_clock;
  bool wanted_;
  bool shown_ = false;
  Clock::time_point begun_;
  Clock::time_point next_;
};

}  // namespace natsession::ctl
