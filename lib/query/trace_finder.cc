#include "query/trace_finder.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "query/proof.h"

namespace natsession {
namespace {

constexpr std::size_t kLikelyBits = std::size_t{1} << 20;
constexpr std::size_t kFewPorts = 64;
constexpr std::size_t kMaxMatches = 4096;  // that wait to be made into records

std::uint64_t hash_of(const IpAddress& address) {
  std::uint64_t words[2];
  std::memcpy(words, address.bytes().data(), 16);
  std::uint64_t hash = (words[0] ^ 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 29) ^ words[1]) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

std::uint64_t with_port(std::uint64_t address_hash, std::uint32_t port) {
  return (address_hash ^ port) * 0xd6e8feb86659fd93 >> 32;
}

Span session_of(const SessionRecord& record) {
  const std::int64_t end = ms_of(record.end_time);
  return {std::min(ms_of(record.session_start.value_or(record.start_time)), end), end};
}

std::string_view netns_of(const SessionRecord& record) {
  return record.origin != nullptr ? std::string_view(record.origin->netns) : std::string_view();
}

bool is_same_session(const SessionRecord& a, const SessionRecord& b) {
  return netns_of(a) == netns_of(b) && a.protocol == b.protocol && a.pri_ip == b.pri_ip &&
         a.pub_ip == b.pub_ip && a.nat_ip == b.nat_ip && a.pri_port == b.pri_port &&
         a.pub_port == b.pub_port && a.nat_port == b.nat_port && a.zone == b.zone;
}

}  // namespace

SessionName name_of(const SessionRecord& record) {
  return {record.session_id, netns_of(record)};
}

std::int64_t ms_of(UnixMs time) {
  return time.time_since_epoch().count();
}

std::int64_t plus(std::int64_t ms, std::chrono::milliseconds more) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(ms, std::int64_t{more.count()}, &sum)) return sum;
  return more.count() < 0 ? std::numeric_limits<std::int64_t>::min()
                          : std::numeric_limits<std::int64_t>::max();
}

std::int64_t distance_of(const Span& a, const Span& b) {
  const auto apart = [](std::int64_t from, std::int64_t to) {
    const std::uint64_t difference = static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from);
    return static_cast<std::int64_t>(
        std::min<std::uint64_t>(difference, std::numeric_limits<std::int64_t>::max()));
  };
  if (a.until < b.from) return apart(a.until, b.from);
  if (b.until < a.from) return apart(b.until, a.from);
  return 0;
}

std::vector<TimeRange> moments_of(std::vector<Span> spans) {
  std::sort(spans.begin(), spans.end(), [](const Span& a, const Span& b) { return a.from < b.from; });
  const auto time = [](std::int64_t ms) { return UnixMs(std::chrono::milliseconds(ms)); };
  std::vector<TimeRange> moments;
  for (const Span& span : spans) {
    if (!moments.empty() && span.from <= ms_of(*moments.back().until)) {
      moments.back().until = std::max(*moments.back().until, time(span.until));
    } else {
      moments.push_back({time(span.from), time(span.until)});
    }
  }
  return moments;
}

PeerMatch match_peer(const TraceQuestion& question, const SessionRecord& record) {
  const auto is_address = [&](const IpAddress& address) {
    return record.pub_ip == address || (record.has_orig_dst && record.orig_dst_ip == address);
  };
  const auto is_port = [&](std::uint16_t port) {
    return record.pub_port == port || (record.has_orig_dst && record.orig_dst_port == port);
  };
  PeerMatch match;
  match.address = question.pub_ip && is_address(*question.pub_ip);
  match.port = question.pub_port && is_port(*question.pub_port);
  match.differs = (question.pub_ip && !match.address) || (question.pub_port && !match.port);
  return match;
}

