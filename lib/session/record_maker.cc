#include "session/record_maker.h"

#include <algorithm>

#include "session/nat_side.h"
#include "session/window_schedule.h"

namespace natsession {
namespace {

constexpr std::uint32_t kNoHistory = Slab<History>::kNone;

// Destination NAT alone: the private side is the one that was connected to. With both kinds it is source NAT that
// the log describes.
template <typename Family>
bool is_dnat_view(const Session<Family>& session) {
  return (session.nat_status & kStatusSrcNat) == 0;
}

}  // namespace

template <typename Family>
SessionRecord RecordMaker::describe(const Session<Family>& session) const {
  const FlowKey<Family>& key = session.key;
  const bool icmp = is_icmp(key.protocol);
  SessionRecord record;
  if (is_dnat_view(session)) {
    record.pri_ip = Family::load(key.reply_src);
    record.pri_port = key.reply_src_port;
    record.pub_ip = Family::load(key.original_src);
    record.pub_port = icmp ? key.original_dst_port : key.original_src_port;
    record.nat_ip = Family::load(key.original_dst);
    record.nat_port = icmp ? key.original_src_port : key.original_dst_port;
  } else {
    record.pri_ip = Family::load(key.original_src);
    record.pri_port = key.original_src_port;
    record.pub_ip = Family::load(key.reply_src);
    record.pub_port = icmp ? key.original_dst_port : key.reply_src_port;
    const NatSide nat = nat_side(session);
    record.nat_ip = nat.ip;
    record.nat_port = nat.port;
    if ((session.nat_status & kStatusDstNat) != 0) {
      record.has_orig_dst = true;
      record.orig_dst_ip = Family::load(key.original_dst);
      record.orig_dst_port = key.original_dst_port;
    }
  }
  record.origin = origin_;
  record.vpc_id = vpcs_->find(record.pri_ip, key.zone, session.mark);
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
void RecordMaker::set_slice(const Session<Family>& session, UnixMs end, SessionRecord& record) const {
  UnixMs start = session.begin;
  if (mode_ == RecordMode::kWindow) start = std::max(start, window_of(end, window_));
  if (session.history != kNoHistory) start = std::max(start, histories_[session.history].reported_until);
  record.start_time = std::min(start, end);  // also when the clock was stepped back in between
  record.end_time = end;
}

std::uint64_t RecordMaker::increase(std::uint64_t now, std::uint64_t before) {
  if (now >= before) return now - before;
  ++counters_reset_;  // somebody zeroed the flow's counters: what they show now came after that
  return now;
}

void RecordMaker::set_traffic(const ConntrackEvent& seen, const History* before, bool dnat_view,
                              SessionRecord& record) {
  static constexpr History kNothing{};
  if (before == nullptr) before = &kNothing;
  Count original_bytes;
  Count original_packets;
  Count reply_bytes;
  Count reply_packets;
  if (seen.original_counters) {
    original_bytes = Count(increase(seen.original_counters->bytes, before->original.bytes));
    original_packets = Count(increase(seen.original_counters->packets, before->original.packets));
  }
  if (seen.reply_counters) {
    reply_bytes = Count(increase(seen.reply_counters->bytes, before->reply.bytes));
    reply_packets = Count(increase(seen.reply_counters->packets, before->reply.packets));
  }
  record.bytes_from_vpc = dnat_view ? reply_bytes : original_bytes;
  record.pkts_from_vpc = dnat_view ? reply_packets : original_packets;
  record.bytes_from_pub = dnat_view ? original_bytes : reply_bytes;
  record.pkts_from_pub = dnat_view ? original_packets : reply_packets;
}

void RecordMaker::emit(SessionRecord& record) {
  record.session_id = derive_session_id(record);
  ++records_;
  output_.emit(record);
}

template <typename Family>
void RecordMaker::start(Session<Family>& session) {
  SessionRecord record = describe(session);
  record.event = RecordEvent::kStart;
  record.start_time = record.end_time = session.begin;
  emit(record);
  session.set(Session<Family>::kStartPinned | Session<Family>::kStartReported);
}

template <typename Family>
void RecordMaker::interim(Session<Family>& session, const ConntrackEvent* shown, UnixMs end, bool always) {
  const History* const before = history(session.history);
  if (before != nullptr && before->reported_until >= end) return;

  SessionRecord record = describe(session);
  record.event = RecordEvent::kInterim;
  set_slice(session, end, record);
  if (shown != nullptr) set_traffic(*shown, before, is_dnat_view(session), record);
  const bool idle = record.pkts_from_vpc == Count(0) && record.pkts_from_pub == Count(0) &&
                    record.bytes_from_vpc == Count(0) && record.bytes_from_pub == Count(0);
  if (idle && !always) return;
  emit(record);

  session.set(Session<Family>::kStartPinned);
  if (session.history == kNoHistory) session.history = histories_.allocate();
  History& after = histories_[session.history];
  after.seq = record.seq + 1;
  after.reported_until = end;
  if (shown != nullptr && shown->original_counters) after.original = *shown->original_counters;
  if (shown != nullptr && shown->reply_counters) after.reply = *shown->reply_counters;
}

template <typename Family>
void RecordMaker::end(Session<Family>& session, const ConntrackEvent* destroy, RecordReason reason, UnixMs end) {
  SessionRecord record = describe(session);
  record.event = RecordEvent::kEnd;
  record.reason = reason;
  set_slice(session, end, record);
  if (destroy != nullptr) set_traffic(*destroy, history(session.history), is_dnat_view(session), record);
  emit(record);
  if (session.history != kNoHistory) histories_.release(session.history);
  session.history = kNoHistory;
}

void RecordMaker::gap(UnixMs start, UnixMs end, RecordReason reason, Count lost) {
  SessionRecord record;
  record.origin = origin_;
  record.event = RecordEvent::kGap;
  record.reason = reason;
  record.start_time = std::min(start, end);
  record.end_time = end;
  record.events_lost = lost;
  ++records_;
  output_.emit(record);
}

const History* RecordMaker::history(std::uint32_t index) const {
  return index == kNoHistory ? nullptr : &histories_[index];
}

std::uint32_t RecordMaker::add_history(const History& history) {
  const std::uint32_t index = histories_.allocate();
  histories_[index] = history;
  return index;
}

template void RecordMaker::start(Session<V4>&);
template void RecordMaker::start(Session<V6>&);
template void RecordMaker::interim(Session<V4>&, const ConntrackEvent*, UnixMs, bool);
template void RecordMaker::interim(Session<V6>&, const ConntrackEvent*, UnixMs, bool);
template void RecordMaker::end(Session<V4>&, const ConntrackEvent*, RecordReason, UnixMs);
template void RecordMaker::end(Session<V6>&, const ConntrackEvent*, RecordReason, UnixMs);

}  // namespace natsession
