// What delivery says of itself when it is asked.
// Threads: plain value types.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "delivery/breaker.h"
#include "delivery/sink_share.h"
#include "ledger/compactor.h"
#include "ledger/ledger_writer.h"

namespace natsession {

// As the log's specification names them.
enum class DeliveryState : std::uint8_t {
  kSuccess,
  kModifying,  // enabled or disabled, and what is under way is not finished
  kFailed,     // the last thing that was tried failed
};
[[nodiscard]] std::string_view to_string(DeliveryState state);  // Success Modifying Failed

struct SinkStatus {
  std::string name;
  std::string destination;
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
  std::uint64_t waiting = 0;            // records queued, or in the ledger and not delivered yet
  std::uint64_t dropped = 0;            // records that this sink missed; a gap record says so in it
  std::uint64_t rejected = 0;           // records that it refused for good
  std::uint64_t dead_lettered = 0;      // of these: kept in the dead-letter file
  std::uint64_t dead_letters_lost = 0;  // did not fit or could not be written, or made room for later ones
  std::optional<std::chrono::milliseconds> oldest_waiting;  // its age
  std::optional<UnixMs> last_delivery;

  Breaker::State breaker = Breaker::State::kClosed;
  std::optional<UnixMs> suspended_until;
  bool in_trouble = false;
  bool left_behind = false;
  bool closed = false;
};

// Cheap; waits for no sink. `end`: with a ledger, one behind its newest record.
[[nodiscard]] SinkStatus status_of(const SinkShare& share, std::optional<Ordinal> end, const Clock& clock);

// The code and the message as one text, `CODE: message`.
[[nodiscard]] std::string failure_text(const SinkStatus& status);

struct LedgerDeliveryStatus {
  std::string directory;
  WriterStatus writer;
  LedgerStatus keeper;
  std::uint64_t queued = 0;    // records that the writer has not taken
  std::uint64_t dropped = 0;   // that found no room in the queue; a gap record in the ledger says so
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
