// SinkRuntime: what the worker of one sink shares with the other threads. SinkStatus, and the others: what
// delivery says of itself when it is asked.
// Threads: stated for each member. Nothing here waits for the sink.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/guarded.h"
#include "base/time.h"
#include "delivery/breaker.h"
#include "delivery/log_consumer.h"
#include "delivery/settings.h"
#include "ledger/compactor.h"
#include "ledger/ledger_writer.h"
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

struct SinkRuntime : ConsumerState {
  explicit SinkRuntime(SinkSpec wanted)
      : ConsumerState(std::string(wanted.sink->name())), spec(std::move(wanted)) {}

  SinkSpec spec;  // constant but for its sink, which is the worker's while it runs

  std::atomic<bool> in_trouble{false};     // written by the worker
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

// As the log's specification names them.
enum class DeliveryState : std::uint8_t {
  kSuccess,
  kModifying,  // enabled or disabled, and what is under way is not finished
  kFailed,     // the last thing that was tried failed
};
[[nodiscard]] std::string_view to_string(DeliveryState state);  // Success Modifying Failed

struct SinkStatus {
  std::string name;
  bool enabled = true;  // as asked for last
  DeliveryState state = DeliveryState::kSuccess;
  // Of the last failure; both stay when it is over. While delivery is suspended the code is
  // UnavailableTarget, and the message begins with the code that led to it.
  std::string code;     // of the specification; empty when the fault has none there
  std::string message;  // empty if there was none
  // The same as the sink said it: ProjectNotExist …, and why.
  std::string last_failure_code;
  std::string last_failure;
  std::optional<UnixMs> last_failure_at;

  std::uint64_t delivered = 0;          // records taken
  std::uint64_t retried = 0;            // tries beyond the first
  std::uint64_t waiting = 0;            // records in the log that are not delivered yet
  std::uint64_t dropped = 0;            // records that this sink missed; a gap record says so in it
  std::uint64_t rejected = 0;           // records that it refused for good
  std::uint64_t dead_lettered = 0;      // of these: kept in the dead-letter file
  std::uint64_t dead_letters_lost = 0;  // did not fit or could not be written, or made room for later ones
  std::optional<std::chrono::milliseconds> oldest_waiting;  // its age
  std::optional<UnixMs> last_delivery;

  Breaker::State breaker = Breaker::State::kClosed;
  std::optional<UnixMs> suspended_until;
  bool in_trouble = false;
  bool lagging = false;
  bool closed = false;
};

// Cheap; waits for no sink. `log` as the sink's reader sees it.
[[nodiscard]] SinkStatus status_of(const SinkRuntime& state, const LogStatus& log, const Clock& clock);

// The code and the message as one text, `CODE: message`.
[[nodiscard]] std::string failure_text(const SinkStatus& status);

struct LedgerDeliveryStatus {
  std::string directory;
  WriterStatus writer;
  LedgerStatus upkeep;
  std::uint64_t queued = 0;    // records in memory that the writer has not taken
  std::uint64_t dropped = 0;   // that found no room there; a gap record in the ledger says so
  std::uint64_t failures = 0;  // how often writing began to fail
};

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