Evidence evidence_of(const TraceQuestion& question, const SessionRecord& record) {
  const Span asked{ms_of(question.from), ms_of(std::max(question.from, question.until))};
  const Span slice{ms_of(record.start_time), ms_of(record.end_time)};
  Evidence evidence;
  evidence.distance = distance_of(slice, asked);
  if (evidence.distance != 0) return evidence;
  bool all_known = true;
  bool moved = false;
  for (const Count& count :
       {record.bytes_from_pub, record.pkts_from_pub, record.bytes_from_vpc, record.pkts_from_vpc}) {
    all_known = all_known && count.known();
    moved = moved || (count.known() && count.value() > 0);
  }
  evidence.match = moved ? TimeMatch::kTraffic : all_known ? TimeMatch::kOpen : TimeMatch::kRecord;
  // Who changes a TCP state is a packet, and this slice has none.
  evidence.closed = evidence.match == TimeMatch::kOpen &&
                    (record.tcp_state == TcpState::kTimeWait || record.tcp_state == TcpState::kClose);
  evidence.overlap = std::max(slice.from, asked.from) - std::min(slice.until, asked.until);
  for (const Count& bytes : {record.bytes_from_pub, record.bytes_from_vpc}) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max() / 2;
    if (bytes.known()) evidence.bytes -= static_cast<std::int64_t>(std::min(bytes.value(), kMost));
  }
  return evidence;
}

TraceFinder::TraceFinder(const LogStore& ledger, const std::vector<TraceQuestion>& questions,
                         const TraceOptions& options, const ScanControl& control, const LedgerSpan& span)
    : ledger_(ledger),
      questions_(questions),
      options_(options),
      control_(control),
      span_(span),
      sessions_(questions.size()) {
  UnixMs earliest = UnixMs::max();
  for (const TraceQuestion& question : questions) earliest = std::min(earliest, question.from);
  window_ = ledger.window_since(earliest);
  for (const Coverage& coverage : ledger.coverage())
    ends_alone_ = ends_alone_ || coverage.conditions.records != kRecordsByWindow;
}

std::size_t TraceFinder::TargetHash::operator()(const Target& target) const {
  return with_port(hash_of(target.nat_ip), target.port);
}

Span TraceFinder::wanted(const TraceQuestion& question) const {
  const std::chrono::milliseconds slack = std::max(question.slack, std::chrono::milliseconds(0));
  return {plus(ms_of(question.from), -slack), plus(ms_of(std::max(question.from, question.until)), slack)};
}

bool TraceFinder::near_the_end(const TraceQuestion& question) const {
  return span_.records > 0 && plus(wanted(question).until, look_back()) > ms_of(span_.newest_end);
}

Result<void> TraceFinder::look_around() {
  std::vector<std::size_t> all(questions_.size());
  std::vector<Span> moments;
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i] = i;
    moments.push_back(wanted(questions_[i]));
    if (near_the_end(questions_[i])) moments.back().from = plus(moments.back().from, -look_back());
  }
  return look(all, moments);
}

Result<void> TraceFinder::look_ahead() {
  std::vector<std::size_t> unanswered;
  std::vector<Span> moments;
  for (std::size_t i = 0; i < questions_.size(); ++i) {
    const Span time = wanted(questions_[i]);
    const auto answers = [&](const FoundSession& session) {
      return distance_of(session.seen, time) == 0 && !match_peer(questions_[i], session.best).differs;
    };
    if (std::any_of(sessions_[i].found.begin(), sessions_[i].found.end(), answers)) continue;
    // Frames that meet the time itself have been read.
    unanswered.push_back(i);
    sessions_[i].silent_known = true;
    moments.push_back(
        {plus(time.until, std::chrono::milliseconds(1)), plus(time.until, kLongestSilence + window_)});
  }
  if (unanswered.empty()) return {};
  return look(unanswered, moments);
}

void TraceFinder::aim(const std::vector<std::size_t>& questions) {
  targets_.clear();
  likely_.assign(kLikelyBits / 64, 0);
  for (const std::size_t i : questions) {
    const TraceQuestion& question = questions_[i];
    const std::uint32_t port = question.nat_port ? *question.nat_port : kAnyPort;
    targets_[{question.nat_ip, port}].push_back(i);
    const std::uint64_t bit = with_port(hash_of(question.nat_ip), port) % kLikelyBits;
    likely_[bit / 64] |= std::uint64_t{1} << bit % 64;
  }
}

