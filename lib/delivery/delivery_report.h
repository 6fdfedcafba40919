// SinkReport and LedgerReport: what delivery says of itself when it is asked.
// Threads: plain value types.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/report_row.h"
#include "base/time.h"
#include "delivery/breaker.h"

namespace natsession {

// As the log's specification names them (Delivery).
enum class DeliveryState : std::uint8_t {
  kSuccess,
  kModifying,  // enabled or disabled, and what is under way is not finished; or nothing was tried yet
  kFailed,     // the last thing that was tried failed, or was refused whole
};
[[nodiscard]] constexpr std::string_view to_string(DeliveryState state) {
  return state == DeliveryState::kSuccess     ? "Success"
         : state == DeliveryState::kModifying ? "Modifying"
                                              : "Failed";
}

struct SinkReport {
  std::string name;     // by which it is enabled and disabled; no two are alike
  bool enabled = true;  // as asked for last
  DeliveryState state = DeliveryState::kSuccess;
  // Of the last failure; both stay when it is over. While delivery is suspended the code is
  // UnavailableTarget, and the message begins with the code that led to it.
  std::string code;     // of the specification; empty when the fault has none there
  std::string message;  // empty if there was none
  std::optional<UnixMs> last_failure_at;
  std::uint64_t delivered = 0;          // records taken
  std::uint64_t retried = 0;            // tries beyond the first
  std::uint64_t waiting = 0;            // records in the log that are not delivered yet
  std::uint64_t dropped = 0;            // records that this sink missed; a gap record says so in it
  std::uint64_t rejected = 0;           // records that it refused for good
  std::uint64_t dead_lettered = 0;      // of these: kept in the dead-letter file
  std::uint64_t dead_letters_lost = 0;  // did not fit or could not be written, or made room for later ones
  std::optional<std::chrono::milliseconds> oldest_waiting;  // its age
  std::optional<UnixMs> suspended_until;                    // the breaker is open
  // Of a flow log's windows, since the start; none of other sinks.
  std::optional<std::uint64_t> no_data, skipped, left_out;

  // Not told to users.
  std::string last_failure_code;  // the code and the message as the sink said them
  std::string last_failure;
  std::optional<UnixMs> last_delivery;
  Breaker::State breaker = Breaker::State::kClosed;
  bool in_trouble = false;
  bool lagging = false;
  bool closed = false;
  friend bool operator==(const SinkReport&, const SinkReport&) = default;
};

struct LedgerReport {
  std::string directory;
  std::uint64_t bytes = 0;
  std::uint64_t limit_bytes = 0;
  std::uint64_t segments = 0;
  std::uint64_t sealed_segments = 0;
  std::uint64_t records = 0;     // that are in it now
  std::optional<UnixMs> oldest;  // end of the oldest record
  std::chrono::milliseconds retention{};
  std::uint64_t appended = 0;         // records, since the start
  std::uint64_t pending = 0;          // records in memory that are not in a frame yet
  std::uint64_t append_failures = 0;  // how often writing began to fail
  std::uint64_t dropped = 0;          // records that found no room in memory either; a gap record says so
  std::uint64_t deleted_segments = 0;
  std::uint64_t deleted_unread_records = 0;  // by the byte limit, before a sink had read them
  std::uint64_t damaged_frames = 0;
  std::string failure;         // why nothing can be written now; empty when all is well
  std::string upkeep_failure;  // why segments are not sealed or deleted as they should be; likewise

