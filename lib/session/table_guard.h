// TableGuard: decides when reliable mode goes off so that the conntrack table cannot fill. In reliable mode
// the kernel keeps every flow whose DESTROY it could not queue, and such flows count against
// nf_conntrack_max; a full table drops new connections. Forwarding comes before logging.
// Threads: one. A plain state machine: it is told what is, and says what to do.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "session/settings.h"

namespace natsession {

struct TableUsage {
  std::uint64_t count = 0;  // nf_conntrack_count of the watched namespace
  std::uint64_t max = 0;    // nf_conntrack_max; 0: no limit

  // A table that nobody can look at is taken for a full one, so that it cannot fill unseen.
  [[nodiscard]] static TableUsage not_known() { return {1, 1}; }
};

class TableGuard {
 public:
  // Goes off above `off_percent` of the table, and on again below three quarters of that (80 and 60 by
  // default).
  TableGuard(ReliableMode mode, unsigned off_percent)
      : mode_(mode),
        off_percent_(off_percent),
        on_percent_(off_percent * 3 / 4),
        reliable_(mode != ReliableMode::kOff) {}

  // Whether the socket is to be in reliable mode, now that the table is so full. `delaying`: DESTROY events
  // did not fit since the queue was last empty; a table that is full of live flows is not this logger's
  // doing.
  bool decide(const TableUsage& usage, bool delaying) {
    if (mode_ != ReliableMode::kAuto || usage.max == 0) return reliable_;
    const std::uint64_t filled = usage.count * 100;
    if (reliable_ && delaying && filled > usage.max * off_percent_) reliable_ = false;
    if (!reliable_ && filled < usage.max * on_percent_) reliable_ = true;
    return reliable_;
  }
  // Somebody else has decided so, by the same rule.
  void went_off() { reliable_ = false; }
  [[nodiscard]] bool reliable() const { return reliable_; }
  // Only in kAuto is the table worth looking at.
  [[nodiscard]] bool watches() const { return mode_ == ReliableMode::kAuto; }

 private:
  ReliableMode mode_;
  unsigned off_percent_;
  unsigned on_percent_;
  bool reliable_;
};

// Pulse: one word in memory that a collector shares with a guard outside of its process. By it the guard sees
// that the collector lives, and the collector that the guard has turned reliable mode off in its stead. The
// guard claims the word before it does so: a collector that goes on just then knows of it before it takes
// what it has lost for delayed.
// Threads: beat() and is_settled() the collector's; the others, the guard's; of any processes.
class Pulse {
 public:
  // I am here. How many events had not fitted when the guard turned reliable mode off, if it did since the
  // last call, or is about to.
  std::optional<std::uint64_t> beat() {
    std::uint64_t seen = word_.load(std::memory_order_acquire);
    while (seen >= kAlive) {
      if (word_.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) return std::nullopt;
    }
    const std::uint64_t dropped = dropped_.load(std::memory_order_relaxed);
    if (seen == kCleared) word_.store(kAlive, std::memory_order_release);
    return dropped;
  }
  // False while the guard is about to turn it off: turned on now, it would not stay so.
  [[nodiscard]] bool is_settled() const { return word_.load(std::memory_order_acquire) != kClearing; }

  // Another value, if the collector has come by in between.
  [[nodiscard]] std::uint64_t last_beat() const { return word_.load(std::memory_order_acquire); }
  // True if the collector has not come by since `beat`, and the guard may turn reliable mode off; then it
  // says when it has. `dropped`: how many events have not fitted so far.
  bool begin_clearing(std::uint64_t beat, std::uint64_t dropped) {
    if (beat < kAlive) return false;
    dropped_.store(dropped, std::memory_order_relaxed);
    return word_.compare_exchange_strong(beat, kClearing, std::memory_order_acq_rel);
  }
  void cleared() {
    std::uint64_t seen = kClearing;
    word_.compare_exchange_strong(seen, kCleared, std::memory_order_acq_rel);
  }

 private:
  static constexpr std::uint64_t kClearing = 0;  // the guard's, until it says kCleared
  static constexpr std::uint64_t kCleared = 1;   // until the collector comes by
  static constexpr std::uint64_t kAlive = 2;     // and above: counts the collector's beats
  static_assert(
      std::atomic<std::uint64_t>::is_always_lock_free);  // else it would be no one's in another process

  alignas(64) std::atomic<std::uint64_t> word_{kAlive};
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace natsession
