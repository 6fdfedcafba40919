// Status: what the daemon says of itself when it is asked: logging, collectors, sinks, the ledger. What a
// field means is told to users in natsessionctl(8) and in the HELP of each metric.
// Threads: plain value types.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "net/ip_address.h"
#include "record/session_record.h"

namespace natsession {

struct EventCounts {
  std::uint64_t added = 0;  // NEW
  std::uint64_t updated = 0;
  std::uint64_t destroyed = 0;
  [[nodiscard]] std::uint64_t total() const { return added + updated + destroyed; }
  friend bool operator==(const EventCounts&, const EventCounts&) = default;
};

struct RecordCounts {
  std::uint64_t starts = 0;
  std::uint64_t interims = 0;
  std::uint64_t ends = 0;
  std::uint64_t gaps = 0;
  [[nodiscard]] std::uint64_t total() const { return starts + interims + ends + gaps; }
  friend bool operator==(const RecordCounts&, const RecordCounts&) = default;
};

// One network namespace. Counters are since the daemon's start.
struct CollectorReport {
  std::string netns;           // empty: the daemon's own
  bool ready = false;          // every session that was there at the start is known
  bool reliable = false;       // reliable mode is on at this moment
  bool guard_tripped = false;  // it is off because the conntrack table was filling
  std::uint64_t live = 0;      // sessions that are followed
  EventCounts events;
  RecordCounts records;
  double events_per_second = 0;
  double records_per_second = 0;
  std::uint64_t events_delayed = 0;
  std::uint64_t events_lost = 0;
  std::uint64_t gaps = 0;
  std::uint64_t guard_trips = 0;
  std::uint64_t vanished = 0;
  std::uint64_t not_followed = 0;
  std::uint64_t malformed = 0;
  std::uint64_t dumps_failed = 0;
  std::uint64_t receive_buffer_bytes = 0;  // as granted
  friend bool operator==(const CollectorReport&, const CollectorReport&) = default;
};

// As the log's specification names them (Delivery).
enum class SinkState : std::uint8_t {
  kSuccess,
  kModifying,  // enabled, disabled or reconfigured, and not yet settled
  kFailed,
};
[[nodiscard]] std::string_view to_string(SinkState state);

struct SinkReport {
  std::string name;         // by which it is enabled and disabled; no two are alike
  std::string destination;  // without credentials
  bool enabled = true;
  SinkState state = SinkState::kSuccess;
  std::string code;     // of the last failure; may be empty when there is a message
  std::string message;  // likewise; stays after recovery, `state` says how it is now
  std::optional<UnixMs> last_failure_at;
  std::uint64_t delivered = 0;  // records
  std::uint64_t retried = 0;    // tries beyond the first
  std::uint64_t waiting = 0;
  std::uint64_t dropped = 0;   // records that it missed; a gap record says so in it
  std::uint64_t rejected = 0;  // records that it refused for good
  std::optional<std::chrono::milliseconds> oldest_waiting;  // age; nullopt when nothing waits
  std::optional<UnixMs> suspended_until;                    // the breaker is open
  friend bool operator==(const SinkReport&, const SinkReport&) = default;
};

struct LedgerReport {
  std::string directory;  // absolute
  std::uint64_t bytes = 0;
  std::uint64_t limit_bytes = 0;
  std::uint64_t segments = 0;
  std::uint64_t sealed_segments = 0;
  std::uint64_t records = 0;     // that are in it now
  std::optional<UnixMs> oldest;  // end of the oldest record
  std::chrono::milliseconds retention{};
  std::uint64_t appended = 0;         // records, since the start
  std::uint64_t pending = 0;          // records in memory that are not in a frame yet
  std::uint64_t append_failures = 0;  // how often writing failed
  std::uint64_t dropped = 0;          // records that found no room in memory either; a gap record says so
  std::uint64_t deleted_segments = 0;
  std::uint64_t deleted_unread_records = 0;  // by the byte limit, before a sink had read them
  std::uint64_t damaged_frames = 0;
  std::string failure;         // why nothing can be written now; empty when all is well
  std::string upkeep_failure;  // why segments are not sealed or deleted as they should be; likewise
  friend bool operator==(const LedgerReport&, const LedgerReport&) = default;
};

struct Status {
  std::string version;
  std::string build;  // compiler and kind of build
  UnixMs started;
  UnixMs now;           // when this was told
  bool logging = true;  // false: disabled on request, nothing is subscribed
  std::vector<CollectorReport> collectors;
  std::vector<SinkReport> sinks;
  std::optional<LedgerReport> ledger;
  friend bool operator==(const Status&, const Status&) = default;
};

// How far one public address is used up in one protocol.
struct PortUse {
  std::string netns;  // empty: the daemon's own
  IpAddress nat_ip;
  std::uint8_t protocol = 0;
  std::uint64_t ports = 0;     // different nat_port values in use
  std::uint64_t sessions = 0;  // more than ports where several share one towards different peers
  friend bool operator==(const PortUse&, const PortUse&) = default;
};

// Sessions that are open now, as records: event interim; origin has the network namespace alone; start_time
// is when it began, or was first seen, and session_start is set where it is known when it began; end_time is
// `now`; counters are since the session began.
struct SessionsAnswer {
  std::vector<SessionRecord> sessions;
  bool more = false;  // there are more than the limit allows
  UnixMs now;
  friend bool operator==(const SessionsAnswer&, const SessionsAnswer&) = default;
};

}  // namespace natsession