  // Not told to users.
  std::uint64_t end = 0;          // one behind the newest record that is written
  std::optional<UnixMs> age_now;  // the time that retention goes by, where it is known
  friend bool operator==(const LedgerReport&, const LedgerReport&) = default;
};

template <>
struct Rows<SinkReport> {
  static void visit(auto& s, auto row) {
    using enum Row::Look;
    row(member("name").column("SINK"), s.name);
    row(gauge("enabled", "natsession_sink_enabled", "1 if the sink is enabled.").column("ENABLED"),
        s.enabled);
    row(gauge("state", "natsession_sink_up", "1 if the sink takes records, 0 if its last try failed.")
            .column("STATE"),
        s.state);
    row(member("code"), s.code);
    row(member("message"), s.message);
    row(gauge("last_failure_at", "natsession_sink_last_failure_timestamp_seconds",
              "When the sink last failed; absent if it never did."),
        s.last_failure_at);
    row(counter("delivered", "natsession_sink_delivered_records_total", "Records that the sink took.")
            .column("DELIVERED"),
        s.delivered);
    row(gauge("waiting", "natsession_sink_waiting_records", "Records that the sink has yet to take.")
            .column("WAITING"),
        s.waiting);
    row(gauge("oldest_waiting_seconds", "natsession_sink_oldest_waiting_seconds",
              "Age of the oldest record that waits; 0 when none does.")
            .column("OLDEST"),
        s.oldest_waiting);
    row(counter("retried", "natsession_sink_retries_total", "Tries beyond the first.").column("RETRIED"),
        s.retried);
    row(counter("dropped", "natsession_sink_dropped_records_total",
                "Records that the sink missed; a gap record in it says so.")
            .column("DROPPED", kBad),
        s.dropped);
    row(counter("rejected", "natsession_sink_rejected_records_total",
                "Records that the sink refused for good.")
            .column("REJECTED", kBad),
        s.rejected);
    row(counter("dead_lettered", "natsession_sink_dead_letters_total",
                "Records that the sink refused and that are kept in its dead-letter file.")
            .note("refused records are kept; natsessionctl dead-letters shows them"),
        s.dead_lettered);
    row(counter("dead_letters_lost", "natsession_sink_dead_letters_lost_total",
                "Records that the sink refused and that are not kept, or made room for later ones.")
            .note("refused records are not kept", kBad),
        s.dead_letters_lost);
    row(gauge("suspended_until", "natsession_sink_suspended",
              "1 while delivery is suspended after a failure of the target.", Row::Metric::kPresent),
        s.suspended_until);
    row(counter("flow_nodata", "natsession_flow_log_nodata_total",
                "Lines with NODATA that the flow log has told: an interface's windows without traffic.")
            .note("windows of an interface had nothing: NODATA", kPlain),
        s.no_data);
    row(counter(
            "flow_skipdata", "natsession_flow_log_skipdata_total",
            "Lines with SKIPDATA that the flow log has told: an interface's windows of which something is "
            "missing.")
            .note("windows of an interface are not whole: SKIPDATA"),
        s.skipped);
    row(counter("flow_left_out", "natsession_flow_log_left_out_entries_total",
                "Entries that the flow log left out: beyond flow_entries of an interface in ten minutes.")
            .note("entries were beyond flow_entries, and are left out", kBad),
        s.left_out);
  }
};

template <>
struct Rows<LedgerReport> {
  static void visit(auto& l, auto row) {
    using enum Row::Look;
    row(member("directory"), l.directory);
    row(gauge("bytes", "natsession_ledger_bytes", "Size of all segments on disk."), l.bytes);
    row(gauge("limit_bytes", "natsession_ledger_limit_bytes",
              "Size beyond which the oldest segment is deleted."),
        l.limit_bytes);
    row(gauge("segments", "natsession_ledger_segments", "Segments on disk."), l.segments);
    row(gauge("sealed_segments", "natsession_ledger_sealed_segments", "Segments that are sealed."),
        l.sealed_segments);
    row(gauge("records", "natsession_ledger_records", "Records in the ledger."), l.records);
    row(gauge("oldest", "natsession_ledger_oldest_record_age_seconds",
              "Age of the oldest record; 0 when there is none.", Row::Metric::kAge),
        l.oldest);
    row(gauge("retention_seconds", "natsession_ledger_retention_seconds",
              "Age at which a segment is deleted."),
        l.retention);
    row(counter("appended", "natsession_ledger_appended_records_total", "Records that the ledger took."),
        l.appended);
    row(gauge("pending", "natsession_ledger_pending_records", "Records in memory that are not on disk yet."),
        l.pending);
    row(counter("append_failures", "natsession_ledger_append_failures_total",
                "Failed tries to write to the ledger."),
        l.append_failures);
    row(counter("dropped", "natsession_ledger_dropped_records_total",
                "Records that found no room, neither on disk nor in memory.")
            .note("records found no room, neither on disk nor in memory", kBad),
        l.dropped);
    row(counter("deleted_segments", "natsession_ledger_deleted_segments_total",
                "Segments that retention deleted."),
        l.deleted_segments);
    row(counter("deleted_unread_records", "natsession_ledger_deleted_unread_records_total",
                "Records that the byte limit deleted before a sink had read them.")
            .note("records were deleted by the byte limit before a sink had read them", kBad),
        l.deleted_unread_records);
    row(counter("damaged_frames", "natsession_ledger_damaged_frames_total", "Damaged frames that were met.")
            .note("damaged frames; natsessionctl verify tells which", kBad),
        l.damaged_frames);
    row(gauge("failure", "natsession_ledger_writable",
              "1 if the ledger can be written, 0 if the last try failed, as on a full disk.",
              Row::Metric::kAbsent),
        l.failure);
    row(gauge("upkeep_failure", "natsession_ledger_upkeep_ok",
              "1 if segments are sealed and deleted as they should be.", Row::Metric::kAbsent),
        l.upkeep_failure);
  }
};

}  // namespace natsession