Result<void> TraceFinder::look(const std::vector<std::size_t>& questions, const std::vector<Span>& moments) {
  if (questions.empty()) return {};
  aim(questions);
  for (std::size_t i = 0; i < questions.size(); ++i) sessions_[questions[i]].looked_at = moments[i];
  Query query;
  query.moments = moments_of(moments);
  query.end.from = query.moments.front().from;

  FieldTest addresses(Field::kNatIp);
  FieldTest ports(Field::kNatPort);
  bool any_port = false;
  for (const auto& [target, about] : targets_) {
    addresses.addresses.push_back(target.nat_ip);
    any_port = any_port || target.port == kAnyPort || ports.numbers.size() >= kFewPorts;
    if (!any_port) ports.numbers.push_back({target.port, target.port});
  }
  query.where.push_back(std::move(addresses));
  if (!any_port) query.where.push_back(std::move(ports));
  query.columns = {Field::kNatIp, Field::kNatPort, Field::kStartTime, Field::kEndTime, Field::kSessionStart};
  query.whole = true;

  Scan scan(ledger_, query, control_);
  scan.run([this](unsigned, const ScanBatch& batch) { handle(batch); });
  report_.merge(scan.report());
  return scan.error();
}

const std::vector<std::size_t>* TraceFinder::questions_about(const IpAddress& nat_ip,
                                                             std::uint32_t port) const {
  const auto found = targets_.find({nat_ip, port});
  return found != targets_.end() ? &found->second : nullptr;
}

// Not under the lock until something is found.
void TraceFinder::handle(const ScanBatch& batch) {
  const AddressColumn nat = batch.addresses(Field::kNatIp);
  const auto ports = batch.ports(Field::kNatPort);
  const auto starts = batch.times(Field::kStartTime);
  const auto ends = batch.times(Field::kEndTime);
  const auto session_starts = batch.times(Field::kSessionStart);
  std::vector<std::uint64_t> hashes;
  for (const IpAddress& address : nat.distinct) hashes.push_back(hash_of(address));
  const auto likely = [&](std::uint64_t hash) {
    const std::uint64_t bit = hash % kLikelyBits;
    return (likely_[bit / 64] >> bit % 64 & 1) != 0;
  };

  // Frames that are read for others are none of a question's: its answer is the same alone and in a list.
  const Span frame{ms_of(batch.frame().min_start), ms_of(batch.frame().max_end)};
  Matches matches;
  for (const std::uint32_t row : batch.rows()) {
    const std::uint64_t hash = hashes[nat.index[row]];
    for (const std::uint32_t port : {std::uint32_t{ports[row]}, kAnyPort}) {
      if (!likely(with_port(hash, port))) continue;
      const auto* const about = questions_about(nat.distinct[nat.index[row]], port);
      if (about == nullptr) continue;
      // Whether it has ended is seen when the record is whole.
      const Span reach = reach_of(session_starts[row], starts[row], ends[row]);
      for (const std::size_t question : *about) {
        if (distance_of(frame, sessions_[question].looked_at) != 0) continue;
        if (!may_answer(questions_[question], reach, /*ended=*/false)) continue;
        matches.rows.push_back(row);
        matches.questions.push_back(question);
        if (matches.rows.size() == kMaxMatches) offer_all(batch, matches);
      }
    }
  }
  offer_all(batch, matches);
}

void TraceFinder::offer_all(const ScanBatch& batch, Matches& matches) {
  if (matches.rows.empty()) return;
  RecordBlock block;
  const auto made = batch.materialise(matches.rows, block);
  const std::lock_guard lock(mutex_);
  if (!made) tell_lost(batch, matches, made.error());
  for (std::size_t i = 0; i < block.records.size(); ++i) {
    offer(matches.questions[i], block.records[i], /*live=*/false);
  }
  matches = {};
}

// A column that only whole records need is damaged.
void TraceFinder::tell_lost(const ScanBatch& batch, const Matches& matches, const Error& error) {
  constexpr std::size_t kMaxLost = 10;  // of one question
  const Trouble trouble = batch.damage(error);
  ScanReport more;
  more.trouble_count = 1;
  more.troubles = {trouble};
  report_.merge(more);
  for (const std::size_t question : matches.questions) {
    std::vector<Trouble>& lost = sessions_[question].lost;
    const bool known = std::find(lost.begin(), lost.end(), trouble) != lost.end();
    if (!known && lost.size() < kMaxLost) lost.push_back(trouble);
  }
}

