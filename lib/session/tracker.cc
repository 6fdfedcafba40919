#include "session/tracker.h"

#include <algorithm>
#include <array>
#include <utility>

#include "session/nat_view.h"
#include "session/tcp_seen.h"

namespace natsession {
namespace {

// Whether the flow goes into the IPv4 table. An IPv6 flow may have an IPv4-mapped address on one side.
bool is_v4(const ConntrackEvent& event) {
  return event.original.src.is_v4() && event.original.dst.is_v4() && event.reply.src.is_v4() &&
         event.reply.dst.is_v4();
}

constexpr std::uint8_t kNatStatus = kStatusSrcNat | kStatusDstNat;
constexpr std::size_t kNear = 16'384;  // a megabyte of cells: they are in the second-level cache
static_assert((kNatStatus & tcp_seen::kAll) == 0);

// When something happened that the kernel gave no better time for.
UnixMs time_of(const ConntrackEvent& event, UnixNs received) {
  return to_ms(event.event.value_or(received));
}

// Whether `event` can be of the session in the table, whose key is the same. The kernel gives the id and the
// tuples again when a flow's memory is used again at once, so only the time of the start tells them apart.
template <typename Family>
bool same_start(const Session<Family>& session, const ConntrackEvent& event) {
  using S = Session<Family>;
  if (!event.start || !session.has(S::kStartKnown)) return true;
  const UnixMs start = to_ms(*event.start);
  if (session.has(S::kStartFromKernel)) return start == session.begin;
  return start <= session.begin + kStampSlack;
}

// Takes over what an event tells of a live session.
template <typename Family>
void learn(Session<Family>& session, const ConntrackEvent& event) {
  using S = Session<Family>;
  session.mark = event.mark;
  session.nat_status = static_cast<std::uint8_t>(
      (event.status & kNatStatus) | (session.nat_status & tcp_seen::kAll) | seen_by(event.tcp_state));
  if (event.tcp_state != TcpState::kNone) session.tcp_state = event.tcp_state;
  if (event.start && !session.has(S::kStartPinned)) {
    session.begin = to_ms(*event.start);
    session.set(S::kStartKnown | S::kStartFromKernel);
  }
  session.clear(S::kMissed);
}

}  // namespace

Tracker::Tracker(const TrackerSettings& settings, const Origin& origin, VpcMap vpcs, RecordOutput& output)
    : mode_(settings.records),
      max_sessions_(settings.max_sessions),
      maker_(settings.records, settings.window, origin, std::move(vpcs), output, settings.flow,
             settings.interfaces),
      destroys_(settings.destroys),
      vanished_limit_(settings.max_vanished / 2) {}

template <>
FlowTable<V4>& Tracker::table() {
  return v4_;
}
template <>
FlowTable<V6>& Tracker::table() {
  return v6_;
}

TrackerCounters Tracker::counters() const {
  TrackerCounters all = counters_;
  all.records = maker_.records();
  all.counters_reset = maker_.counters_reset();
  return all;
}

void Tracker::on_event(const ConntrackEvent& event) {
  on_events({&event, 1});
}

void Tracker::expect(std::span<const ConntrackEvent> events) {
  if (v4_.size() <= kNear) return;
  constexpr std::size_t kAhead = 64;
  std::array<FlowKey<V4>, kAhead> keys;      // NOLINT: written before it is read
  std::array<std::uint64_t, kAhead> hashes;  // NOLINT: likewise
  std::size_t count = 0;
  for (const ConntrackEvent& event : events.first(std::min(events.size(), kAhead))) {
    if (!is_v4(event)) continue;
    keys[count] = FlowKey<V4>::of(event);
    hashes[count] = hash_key(keys[count]);
    v4_.prefetch_head(hashes[count++]);
  }
  for (std::size_t i = 0; i < count; ++i) v4_.prefetch_cell(hashes[i]);
  for (std::size_t i = 0; i < count; ++i) v4_.prefetch_second(keys[i], hashes[i]);
}

// With a million sessions nearly every look into the table misses the processor's caches, three times or
// more: the head of the chain, and each cell of it. Asked for ahead, for many events at once, they come while
// other work is done.
void Tracker::on_events(std::span<const ConntrackEvent> events) {
  constexpr std::size_t kAhead = 64;
  const bool is_far = v4_.size() > kNear;
  std::array<FlowKey<V4>, kAhead> keys;      // NOLINT: written before it is read
  std::array<std::uint64_t, kAhead> hashes;  // NOLINT: likewise
  std::array<bool, kAhead> v4;               // NOLINT: likewise
  while (!events.empty()) {
    const std::span<const ConntrackEvent> some = events.first(std::min(events.size(), kAhead));
    events = events.subspan(some.size());
    for (std::size_t i = 0; i < some.size(); ++i) {
      v4[i] = is_v4(some[i]);
      if (!v4[i]) continue;
      keys[i] = FlowKey<V4>::of(some[i]);
      hashes[i] = hash_key(keys[i]);
      if (is_far) v4_.prefetch_head(hashes[i]);
    }
    for (std::size_t i = 0; i < some.size() && is_far; ++i) {
      if (v4[i]) v4_.prefetch_cell(hashes[i]);
    }
    for (std::size_t i = 0; i < some.size() && is_far; ++i) {
      if (v4[i]) v4_.prefetch_second(keys[i], hashes[i]);
    }
    for (std::size_t i = 0; i < some.size(); ++i) {
      if (v4[i]) {
        handle<V4>(some[i], keys[i], hashes[i]);
      } else {
        const auto key = FlowKey<V6>::of(some[i]);
        handle<V6>(some[i], key, hash_key(key));
      }
    }
  }
}

template <typename Family>
void Tracker::handle(const ConntrackEvent& event, const FlowKey<Family>& key, std::uint64_t hash) {
  switch (event.type) {
    case EventType::kNew:
      ++counters_.events.added;
      handle_new(event, key, hash);
      break;
    case EventType::kUpdate:
      ++counters_.events.updated;
      handle_update(event, key, hash);
      break;
    case EventType::kDestroy:
      handle_destroy(event, key, hash);
      ++counters_.events.destroyed;  // what it emits is emitted by then
      break;
  }
}

// A live cell for the key, or null when there are too many.
template <typename Family>
Session<Family>* Tracker::follow(const FlowKey<Family>& key, std::uint64_t hash) {
  if (live() >= max_sessions_) {
    ++counters_.not_followed;
    return nullptr;
  }
  Session<Family>& session = table<Family>().insert(key, hash);
  session.pass = pass_;
  return &session;
}

// It has sent an event: it will send its DESTROY.
template <typename Family>
void Tracker::heard(Session<Family>& session) {
  using S = Session<Family>;
  if (!session.has(S::kMute)) return;
  session.clear(S::kMute);
  --mute_;
  const bool wanted_new = session.has(S::kStartFromKernel)
                              ? sent_new(session.begin) && session.begin > news_missed_
                              : news_ && session.begin > all_known_since_ && news_missed_ < all_known_since_;
  if (!in_pass_ && wanted_new) news_are_kept_back_ = true;
}

// Of a session that a dump shows first. One that began under the subscription sends its NEW, which may be
// queued still, unless the kernel sent no events then. One without a stamp began after the dump before.
template <typename Family>
void Tracker::mark_mute(Session<Family>& session, std::uint64_t hash, bool restored) {
  using S = Session<Family>;
  const bool known = session.has(S::kStartKnown);
  if (restored && known && logged_since_ && session.begin >= *logged_since_) return;
  const bool under_subscription = known && session.begin >= heard_since_;
  const bool is_new = known ? sent_new(session.begin) : news_ && whole_pass_began_ >= news_since_;
  const bool wants_new = is_new && !restored && !purpose_.initial && !news_are_kept_back_;
  if (under_subscription && !wants_new) return;
  if (wants_new && shown_first_.size() < kMaxUnheard)
    shown_first_[hash] = {known ? session.begin : std::min(*whole_pass_began_, session.begin), session.begin};
  if (wants_new && is_one_of_the_missed(session)) return;
  session.set(S::kMute);
  ++mute_;
}

// Its NEW was sent, and did not fit: then its DESTROY will be sent as well. No more than as many as did not
// fit.
template <typename Family>
bool Tracker::is_one_of_the_missed(const Session<Family>& session) {
  const UnixMs begin = session.has(Session<Family>::kStartKnown) ? session.begin : *whole_pass_began_;
  if (missed_ == 0 || begin > news_missed_) return false;
  --missed_;
  return true;
}

// It begins with its NEW. One that nothing stamped, and that may have waited for long, began nobody knows
// when since then.
template <typename Family>
void Tracker::begin_at(Session<Family>& session, const ConntrackEvent& event) {
  const bool is_late = !event.event && now_ - waiting_since_ > kStampSlack;
  session.begin = is_late ? to_ms(waiting_since_) : time_of(event, now_);
  if (!is_late) session.set(Session<Family>::kStartKnown);
}

// Fills a session whose NEW was just received.
template <typename Family>
void Tracker::begin_with(Session<Family>& session, const ConntrackEvent& event) {
  begin_at(session, event);
  session.set(Session<Family>::kNewSeen);
  learn(session, event);
  if (mode_ == RecordMode::kStartEnd) maker_.start(session);
}

template <typename Family>
void Tracker::handle_new(const ConntrackEvent& event, const FlowKey<Family>& key, std::uint64_t hash) {
  using S = Session<Family>;
  if (Session<Family>* session = table<Family>().find(key, hash); session != nullptr) {
    // The dump that runs showed it first, and this event was still in the queue.
    const bool adopted_just_now = in_pass_ && session->pass == pass_ && !session->has(S::kNewSeen);
    if (adopted_just_now) {
      shown_first_.erase(hash);
      heard(*session);
      if (!session->has(S::kStartKnown) && !session->has(S::kStartPinned)) begin_at(*session, event);
      learn(*session, event);
      session->set(S::kNewSeen);
      return;
    }
    ++counters_.reused;
    close_gone(*session, hash, time_of(event, now_));
  }
  vanished_young_.erase(hash);
  vanished_old_.erase(hash);

  if (Session<Family>* const session = follow(key, hash); session != nullptr) begin_with(*session, event);
}

template <typename Family>
void Tracker::handle_update(const ConntrackEvent& event, const FlowKey<Family>& key, std::uint64_t hash) {
  Session<Family>* const session = table<Family>().find(key, hash);
  if (session == nullptr) {
    // Not followed from here on: the event may be behind its flow's DESTROY, sent by another processor.
    ++counters_.updates_unseen;
    return;
  }
  heard(*session);
  learn(*session, event);
  session->pass = pass_;
}

template <typename Family>
void Tracker::handle_destroy(const ConntrackEvent& event, const FlowKey<Family>& key, std::uint64_t hash) {
  const UnixMs end = to_ms(event.stop.value_or(event.event.value_or(now_)));
  if (in_pass_) ended_in_pass_.insert(hash);

  Session<Family>* const session = table<Family>().find(key, hash);
  if (session != nullptr && same_start(*session, event)) {
    heard(*session);
    learn(*session, event);
    maker_.end(*session, &event, RecordReason::kDestroyed, end);
    table<Family>().erase(*session, hash);
    return;
  }
  if (session != nullptr && to_ms(*event.start) > session->begin) {
    ++counters_.reused;
    close_gone(*session, hash, to_ms(*event.start));
  } else if (session != nullptr) {
    session->clear(Session<Family>::kNewSeen);  // a dump showed it already; its own NEW is behind this event
  }
  if (was_closed_as_vanished(event, hash, /*by_stamp=*/session != nullptr)) {
    ++counters_.late_destroys;
    vanished_young_.erase(hash);
    vanished_old_.erase(hash);
    return;
  }

  Session<Family> unseen{};
  unseen.key = key;
  unseen.history = Slab<History>::kNone;
  unseen.begin = end;
  learn(unseen, event);
  if (maker_.is_over(unseen, open_before_)) {
    ++counters_.late_destroys;
    return;
  }
  ++counters_.destroys_unseen;
  if (!open_before_.empty()) maker_.adopt(unseen, open_before_);
  maker_.end(unseen, &event, RecordReason::kDestroyed, end);
}

template <typename Family>
void Tracker::close_vanished(Session<Family>& session, std::uint64_t hash, UnixMs end) {
  const bool stamped = session.has(Session<Family>::kStartFromKernel);
  vanished_young_[hash] = stamped ? session.begin.time_since_epoch().count() : kNoStamp;
  close_gone(session, hash, end);
}

bool Tracker::can_remember_vanished() {
  if (vanished_young_.size() < vanished_limit_) return true;
  vanished_young_since_ = std::min(vanished_young_since_, now_);  // a clock that was set back
  if (destroys_ && now_ - vanished_young_since_ < kVanishedKept) return false;
  vanished_old_.swap(vanished_young_);
  vanished_young_.clear();
  vanished_young_since_ = now_;
  return true;
}

// Without the memory of close_vanished(): for a session whose key is used again. No DESTROY of it can come
// any more, for until then its key would have stayed its own.
template <typename Family>
void Tracker::close_gone(Session<Family>& session, std::uint64_t hash, UnixMs end) {
  ++counters_.vanished;
  if (session.has(Session<Family>::kMute)) --mute_;
  maker_.end(session, nullptr, RecordReason::kVanished, std::max(end, session.begin));
  table<Family>().erase(session, hash);
}

// `by_stamp`: only the kernel's stamp of the start counts as proof.
bool Tracker::was_closed_as_vanished(const ConntrackEvent& event, std::uint64_t hash, bool by_stamp) const {
  auto found = vanished_young_.find(hash);
  if (found == vanished_young_.end()) {
    found = vanished_old_.find(hash);
    if (found == vanished_old_.end()) return false;
  }
  const std::int64_t stamp = found->second;
  if (stamp == kNoStamp || !event.start) return !by_stamp;
  return to_ms(*event.start).time_since_epoch().count() == stamp;
}

void Tracker::begin_pass(const DumpPurpose& purpose) {
  purpose_ = purpose;
  in_pass_ = true;
  pass_ = pass_ == 255 ? 1 : static_cast<std::uint8_t>(pass_ + 1);
  shown_first_.clear();
  pass_began_ = to_ms(now_);
  // The subscription is older than its first dump.
  if (!purpose.initial) return;
  whole_pass_began_.reset();
  all_known_since_ = UnixMs::max();
  heard_since_ = std::exchange(inherited_since_, {}).value_or(to_ms(now_));
}

void Tracker::on_dump_entry(const ConntrackEvent& entry) {
  if (is_v4(entry)) {
    handle_dump_entry<V4>(entry);
  } else {
    handle_dump_entry<V6>(entry);
  }
}

template <typename Family>
void Tracker::handle_dump_entry(const ConntrackEvent& entry) {
  const auto key = FlowKey<Family>::of(entry);
  const std::uint64_t hash = hash_key(key);
  // The kernel wrote this entry before the DESTROY that has been handled already.
  if (ended_in_pass_.contains(hash)) return;

  Session<Family>* session = table<Family>().find(key, hash);
  // Another one on its key: its DESTROY and the NEW of this one are queued, or the sweep tells that it is
  // gone.
  if (session != nullptr && !same_start(*session, entry)) return;
  if (session == nullptr) {
    if (was_closed_as_vanished(entry, hash, true)) return;
    session = follow(key, hash);
    if (session == nullptr) return;
    ++counters_.adopted;
    session->begin = to_ms(now_);
    learn(*session, entry);
    const std::size_t left = open_before_.size();
    if (left > 0) maker_.adopt(*session, open_before_);
    mark_mute(*session, hash, /*restored=*/open_before_.size() < left);
    if (mode_ == RecordMode::kStartEnd && !purpose_.initial) maker_.start(*session);
  } else {
    learn(*session, entry);
  }
  session->pass = pass_;

  if (purpose_.final) {
    const bool never_reported = session->history == Slab<History>::kNone;
    maker_.interim(*session, &entry, std::max(*purpose_.close, session->begin), never_reported);
  } else if (mode_ == RecordMode::kWindow && purpose_.close && session->begin < *purpose_.close) {
    maker_.interim(*session, &entry, *purpose_.close, false);
  }
}

void Tracker::end_pass(bool whole, bool delayed) {
  in_pass_ = false;
  for (const auto& [hash, began] : shown_first_) {
    const Unheard known = unheard_.value_or(began);
    unheard_ = Unheard{std::min(known.first, began.first), std::max(known.last, began.last)};
  }
  shown_first_.clear();
  if (whole) {
    whole_pass_began_ = pass_began_;
    all_known_since_ = std::min(all_known_since_, to_ms(now_));
    if (news_missed_ < pass_began_) missed_ = 0;
  }
  proves_absence_ = whole;
  delayed_ = delayed;
  wants_confirmation_ = false;
  sweep_cursor_ = 0;
  sweeping_v6_ = false;
  ended_in_pass_.clear();
}

bool Tracker::sweep(std::uint32_t count) {
  if (!sweeping_v6_) {
    sweep_cursor_ = v4_.scan(sweep_cursor_, count, [this](Session<V4>& session) { sweep_one(session); });
    if (sweep_cursor_ < v4_.end()) return false;
    sweeping_v6_ = true;
    sweep_cursor_ = 0;
    return false;
  }
  if (sweep_cursor_ < v6_.end()) {
    sweep_cursor_ = v6_.scan(sweep_cursor_, count, [this](Session<V6>& session) { sweep_one(session); });
    return false;
  }
  return sweep_open_before(count);
}

// Whole dumps show every session that is there: what an earlier run left open and none has shown is over.
bool Tracker::sweep_open_before(std::uint32_t count) {
  if (!proves_absence_ || delayed_) return true;
  for (; count > 0 && !open_before_.empty(); --count) {
    ++counters_.vanished;
    maker_.vanished(*open_before_.take_any(), to_ms(now_));
  }
  return open_before_.empty();
}

template <typename Family>
void Tracker::sweep_one(Session<Family>& session) {
  using S = Session<Family>;
  if (session.pass == pass_) return;
  if (purpose_.final) {
    // Its DESTROY is on its way, or the dump was not whole: what is known of it is written, and no end is
    // claimed.
    if (session.history == Slab<History>::kNone) {
      maker_.interim(session, nullptr, std::max(*purpose_.close, session.begin), true);
    }
    return;
  }
  if (!proves_absence_) return;
  if (delayed_ || !session.has(S::kMissed)) {
    session.set(S::kMissed);
    if (!delayed_) wants_confirmation_ = true;
    return;
  }
  if (!can_remember_vanished()) return;
  const bool in_closed_window = purpose_.close && session.begin < *purpose_.close;
  close_vanished(session, hash_key(session.key), in_closed_window ? *purpose_.close : to_ms(now_));
}

bool Tracker::count_ports(PortUsage& usage, TableCursor& cursor, std::uint32_t count) {
  const auto add = [&]<typename Family>(const Session<Family>& session) {
    if ((session.nat_status & kStatusSrcNat) == 0) return;
    const FlowKey<Family>& key = session.key;
    usage.add(Family::load(key.reply_dst), key.protocol,
              is_icmp(key.protocol) ? key.reply_src_port : key.reply_dst_port);
  };
  if (!cursor.v6) {
    cursor.at = v4_.scan(cursor.at, count, add);
    if (cursor.at >= v4_.end()) cursor = {.v6 = true, .at = 0};
    return false;
  }
  cursor.at = v6_.scan(cursor.at, count, add);
  return cursor.at >= v6_.end();
}

void Tracker::take_open(std::vector<SessionRecord>& totals) {
  const auto add = [&](const auto& session) {
    if (auto total = maker_.total(session)) totals.push_back(std::move(*total));
  };
  v4_.scan(0, v4_.end(), add);
  v6_.scan(0, v6_.end(), add);
  for (auto total = open_before_.take_any(); total; total = open_before_.take_any()) {
    totals.push_back(maker_.here(*total));  // not seen yet: the initial dump was not whole
  }
}

}  // namespace natsession
