#include "query/whole_sessions.h"

#include <algorithm>

namespace natsession {
namespace {

void add_count(Count more, Count& sum) {
  sum = sum.known() && more.known() ? Count(sum.value() + more.value()) : Count();
}

}  // namespace

void WholeSessions::want(const TraceCandidate& candidate) {
  if (candidate.total.records == 0) return;
  Whole whole;
  whole.like = candidate.record;
  whole.seen = {ms_of(candidate.first_seen), ms_of(candidate.last_seen)};
  // Of a session whose beginning is not known there may be earlier records, as far back as it may be silent.
  whole.ends.from = candidate.record.session_start ? whole.seen.from : plus(whole.seen.from, -reach_);
  whole.ends.until = plus(whole.seen.until, candidate.ended ? std::chrono::milliseconds(0) : reach_);
  whole.total.bytes_from_pub = whole.total.pkts_from_pub = Count(0);
  whole.total.bytes_from_vpc = whole.total.pkts_from_vpc = Count(0);
  const auto [known, is_new] = sessions_.try_emplace(name_of(candidate.record), whole);
  // Most sessions have one record.
  if (is_new && candidate.record.event == RecordEvent::kEnd && is_first(candidate.record.seq))
    add(candidate.record);
  if (is_new) return;
  Span& ends = known->second.ends;
  ends = {std::min(ends.from, whole.ends.from), std::max(ends.until, whole.ends.until)};
}

Result<void> WholeSessions::read() {
  for (int passes = 0; passes < kMaxPasses && !cancelled_; ++passes, reach_ *= 2) {
    std::vector<Whole*> open;
    for (auto& [name, whole] : sessions_) {
      if (!whole.ended && whole.goes_on) open.push_back(&whole);
    }
    if (open.empty()) return {};
    if (auto passed = pass(std::move(open)); !passed) return passed;
  }
  return {};
}

Result<void> WholeSessions::pass(std::vector<Whole*> open) {
  Query query;
  FieldTest addresses(Field::kNatIp);
  FieldTest ports(Field::kNatPort);
  std::vector<Span> spans;
  wanted_.clear();
  for (Whole* const whole : open) {
    const SessionRecord& like = whole->like;
    wanted_[key_of(like.nat_port, like.session_start ? ms_of(*like.session_start) : kUnknownTime)].push_back(
        whole);
    addresses.addresses.push_back(like.nat_ip);
    ports.numbers.push_back({like.nat_port, like.nat_port});
    spans.push_back(whole->ends);
    whole->goes_on = false;
  }
  query.moments = moments_of(std::move(spans));
  query.end = {query.moments.front().from, query.moments.back().until};
  query.where = {std::move(addresses), std::move(ports)};
  query.columns = {Field::kNatPort, Field::kEndTime, Field::kSessionStart};
  query.whole = true;

  Scan scan(ledger_, query, control_);
  std::vector<Whole*> unsettled = open;
  while (const ScanBatch* const batch = scan.next()) {
    add(*batch);
    while (!unsettled.empty() && settled(*unsettled.back(), batch->frame().min_start)) unsettled.pop_back();
    if (unsettled.empty()) break;
  }
  scan.stop();
  cancelled_ = scan.report().cancelled;
  for (Whole* const whole : open) {
    const std::int64_t until = whole->ends.until;
    whole->ends = {plus(until, std::chrono::milliseconds(1)), plus(until, reach_)};
  }
  return scan.error();
}

// Whether no frame from here on has a record of it.
bool WholeSessions::settled(const Whole& whole, UnixMs read_from) {
  return whole.ended && (whole.total.whole || ms_of(read_from) > whole.seen.until);
}

void WholeSessions::add(const ScanBatch& batch) {
  const auto ports = batch.ports(Field::kNatPort);
  const auto ends = batch.times(Field::kEndTime);
  const auto starts = batch.times(Field::kSessionStart);
  std::vector<std::uint32_t> rows;
  for (const std::uint32_t row : batch.rows()) {
    const auto found = wanted_.find(key_of(ports[row], starts[row]));
    if (found == wanted_.end()) continue;
    const bool within = std::any_of(found->second.begin(), found->second.end(), [&](const Whole* whole) {
      return ends[row] >= whole->ends.from && ends[row] <= whole->ends.until;
    });
    if (within) rows.push_back(row);
  }
  if (rows.empty()) return;
  RecordBlock block;
  // What a damaged column hides is missing in the sums.
  if (!batch.materialise(rows, block)) return;
  for (const SessionRecord& record : block.records) add(record);
}

void WholeSessions::add(const SessionRecord& record) {
  const auto found = sessions_.find(name_of(record));
  if (found == sessions_.end() || record.event == RecordEvent::kGap) return;
  Whole& whole = found->second;
  const std::int64_t end = ms_of(record.end_time);
  if (end < whole.ends.from || end > whole.ends.until) return;
  SessionTotal& total = whole.total;
  add_count(record.bytes_from_pub, total.bytes_from_pub);
  add_count(record.pkts_from_pub, total.pkts_from_pub);
  add_count(record.bytes_from_vpc, total.bytes_from_vpc);
  add_count(record.pkts_from_vpc, total.pkts_from_vpc);
  ++total.records;
  whole.last_seq = std::max(whole.last_seq, record.seq);
  total.whole = total.records == (whole.last_seq & kMaxSeq) + 1;
  whole.ended = whole.ended || record.event == RecordEvent::kEnd;
  whole.goes_on = whole.goes_on || end > whole.seen.until;
  const std::int64_t begin = record.session_start ? whole.seen.from : ms_of(record.start_time);
  whole.seen = {std::min(whole.seen.from, begin), std::max(whole.seen.until, end)};
}

void WholeSessions::tell(TraceCandidate& candidate) const {
  const auto found = sessions_.find(name_of(candidate.record));
  if (found == sessions_.end()) return;
  const Whole& whole = found->second;
  candidate.total = whole.total;
  candidate.first_seen = std::min(candidate.first_seen, UnixMs(std::chrono::milliseconds(whole.seen.from)));
  candidate.last_seen = std::max(candidate.last_seen, UnixMs(std::chrono::milliseconds(whole.seen.until)));
  candidate.ended = candidate.ended || whole.ended;
}

}  // namespace natsession