// A session that goes on may be open at a time behind its last record, if the ledger has not much behind that
// time.
bool TraceFinder::may_answer(const TraceQuestion& question, const Span& session, bool ended) const {
  const Span time = wanted(question);
  const std::int64_t last =
      !ended && near_the_end(question) ? plus(session.until, look_back()) : session.until;
  return session.from <= time.until && last >= time.from;
}

void TraceFinder::offer(std::size_t number, const SessionRecord& record, bool live) {
  const TraceQuestion& question = questions_[number];
  if (record.event == RecordEvent::kGap) return;
  if (question.protocol && record.protocol != *question.protocol) return;
  if (record.origin != nullptr && !question.may_be_in(record.origin->netns)) return;
  const Span session = session_of(record);
  Sessions& sessions = sessions_[number];
  // What a session of the daemon's has moved is not told by the time: it has no slice.
  const Evidence evidence =
      live ? Evidence{.distance = std::numeric_limits<std::int64_t>::max()} : evidence_of(question, record);
  auto known = sessions.by_name.find(name_of(record));
  if (live && (known == sessions.by_name.end() || record.session_id == 0)) {
    const auto same = std::find_if(
        sessions.found.begin(), sessions.found.end(),
        [&](const FoundSession& found) { return !found.ended && is_same_session(found.best, record); });
    if (same != sessions.found.end()) {
      known = sessions.by_name.find(name_of(same->best));
    } else if (record.session_id == 0) {
      known = sessions.by_name.end();
    }
  }
  if (known == sessions.by_name.end()) {
    if (session_count_ == kMaxSessions ||
        sessions.found.size() >= std::max<std::size_t>(1000, 10 * options_.max_candidates)) {
      ++sessions.left_out;
      return;
    }
    ++session_count_;
    SessionRecord kept = record;
    if (kept.session_id == 0)
      kept.session_id = ~sessions.found.size();  // a name for it, within this question
    known = sessions.by_name.emplace(name_of(kept), sessions.found.size()).first;
    sessions.found.push_back({kept, evidence, session, 0, false, false});
  }
  FoundSession& found = sessions.found[known->second];
  // Scans come in no order: of records that prove the same it is the later one.
  if (evidence < found.evidence || (evidence == found.evidence && record.seq > found.best.seq)) {
    const std::uint64_t id = found.best.session_id;
    found.best = record;
    found.best.session_id = id;
    found.evidence = evidence;
  }
  found.seen = {std::min(found.seen.from, session.from), std::max(found.seen.until, session.until)};
  if (const std::int64_t from = reach_of(record, live).from; from < session.from) found.maybe_from = from;
  found.records += live ? 0 : 1;
  found.ended = found.ended || record.event == RecordEvent::kEnd;
  found.live = found.live || live;
}

// A session has a record within a day and a window of its beginning, unless it gets none before it ends.
std::int64_t TraceFinder::earliest_before(std::int64_t end) const {
  return ends_alone_ ? std::numeric_limits<std::int64_t>::min() : plus(end, -(kLongestSilence + window_));
}

// Where the clock was set back since it began, its beginning tells nothing of the clock of now. One whose
// beginning nobody knows began before a record tells of it: also before its first, as it has none while it is
// silent.
Span TraceFinder::reach_of(std::int64_t session_start, std::int64_t start, std::int64_t end) const {
  if (session_start == kUnknownTime) return {earliest_before(std::min(start, end)), end};
  return {session_start <= end ? session_start : earliest_before(end), end};
}

Span TraceFinder::reach_of(const SessionRecord& record, bool live) const {
  const std::int64_t end = ms_of(record.end_time);
  return reach_of(record.session_start ? ms_of(*record.session_start) : kUnknownTime,
                  live ? end : ms_of(record.start_time), end);
}

void TraceFinder::add_live() {
  std::vector<std::size_t> all(questions_.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  aim(all);
  for (const SessionRecord& record : options_.live) {
    for (const std::uint32_t port : {std::uint32_t{record.nat_port}, kAnyPort}) {
      const auto* const about = questions_about(record.nat_ip, port);
      if (about == nullptr) continue;
      for (const std::size_t question : *about) {
        if (may_answer(questions_[question], reach_of(record, /*live=*/true), /*ended=*/true))
          offer(question, record, /*live=*/true);
      }
    }
  }
}

}  // namespace natsession
