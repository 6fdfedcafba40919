#include "session/record_maker.h"

#include <algorithm>

#include "session/nat_view.h"
#include "session/tcp_seen.h"
#include "session/window_schedule.h"

namespace natsession {
namespace {

constexpr std::uint32_t kNoHistory = Slab<History>::kNone;

bool went_back(const std::optional<Counters>& now, const Counters& before) {
  return now && (now->packets < before.packets || now->bytes < before.bytes);
}

// A flowtable lets go of a flow that has moved nothing for 30 s (nf_flowtable_tcp_timeout,
// nf_flowtable_udp_timeout).
constexpr std::chrono::seconds kCarriedIdle{40};

// So one that it still carries has moved something since; where its counters stand still, the flowtable has
// no `counter`, and how much that was is not known.
bool moved_uncounted(const ConntrackEvent& shown, const History& before, UnixMs since, UnixMs end) {
  return (shown.status & kStatusOffload) != 0 && shown.original_counters == before.original &&
         shown.reply_counters == before.reply && (!before.reported_known || end - since >= kCarriedIdle);
}

constexpr History kNothing{};
constexpr std::uint8_t kTcp = 6;

}  // namespace

template <typename Family>
SessionRecord RecordMaker::describe(const Session<Family>& session) const {
  const FlowKey<Family>& key = session.key;
  SessionRecord record;
  if (flow_ == 0) [[likely]] {
    set_nat_view(key.original(), key.reply(), key.protocol, session.nat_status, record);
  } else {
    set_flow_view(key.original(), key.reply(), key.protocol, session.nat_status, record);
  }
  record.flow = flow_;
  record.origin = origin_;
  record.vpc_id = vpcs_.find(record.pri_ip, key.zone, session.mark);
  record.protocol = key.protocol;
  record.zone = key.zone;
  record.mark = session.mark;
  record.tcp_state = session.tcp_state;
  if (session.has(Session<Family>::kStartKnown)) record.session_start = session.begin;
  if (session.history != kNoHistory) {
    record.seq = histories_[session.history].seq;
  } else {
    record.seq = session.has(Session<Family>::kStartReported) ? 1 : 0;
  }
  return record;
}

template <typename Family>
bool RecordMaker::has_dnat_view(const Session<Family>& session) const {
  return flow_ == 0 && is_dnat_view(session.nat_status);
}

// Of a record whose slice is set. The session log's view of destination NAT alone is not that of flow logs,
// which have records of their own then.
template <typename Family>
void RecordMaker::set_flow_fields(const Session<Family>& session, SessionRecord& record) const {
  if (has_dnat_view(session)) return;
  const IpAddress& first_peer = record.has_orig_dst ? record.orig_dst_ip : record.pub_ip;
  record.iif = interfaces_->towards(record.pri_ip, first_peer, session.mark);
  record.oif = interfaces_->towards(record.pub_ip, record.pri_ip, session.mark);
  if (record.protocol != kTcp) return;
  const History* const before = history(session.history);
  const bool began = session.has(Session<Family>::kStartKnown) && session.begin == record.start_time;
  record.tcp_flags = flags_of_slice(session.nat_status & tcp_seen::kAll,
                                    before != nullptr ? before->tcp_seen : 0, began, before != nullptr);
}

template <typename Family>
void RecordMaker::set_slice(const Session<Family>& session, UnixMs end, SessionRecord& record) const {
  UnixMs start = session.begin;
  if (mode_ == RecordMode::kWindow) start = std::max(start, window_of(end, window_));
  if (session.history != kNoHistory) start = std::max(start, histories_[session.history].reported_until);
  record.start_time = std::min(start, end);  // also when the clock was stepped back in between
  record.end_time = end;
}

void RecordMaker::set_traffic(const ConntrackEvent& seen, const History* before, bool dnat_view,
                              SessionRecord& record) {
  if (before == nullptr) before = &kNothing;
  if (!before->reported_known) return;  // no counters: they would say again what earlier records said
  if (went_back(seen.original_counters, before->original) || went_back(seen.reply_counters, before->reply)) {
    ++counters_reset_;  // somebody zeroed them, all four: what had moved before that nobody knows
    return;
  }
  Count original_bytes;
  Count original_packets;
  Count reply_bytes;
  Count reply_packets;
  if (seen.original_counters) {
    original_bytes = Count(seen.original_counters->bytes - before->original.bytes);
    original_packets = Count(seen.original_counters->packets - before->original.packets);
  }
  if (seen.reply_counters) {
    reply_bytes = Count(seen.reply_counters->bytes - before->reply.bytes);
    reply_packets = Count(seen.reply_counters->packets - before->reply.packets);
  }
  record.bytes_from_vpc = dnat_view ? reply_bytes : original_bytes;
  record.pkts_from_vpc = dnat_view ? reply_packets : original_packets;
  record.bytes_from_pub = dnat_view ? original_bytes : reply_bytes;
  record.pkts_from_pub = dnat_view ? original_packets : reply_packets;
}

// Gives the first record of a session a seq and times by which its id is its own. Two sessions cannot be
// between the same ends at once, so of those that begin in one millisecond only the last outlives it; that
// one is numbered only where its record comes before it is known which that is, with a `start`.
void RecordMaker::number_twin(SessionRecord& record) {
  SessionRecord beginning = record;
  beginning.event = RecordEvent::kStart;
  if (!beginning.session_start) beginning.session_start = record.end_time;
  for (;;) {
    const std::uint32_t twin = twins_.next(derive_session_id(beginning));
    if (twin <= kMaxTwin) {
      record.seq = twin << kSeqBits;
      return;
    }
    // More than a kernel with stamps can tell of: it is said of the next millisecond.
    ++*beginning.session_start;
    if (record.session_start) record.session_start = beginning.session_start;
    record.start_time = record.end_time = *beginning.session_start;
  }
}

void RecordMaker::emit(SessionRecord& record) {
  record.session_id = derive_session_id(record);
  ++records_.of(record.event);
  output_.emit(record);
}

template <typename Family>
void RecordMaker::start(Session<Family>& session) {
  SessionRecord record = describe(session);
  record.event = RecordEvent::kStart;
  record.start_time = record.end_time = session.begin;
  number_twin(record);
  if (session.begin != record.start_time) session.clear(Session<Family>::kStartFromKernel);
  session.begin = record.start_time;
  emit(record);
  session.set(Session<Family>::kStartPinned | Session<Family>::kStartReported);
  if (record.seq != 0)
    session.history =
        add_history({.original = {}, .reply = {}, .reported_until = session.begin, .seq = record.seq + 1});
}

template <typename Family>
void RecordMaker::interim(Session<Family>& session, const ConntrackEvent* shown, UnixMs end, bool always) {
  const History* const before = history(session.history);
  if (before != nullptr && (before->reported_until >= end || (before->seq & kMaxSeq) == kMaxSeq)) return;

  SessionRecord record = describe(session);
  record.event = RecordEvent::kInterim;
  set_slice(session, end, record);
  const UnixMs last = before != nullptr ? before->reported_until : session.begin;
  const bool uncounted =
      shown != nullptr && moved_uncounted(*shown, before != nullptr ? *before : kNothing, last, end);
  if (shown != nullptr && !uncounted) set_traffic(*shown, before, has_dnat_view(session), record);
  const bool idle = record.pkts_from_vpc == Count(0) && record.pkts_from_pub == Count(0) &&
                    record.bytes_from_vpc == Count(0) && record.bytes_from_pub == Count(0);
  const bool due = end + 2 * window_ > last + kLongestSilence;  // 2: the dump of the next window may fail
  if (idle && !always && !due) return;
  if (interfaces_ != nullptr) [[unlikely]]
    set_flow_fields(session, record);
  emit(record);

  session.set(Session<Family>::kStartPinned);
  if (session.history == kNoHistory) session.history = histories_.allocate();
  History& after = histories_[session.history];
  after.seq = record.seq + 1;
  after.reported_until = end;
  after.tcp_seen = session.nat_status & tcp_seen::kAll;
  if (shown != nullptr) after.reported_known = !uncounted;
  if (shown != nullptr && shown->original_counters) after.original = *shown->original_counters;
  if (shown != nullptr && shown->reply_counters) after.reply = *shown->reply_counters;
}

template <typename Family>
void RecordMaker::end(Session<Family>& session, const ConntrackEvent* destroy, RecordReason reason,
                      UnixMs end) {
  SessionRecord record = describe(session);
  record.event = RecordEvent::kEnd;
  record.reason = reason;
  set_slice(session, end, record);
  if (destroy != nullptr) set_traffic(*destroy, history(session.history), has_dnat_view(session), record);
  if (interfaces_ != nullptr) [[unlikely]]
    set_flow_fields(session, record);
  if (is_momentary(record)) number_twin(record);
  emit(record);
  if (session.history != kNoHistory) histories_.release(session.history);
  session.history = kNoHistory;
}

void RecordMaker::window_closed(UnixMs end) {
  SessionRecord record = record_of_window(FlowKind::kWindowClosed, origin_, end - window_, end, flow_);
  record.session_id = derive_session_id(record);
  output_.emit(record);
}

void RecordMaker::gap(UnixMs start, UnixMs end, RecordReason reason, Count lost) {
  SessionRecord record;
  record.origin = origin_;
  record.event = RecordEvent::kGap;
  record.reason = reason;
  record.start_time = std::min(start, end);
  record.end_time = end;
  record.events_lost = lost;
  ++records_.of(record.event);
  output_.emit(record);
}

template <typename Family>
bool RecordMaker::is_over(const Session<Family>& session, OpenSessions& open) const {
  return open.any_over() && open.is_over(describe(session));
}

template <typename Family>
void RecordMaker::adopt(Session<Family>& session, OpenSessions& open) {
  using S = Session<Family>;
  const auto known = open.take(describe(session));
  if (!known) return;
  if (known->session_start && *known->session_start != session.begin) {
    session.begin = *known->session_start;
    session.clear(S::kStartFromKernel);
  }
  session.set(S::kStartPinned | S::kStartReported);
  const bool whole = known->bytes_from_vpc.known() && known->pkts_from_vpc.known() &&
                     known->bytes_from_pub.known() && known->pkts_from_pub.known();
  const Counters vpc =
      whole ? Counters{known->pkts_from_vpc.value(), known->bytes_from_vpc.value()} : Counters();
  const Counters pub =
      whole ? Counters{known->pkts_from_pub.value(), known->bytes_from_pub.value()} : Counters();
  const bool dnat = has_dnat_view(session);
  session.history = add_history({.original = dnat ? pub : vpc,
                                 .reply = dnat ? vpc : pub,
                                 .reported_until = known->end_time,
                                 .seq = known->seq + 1,
                                 .reported_known = whole,
                                 .tcp_seen = seen_by(known->tcp_state)});
}

SessionRecord RecordMaker::here(const SessionRecord& total) const {
  SessionRecord record = total;
  record.origin = origin_;
  record.vpc_id = vpcs_.find(record.pri_ip, record.zone, record.mark);
  return record;
}

void RecordMaker::vanished(const SessionRecord& total, UnixMs end) {
  SessionRecord record = here(total);
  const UnixMs reported_until = record.end_time;
  record.event = RecordEvent::kEnd;
  record.reason = RecordReason::kVanished;
  ++record.seq;
  record.end_time = std::max(end, reported_until);
  record.start_time = reported_until;
  if (mode_ == RecordMode::kWindow)
    record.start_time = std::max(reported_until, window_of(record.end_time, window_));
  record.bytes_from_pub = record.pkts_from_pub = record.bytes_from_vpc = record.pkts_from_vpc = Count();
  emit(record);
}

template <typename Family>
std::optional<SessionRecord> RecordMaker::total(const Session<Family>& session) const {
  SessionRecord total = describe(session);
  if (total.seq == 0) return std::nullopt;
  --total.seq;
  total.event = RecordEvent::kInterim;
  total.start_time = total.end_time = session.begin;
  const History nothing;
  const History& reported = session.history != kNoHistory ? histories_[session.history] : nothing;
  if (session.history != kNoHistory) total.end_time = reported.reported_until;
  total.start_time = std::min(total.start_time, total.end_time);
  if (reported.reported_known) {
    const bool dnat = has_dnat_view(session);
    const Counters& vpc = dnat ? reported.reply : reported.original;
    const Counters& pub = dnat ? reported.original : reported.reply;
    total.bytes_from_vpc = Count(vpc.bytes);
    total.pkts_from_vpc = Count(vpc.packets);
    total.bytes_from_pub = Count(pub.bytes);
    total.pkts_from_pub = Count(pub.packets);
  }
  total.session_id = derive_session_id(total);
  return total;
}

const History* RecordMaker::history(std::uint32_t index) const {
  return index == kNoHistory ? nullptr : &histories_[index];
}

std::uint32_t RecordMaker::add_history(const History& history) {
  const std::uint32_t index = histories_.allocate();
  histories_[index] = history;
  return index;
}

template bool RecordMaker::is_over(const Session<V4>&, OpenSessions&) const;
template bool RecordMaker::is_over(const Session<V6>&, OpenSessions&) const;
template void RecordMaker::adopt(Session<V4>&, OpenSessions&);
template void RecordMaker::adopt(Session<V6>&, OpenSessions&);
template std::optional<SessionRecord> RecordMaker::total(const Session<V4>&) const;
template std::optional<SessionRecord> RecordMaker::total(const Session<V6>&) const;
template void RecordMaker::start(Session<V4>&);
template void RecordMaker::start(Session<V6>&);
template void RecordMaker::interim(Session<V4>&, const ConntrackEvent*, UnixMs, bool);
template void RecordMaker::interim(Session<V6>&, const ConntrackEvent*, UnixMs, bool);
template void RecordMaker::end(Session<V4>&, const ConntrackEvent*, RecordReason, UnixMs);
template void RecordMaker::end(Session<V6>&, const ConntrackEvent*, RecordReason, UnixMs);

}  // namespace natsession
