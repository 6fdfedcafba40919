#include "session/open_sessions.h"

namespace natsession {
namespace {

std::uint64_t flow_of(const SessionRecord& record) {
  SessionRecord flow = record;
  flow.session_start.reset();
  flow.seq = 0;
  flow.event = RecordEvent::kInterim;
  return derive_session_id(flow);
}

// What is unknown in an interim record may have been zeroed: then the sum is not what the kernel shows.
Count sum_of(Count total, Count count) {
  return total.known() && count.known() ? Count(total.value() + count.value()) : Count();
}

}  // namespace

void OpenSessions::add(const SessionRecord& record) {
  if (record.event == RecordEvent::kGap) return;
  const bool ends = record.event == RecordEvent::kEnd;
  if (ends && is_first(record.seq)) return;  // its only record
  const std::uint64_t flow = flow_of(record);
  const auto found = sessions_.find(flow);
  const bool known = found != sessions_.end() && found->second.session_id == record.session_id;
  if (ends) {
    if (known) sessions_.erase(found);
    return;
  }
  if (found == sessions_.end() && sessions_.size() >= kLimit) return;
  const bool whole = known ? record.seq == found->second.seq + 1 : is_first(record.seq);
  SessionRecord total = record;
  total.origin = nullptr;
  total.vpc_id = {};
  for (Count SessionRecord::*const counter :
       {&SessionRecord::bytes_from_pub, &SessionRecord::pkts_from_pub, &SessionRecord::bytes_from_vpc,
        &SessionRecord::pkts_from_vpc}) {
    if (record.event == RecordEvent::kStart) {
      total.*counter = Count(0);
    } else {
      total.*counter = whole ? sum_of(known ? found->second.*counter : Count(0), record.*counter) : Count();
    }
  }
  sessions_[flow] = total;
}

void OpenSessions::add_total(const SessionRecord& total) {
  if (sessions_.size() >= kLimit) return;
  SessionRecord& kept = sessions_[flow_of(total)];
  kept = total;
  kept.origin = nullptr;
  kept.vpc_id = {};
}

std::optional<SessionRecord> OpenSessions::take(
    const SessionRecord& record, const std::function<bool(const SessionRecord& total)>& accept) {
  const auto found = sessions_.find(flow_of(record));
  if (found == sessions_.end() || !accept(found->second)) return std::nullopt;
  const SessionRecord taken = found->second;
  sessions_.erase(found);
  return taken;
}

std::optional<SessionRecord> OpenSessions::take_any() {
  if (sessions_.empty()) return std::nullopt;
  const SessionRecord taken = sessions_.begin()->second;
  sessions_.erase(sessions_.begin());
  return taken;
}

}  // namespace natsession
