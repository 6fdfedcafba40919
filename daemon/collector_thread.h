// CollectorThread: one namespace's source, tracker and collector, and the thread that turns them. It waits where the
// collector says so, and for nothing else.
// Threads: start() and join() on the thread that made it; the others from any.
#pragma once

#include <atomic>
#include <optional>
#include <thread>

#include "base/guarded.h"
#include "conntrack/conntrack_source.h"
#include "delivery/producer.h"
#include "session/collector.h"
#include "session/state_file.h"
#include "wake_fd.h"

namespace natsession {

// What the collector has seen so far, as of a moment ago.
struct CollectorStatus {
  std::atomic<std::uint64_t> live{0};
  std::atomic<std::uint64_t> records{0};
  std::atomic<std::uint64_t> events_lost{0};
  std::atomic<std::uint64_t> events_delayed{0};
  std::atomic<std::uint64_t> guard_trips{0};
  std::atomic<std::uint64_t> vanished{0};
  std::atomic<std::uint64_t> not_followed{0};
  std::atomic<std::uint64_t> malformed{0};
  std::atomic<std::uint64_t> passes_failed{0};
};

class CollectorThread {
 public:
  enum class State { kStarting, kReady, kDone, kFailed };

  // All references outlive the thread and every record. `notice` is woken when the state changes. `netns` is how the
  // namespace is called in messages; empty for the daemon's own.
  CollectorThread(std::string netns, std::unique_ptr<ConntrackSource> source, const TrackerSettings& tracking,
                  const CollectorSettings& collecting, const Origin& origin, const VpcMap& vpcs, Producer& output,
                  const Clock& clock, WakeFd& notice);
  ~CollectorThread();  // aborts, if it still runs

  // Before start(): what a predecessor left, and the time in between as a gap.
  void restore(const SessionState& state);
  // Errors: no thread could be had.
  Result<void> start();

  void request_close();
  void request_stop();
  // Ends the thread at once, whatever is still to be written.
  void request_abort();
  // Records from now on carry these; they outlive every record.
  void relabel(const Origin& origin, const VpcMap& vpcs);
  void join();
  // After join(): hands on what was emitted last.
  void finish_output() { output_.finish(); }

  [[nodiscard]] const std::string& netns() const { return netns_; }
  [[nodiscard]] State state() const { return state_.load(std::memory_order_acquire); }
  [[nodiscard]] std::optional<Error> error() const;
  [[nodiscard]] const CollectorStatus& status() const { return status_; }

  // After join().
  Result<void> save_state(const std::string& path, std::string_view boot_id);

 private:
  struct Labels {
    const Origin* origin;
    const VpcMap* vpcs;
  };

  void run();
  State take_turns();
  void wait(Collector::Pace pace);
  void publish();
  void change_state(State state);

  const std::string netns_;
  const Clock& clock_;
  WakeFd& notice_;
  WakeFd wake_;
  std::unique_ptr<ConntrackSource> source_;  // closed when the thread ends; collector_ must not be turned after that
  Producer& output_;
  Tracker tracker_;
  Collector collector_;
  std::chrono::nanoseconds flushed_at_{};
  std::thread thread_;
  std::atomic<State> state_{State::kStarting};
  std::atomic<bool> abort_{false};
  std::atomic<bool> relabelled_{false};
  Guarded<Labels> labels_;
  Guarded<std::optional<Error>> error_;
  CollectorStatus status_;
};

}  // namespace natsession
