// SinkState: what the worker of one sink shares with the other threads, and what is told of it.
// Threads: stated for each member. Nothing here waits for the sink.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/guarded.h"
#include "base/time.h"
#include "delivery/breaker.h"
#include "delivery/delivery_report.h"
#include "delivery/log_consumer.h"
#include "delivery/settings.h"
#include "sink/sink.h"

namespace natsession {

// A moment that one thread tells and any reads; or none.
template <typename Moment>
class SharedMoment {
 public:
  void set(Moment moment) { ticks_.store(ticks(moment), std::memory_order_release); }
  void clear() { ticks_.store(kNone, std::memory_order_release); }
  [[nodiscard]] std::optional<Moment> get() const {
    const std::int64_t value = ticks_.load(std::memory_order_acquire);
    if (value == kNone) return std::nullopt;
    return Moment(typename Moment::duration(value));
  }

 private:
  static std::int64_t ticks(Moment moment) { return moment.time_since_epoch().count(); }
  static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::min();
  std::atomic<std::int64_t> ticks_{kNone};
};

// A code of the specification, or none for a fault that has no code there; and what happened, for people.
struct Failure {
  std::string code;
  std::string why;
  std::string suspended_by;  // the code of the last target failure
};

using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

struct SinkState : ConsumerState {
  explicit SinkState(SinkSpec wanted)
      : ConsumerState(std::string(wanted.sink->name())),
        flow_counts(wanted.sink->flow_counts()),
        spec(std::move(wanted)) {}

  const std::shared_ptr<const FlowCounts> flow_counts;  // null: it is no flow log
  SinkSpec spec;  // constant but for its sink, which is the worker's while it runs

  std::atomic<bool> in_trouble{false};     // written by the worker
  std::atomic<bool> tried{false};          // likewise: it was offered something in this run
  std::atomic<bool> refusing{false};       // likewise: of what it was offered last it took nothing, for good
  std::atomic<bool> finished{true};        // false while a thread works for it; set as its last act
  std::atomic<bool> reopen_wanted{false};  // any thread asks, the worker answers
  std::atomic<bool> closed{false};         // by the worker: it takes nothing any more
  std::atomic<bool> enabled_wanted{true};  // any thread asks
  std::atomic<bool> disabled{false};       // and the worker complies
  std::atomic<Breaker::State> breaker{Breaker::State::kClosed};  // these are written by the worker
  SharedMoment<UnixMs> oldest_waiting;  // the end of the first record that is not delivered
  SharedMoment<UnixMs> last_delivery;
  SharedMoment<UnixMs> last_failure_at;
  // Steady, so that a clock that is set does not move it.
  SharedMoment<SteadyTime> suspended_until;

  Counter delivered;          // records; the counters are written by the worker
  Counter retried;            // how often a rest was offered again
  Counter rejected;           // records
  Counter dead_lettered;      // of these: in the dead-letter file
  Counter dead_letters_lost;  // of these: that did not fit or could not be written, or made room since
  Guarded<Failure> last_failure;
};

// Cheap; waits for no sink. `log` as the sink's reader sees it.
[[nodiscard]] SinkReport report_of(const SinkState& state, const LogStatus& log, const Clock& clock);

// How drain_and_stop() went.
struct Drained {
  struct Undelivered {
    std::string sink;           // or "ledger DIR": records that could not be written there
    std::uint64_t records = 0;  // that it had not taken
    bool hung = false;          // its thread did not come back and was left to itself
  };
  std::vector<Undelivered> undelivered;  // lost; empty if nothing was
  // With a ledger: what waits there for the next start. That is no failure.
  std::vector<Undelivered> kept;

  // A thread was left to itself: the program must end by _exit().
  [[nodiscard]] bool any_hung() const;
  explicit operator bool() const { return undelivered.empty(); }
};

}  // namespace natsession
