// PortCounter: a PortSweep on a thread of its own, so that the next frames are read meanwhile. It gets the
// uses of ports a batch at a time, in any order within it; none ends behind one of an earlier batch.
// Memory: kMostWaiting batches.
// Threads: one, the owner's.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <limits>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include "query/port_sweep.h"

namespace natsession {

template <typename Offset>
class PortCounter {
 public:
  static constexpr std::uint16_t kNobody = UINT16_MAX;
  static constexpr std::size_t kMostWaiting = 4;

  struct Use {
    Offset begin = 0;
    Offset end = 0;
    std::uint16_t port = 0;
    std::uint16_t key = kNobody;  // of the sweep's users, or kNobody; likewise
    std::uint16_t peer = kNobody;
  };

  // `apart`: on another thread; else give() counts.
  PortCounter(const PointGrid& grid, Offset behind, bool apart) : sweep_(grid, behind) {
    if (apart) thread_ = std::thread([this] { work(); });
  }
  ~PortCounter() { end_thread(); }
  PortCounter(const PortCounter&) = delete;
  PortCounter& operator=(const PortCounter&) = delete;

  // Takes the uses, and leaves an empty vector. The sweep has so many users then.
  void give(std::vector<Use>& uses, std::uint16_t users) {
    if (!thread_.joinable()) {
      count({std::move(uses), users});
      uses.clear();
      return;
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_.size() < kMostWaiting; });
    waiting_.push_back({std::move(uses), users});
    uses.clear();
    if (!spare_.empty()) {
      uses = std::move(spare_.back());
      spare_.pop_back();
    }
    changed_.notify_all();
  }

  // All have been given; they are counted when this returns.
  void finish() {
    end_thread();
    sweep_.finish();
  }
  // Once it is finished.
  [[nodiscard]] const PortSweep<Offset>& sweep() const { return sweep_; }

 private:
  struct Batch {
    std::vector<Use> uses;
    std::uint16_t users = 0;
  };

  void end_thread() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return ended_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      Batch batch = std::move(waiting_.front());
      waiting_.pop_front();
      changed_.notify_all();
      lock.unlock();
      batch = count(std::move(batch));
      lock.lock();
      spare_.push_back(std::move(batch.uses));
    }
  }

  // Returns the batch, empty.
  Batch count(Batch batch) {
    while (sweep_.users() < batch.users) sweep_.add_user();
    sort(batch.uses);
    constexpr std::size_t kAhead = 12;
    for (std::size_t i = 0; i < batch.uses.size(); ++i) {
      if (i + kAhead < batch.uses.size() && batch.uses[i + kAhead].key != kNobody)
        sweep_.expect(batch.uses[i + kAhead].key, batch.uses[i + kAhead].port);
      const Use& use = batch.uses[i];
      if (use.key != kNobody) sweep_.add(use.key, use.port, use.begin, use.end);
      if (use.peer != kNobody) sweep_.add(use.peer, use.port, use.begin, use.end);
    }
    batch.uses.clear();
    return batch;
  }

  // The latest end first. Ends of a frame lie near one another: digits of 11 bits need few rounds.
  void sort(std::vector<Use>& uses) {
    if (uses.empty()) return;
    const auto [least, most] = std::minmax_element(uses.begin(), uses.end(),
                                                   [](const Use& a, const Use& b) { return a.end < b.end; });
    const Offset latest = most->end;
    const Offset range = latest - least->end;
    constexpr unsigned kBits = 11;
    constexpr std::size_t kDigits = std::size_t{1} << kBits;
    other_.resize(uses.size());
    for (unsigned shift = 0; shift < std::numeric_limits<Offset>::digits && range >> shift != 0;
         shift += kBits) {
      const auto digit_of = [&](const Use& use) { return (latest - use.end) >> shift & (kDigits - 1); };
      places_.assign(kDigits, 0);
      for (const Use& use : uses) ++places_[digit_of(use)];
      std::exclusive_scan(places_.begin(), places_.end(), places_.begin(), 0U);
      for (const Use& use : uses) other_[places_[digit_of(use)]++] = use;
      uses.swap(other_);
    }
  }

  PortSweep<Offset> sweep_;  // the thread's, until it has ended
  std::vector<Use> other_;   // likewise
  std::vector<std::uint32_t> places_;

  std::mutex mutex_;  // of what follows, up to the thread
  std::deque<Batch> waiting_;
  std::vector<std::vector<Use>> spare_;
  bool ended_ = false;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace natsession
