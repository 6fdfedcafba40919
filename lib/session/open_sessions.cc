#include "session/open_sessions.h"

namespace natsession {
namespace {

std::uint64_t flow_of(const SessionRecord& record) {
  SessionRecord flow = record;
  flow.session_start.reset();
  return derive_session_id(flow);
}

void add_known(std::uint64_t& sum, Count count) {
  if (count.known()) sum += count.value();
}

}  // namespace

void OpenSessions::add(const SessionRecord& record) {
  if (record.event == RecordEvent::kGap) return;
  const bool ends = record.event == RecordEvent::kEnd;
  if (ends && record.seq == 0) return;  // its only record
  const std::uint64_t flow = flow_of(record);
  const auto found = sessions_.find(flow);
  const bool known = found != sessions_.end() && found->second.last.session_id == record.session_id;
  if (ends) {
    if (known) sessions_.erase(found);
    return;
  }
  if (found == sessions_.end() && sessions_.size() >= kLimit) return;
  OpenSession& session = known ? found->second : sessions_[flow];
  if (!known) session = {};
  session.whole = known ? session.whole && record.seq == session.last.seq + 1 : record.seq == 0;
  session.last = record;
  session.last.origin = nullptr;
  session.last.vpc_id = {};
  add_known(session.bytes_from_pub, record.bytes_from_pub);
  add_known(session.pkts_from_pub, record.pkts_from_pub);
  add_known(session.bytes_from_vpc, record.bytes_from_vpc);
  add_known(session.pkts_from_vpc, record.pkts_from_vpc);
}

std::optional<OpenSession> OpenSessions::take(const SessionRecord& record,
                                              const std::function<bool(const OpenSession&)>& accept) {
  const auto found = sessions_.find(flow_of(record));
  if (found == sessions_.end() || !accept(found->second)) return std::nullopt;
  OpenSession taken = found->second;
  sessions_.erase(found);
  return taken;
}

std::optional<OpenSession> OpenSessions::take_any() {
  if (sessions_.empty()) return std::nullopt;
  OpenSession taken = sessions_.begin()->second;
  sessions_.erase(sessions_.begin());
  return taken;
}

}  // namespace natsession
