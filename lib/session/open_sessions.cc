#include "session/open_sessions.h"

#include "session/session.h"

namespace natsession {
namespace {

std::uint64_t flow_of(const SessionRecord& record) {
  SessionRecord flow = record;
  flow.session_start.reset();
  flow.seq = 0;
  flow.event = RecordEvent::kInterim;
  return derive_session_id(flow);
}

// A record may carry the time at which NEW was received; the kernel's own stamp is a little before that.
bool began_together(const std::optional<UnixMs>& one, const std::optional<UnixMs>& other) {
  return one && other && *one <= *other + kStampSlack && *other <= *one + kStampSlack;
}

// What is unknown in an interim record may have been zeroed: then the sum is not what the kernel shows.
Count sum_of(Count total, Count count) {
  return total.known() && count.known() ? Count(total.value() + count.value()) : Count();
}

}  // namespace

void OpenSessions::add(const SessionRecord& record) {
  if (record.event == RecordEvent::kGap || record.flow_kind != FlowKind::kSession) return;
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

std::optional<SessionRecord> OpenSessions::take(const SessionRecord& record) {
  const auto found = sessions_.find(flow_of(record));
  if (found == sessions_.end()) return std::nullopt;
  const SessionRecord taken = found->second;
  const bool both_unknown = !taken.session_start && !record.session_start;
  if (!both_unknown && !began_together(taken.session_start, record.session_start)) return std::nullopt;
  sessions_.erase(found);
  return taken;
}

std::optional<SessionRecord> OpenSessions::take_any() {
  if (sessions_.empty()) return std::nullopt;
  const auto any = sessions_.begin();
  const SessionRecord taken = any->second;
  if (over_.size() < kOverLimit) over_[any->first] = taken.session_start;
  sessions_.erase(any);
  return taken;
}

bool OpenSessions::is_over(const SessionRecord& record) {
  const auto found = over_.find(flow_of(record));
  if (found == over_.end()) return false;
  // Without a stamp it is: of a later session on the same ports there would have been a NEW.
  if (record.session_start && !began_together(found->second, record.session_start)) return false;
  over_.erase(found);
  return true;
}

}  // namespace natsession
