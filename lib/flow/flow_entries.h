// From a session to the entries of a flow log: one for each interface and direction that its packets crossed.
// An entry is a SessionRecord too, so that it goes through sinks as one: pri is the source, pub the
// destination, packets and bytes are those from_vpc; iif alone is set where it is ingress, oif where it is
// egress.
// Threads: any; pure functions.
#pragma once

#include <string_view>
#include <vector>

#include "record/fields.h"
#include "record/session_record.h"

namespace natsession {

// At most so many are made of one record.
inline constexpr std::size_t kMaxEntries = 4;

// Adds those of a record that has interfaces. None: where no packets went, at the box itself (lo), and of
// records that are not FlowKind::kSession or kRefused. Of four the first two are of the original direction.
void append_entries(const SessionRecord& record, std::vector<SessionRecord>& out);

[[nodiscard]] inline std::string_view interface_of(const SessionRecord& entry) {
  return field_values::interface(entry);
}
[[nodiscard]] inline bool is_ingress(const SessionRecord& entry) {
  return !entry.iif.empty();
}
[[nodiscard]] inline bool is_refused(const SessionRecord& entry) {
  return entry.flow_kind == FlowKind::kRefused;
}
// An address of it is translated.
[[nodiscard]] inline bool is_translated(const SessionRecord& record) {
  return record.nat_ip != IpAddress() || record.has_orig_dst;
}

// Entries have ids that differ, also those of one record: destinations tell records apart by these.
[[nodiscard]] inline std::uint64_t session_of(const SessionRecord& entry) {
  return entry.session_id - entry.orig_dst_port;  // its place among those of its record
}

// What stands in a flow log where there is nothing to be told of an interface's window (NODATA), or not all
// (SKIPDATA): an entry with an interface, a window, and no addresses.
[[nodiscard]] SessionRecord status_entry(const SessionRecord& window_closed, std::string_view interface,
                                         bool skipped);
[[nodiscard]] inline bool is_status(const SessionRecord& entry) {
  return entry.flow_kind == FlowKind::kWindowClosed || entry.flow_kind == FlowKind::kSkipped;
}

}  // namespace natsession
