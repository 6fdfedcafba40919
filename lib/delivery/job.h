// Job: one thread's work, step by step. Notifier: wakes a thread that sleeps between two steps. RunState:
// what tells all threads to end.
// Threads: stated for each.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace natsession {

// Threads: one sleeps; any notifies, which costs no system call while the other is awake.
class Notifier {
 public:
  enum class Sleep {
    kLight,  // any notice wakes
    kDeep,   // only an urgent one: there may be work, but it is too early for it
  };
  // How many notices there were. Taken before looking for work: then none that comes meanwhile is slept
  // through.
  struct Mark {
    std::uint64_t all = 0;
    std::uint64_t urgent = 0;
  };

  void notify() { add(false); }
  void notify_urgently() { add(true); }

  [[nodiscard]] Mark mark() const { return {all_.load(), urgent_.load()}; }
  // Until there is a notice that `mark` does not count, or `limit` has passed.
  void sleep(Mark mark, Sleep depth, std::optional<std::chrono::nanoseconds> limit) {
    std::unique_lock lock(mutex_);
    const bool deep = depth == Sleep::kDeep;
    // Both sides write first and read second, in one total order: either the notifier sees the sleeper, or
    // the sleeper sees the notice. Each look writes anew: a notifier that was late, with a notice from before
    // the mark, wakes this thread and takes its word back, and the thread goes on sleeping.
    std::atomic<bool>& asleep = deep ? sleeps_deeply_ : sleeps_;
    const auto woken = [&] {
      asleep.store(true);
      return urgent_.load() != mark.urgent || (!deep && all_.load() != mark.all);
    };
    if (limit) {
      wake_.wait_for(lock, *limit, woken);
    } else {
      wake_.wait(lock, woken);
    }
    sleeps_.store(false);
    sleeps_deeply_.store(false);
  }

 private:
  void add(bool urgent) {
    all_.fetch_add(1);
    if (urgent) urgent_.fetch_add(1);
    if (!sleeps_.load() && !(urgent && sleeps_deeply_.load())) return;
    const std::lock_guard lock(mutex_);
    wake_.notify_one();
    sleeps_.store(false);  // until the sleeper has run, further notices need not wake it
  }

  std::atomic<std::uint64_t> all_{0};
  std::atomic<std::uint64_t> urgent_{0};
  std::atomic<bool> sleeps_{false};
  std::atomic<bool> sleeps_deeply_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
};

// What a step says of how its thread may go on. A plain value.
struct Turn {
  enum class Kind { kStep, kSleep, kDone };
  Kind kind = Kind::kStep;
  Notifier::Sleep depth = Notifier::Sleep::kLight;     // kSleep only
  std::optional<std::chrono::nanoseconds> limit = {};  // likewise
};

// step() again and again, asleep on the notifier in between as it says.
struct Job {
  std::string name;
  std::function<Turn()> step;
  Notifier* notifier = nullptr;
  std::atomic<bool>* finished = nullptr;  // false while a thread is on it; set as its last act
  bool in_background = false;             // whatever else runs goes first
};

// How a run ends. Written by the thread that stops it, and `log_complete` by the ledger's writer, where there
// is one.
struct RunState {
  std::atomic<bool> stopping{false};      // nothing comes any more: deliver what there is, then finish
  std::atomic<bool> abandoned{false};     // time is up: begin nothing more
  std::atomic<bool> log_complete{false};  // all that the collectors emitted can be read by the sinks
};

}  // namespace natsession
