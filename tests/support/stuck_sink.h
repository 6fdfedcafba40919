// A sink that hangs in deliver() until the test releases it; then it takes everything.
#pragma once

#include <atomic>
#include <memory>

#include "support/capture_sink.h"

namespace natsession::testing {

// Closed at first.
// Threads: any.
class Latch {
 public:
  void release() {
    open_.store(true);
    open_.notify_all();
  }
  void wait() {
    waiters_.fetch_add(1);
    waiters_.notify_all();
    open_.wait(false);
  }
  // Until somebody waits, or has waited.
  void wait_for_a_waiter() const { waiters_.wait(0); }

 private:
  std::atomic<bool> open_{false};
  std::atomic<int> waiters_{0};
};

class StuckSink final : public CaptureSink {
 public:
  StuckSink(std::string name, std::shared_ptr<Capture> capture, std::shared_ptr<Latch> latch)
      : CaptureSink(std::move(name), std::move(capture)), latch_(std::move(latch)) {}

  Answer deliver(std::span<const SessionRecord> records) override {
    latch_->wait();
    return CaptureSink::deliver(records);
  }

 private:
  const std::shared_ptr<Latch> latch_;
};

}  // namespace natsession::testing
