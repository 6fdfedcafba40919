// SinkShare: what the worker of one sink shares with the producers, the other workers and the status.
// Threads: stated for each member. Nothing here waits for the sink.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "base/guarded.h"
#include "base/time.h"
#include "delivery/breaker.h"
#include "delivery/lane.h"
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

struct SinkShare : Receiver {
  explicit SinkShare(SinkSpec wanted)
      : Receiver(std::string(wanted.sink->name())),
        spec(std::move(wanted)),
        enabled_wanted(spec.enabled),
        disabled(!spec.enabled) {}

  // Records that this sink missed.
  [[nodiscard]] std::uint64_t dropped() const { return missed.value() + kept_from_it(); }

  SinkSpec spec;  // constant but for its sink, which is the worker's while it runs

  std::atomic<bool> in_trouble{false};     // written by the worker
  std::atomic<bool> finished{true};        // false while a thread works for it; set as its last act
  std::atomic<bool> reopen_wanted{false};  // any thread asks, the worker answers
  std::atomic<bool> enabled_wanted;        // any thread asks
  std::atomic<bool> disabled;              // and the worker complies
  std::atomic<Breaker::State> breaker{Breaker::State::kClosed};  // these are written by the worker
  std::atomic<std::uint64_t> position{0};  // with a ledger: the ordinal of the record to deliver next
  SharedMoment<UnixMs> oldest_waiting;     // the end of the first record that is not delivered
  SharedMoment<UnixMs> last_delivery;
  SharedMoment<UnixMs> last_failure_at;
  // Steady, so that a clock that is set does not move it.
  SharedMoment<SteadyTime> suspended_until;

  Counter delivered;          // records; the counters are written by the worker
  Counter retried;            // how often a rest was offered again
  Counter rejected;           // records
  Counter dead_lettered;      // of these: in the dead-letter file
  Counter dead_letters_lost;  // of these: that did not fit or could not be written, or made room since
  Counter missed;             // while it was disabled or closed, or not in the ledger any more
  Guarded<Failure> last_failure;
};

}  // namespace natsession
