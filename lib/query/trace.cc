#include "query/trace.h"

#include <algorithm>
#include <set>

#include <fmt/core.h>

#include "query/proof.h"
#include "query/trace_finder.h"
#include "query/whole_sessions.h"

namespace natsession {
namespace {

bool meets(const Span& a, const Span& b) {
  return a.from <= b.until && a.until >= b.from;
}

// How the session and the time stand to each other. False if nothing is said of it at that time.
bool judge(const TraceFinder& finder, const TraceQuestion& question, TraceCandidate& candidate) {
  const Span time{ms_of(question.from), ms_of(std::max(question.from, question.until))};
  const Span seen{ms_of(candidate.first_seen), ms_of(candidate.last_seen)};
  candidate.match = candidate.evidence.distance == 0 ? candidate.evidence.match : TimeMatch::kOpen;
  candidate.distance = {};
  candidate.unended = candidate.may_have_been = false;
  if (candidate.evidence.distance == 0 || meets(seen, time)) return true;
  const bool behind = seen.until < time.from;
  candidate.unended = !candidate.ended && behind && finder.near_the_end(question);
  if (candidate.unended) return true;
  candidate.may_have_been = candidate.maybe_from && meets({ms_of(*candidate.maybe_from), seen.until}, time);
  if (candidate.may_have_been) return true;
  candidate.match = TimeMatch::kNear;
  candidate.distance = std::chrono::milliseconds(behind ? time.from - seen.until : time.until - seen.from);
  return std::chrono::abs(candidate.distance) <= question.slack;
}

TraceCandidate candidate_of(const TraceQuestion& question, const FoundSession& found) {
  TraceCandidate candidate;
  candidate.record = found.best;
  candidate.evidence = found.evidence;
  candidate.first_seen = UnixMs(std::chrono::milliseconds(found.seen.from));
  candidate.last_seen = UnixMs(std::chrono::milliseconds(found.seen.until));
  candidate.ended = found.ended;
  candidate.live = found.live;
  if (found.maybe_from) candidate.maybe_from = UnixMs(std::chrono::milliseconds(*found.maybe_from));
  candidate.total.records = found.records;
  const PeerMatch peer = match_peer(question, found.best);
  candidate.pub_ip_matches = peer.address;
  candidate.pub_port_matches = peer.port;
  candidate.pub_differs = peer.differs;
  return candidate;
}

bool better(const TraceCandidate& a, const TraceCandidate& b) {
  const auto rank = [](const TraceCandidate& candidate) {
    return std::tuple(candidate.pub_differs, candidate.may_have_been, candidate.match,
                      candidate.evidence.closed, candidate.unended, std::chrono::abs(candidate.distance),
                      candidate.evidence.overlap, candidate.evidence.bytes);
  };
  if (rank(a) != rank(b)) return rank(a) < rank(b);
  if (a.last_seen != b.last_seen) return a.last_seen > b.last_seen;
  return a.record.session_id < b.record.session_id;
}

// Best first, without those of which nothing is said.
void put_in_order(const TraceFinder& finder, const TraceQuestion& question,
                  std::vector<TraceCandidate>& candidates) {
  std::erase_if(candidates, [&](TraceCandidate& candidate) { return !judge(finder, question, candidate); });
  std::sort(candidates.begin(), candidates.end(), better);
}

// The gaps that are not told one by one, by their times.
class UntoldGaps {
 public:
  explicit UntoldGaps(const ScanReport& report) {
    for (const UntoldGap& gap : report.untold_gaps) {
      begins_.push_back(ms_of(gap.from));
      ends_.push_back(ms_of(gap.until));
    }
    std::sort(begins_.begin(), begins_.end());
    std::sort(ends_.begin(), ends_.end());
  }
  // All that have begun, without those that had ended before.
  [[nodiscard]] std::uint64_t meeting(const Span& wanted) const {
    const auto begun = std::upper_bound(begins_.begin(), begins_.end(), wanted.until) - begins_.begin();
    const auto ended = std::lower_bound(ends_.begin(), ends_.end(), wanted.from) - ends_.begin();
    return static_cast<std::uint64_t>(begun - ended);
  }

 private:
  std::vector<std::int64_t> begins_;
  std::vector<std::int64_t> ends_;
};

void add_warnings(const TraceFinder& finder, const TraceQuestion& question, const ScanReport& report,
                  const UntoldGaps& untold, const std::vector<Trouble>& lost, TraceAnswer& answer) {
  const Span wanted = finder.wanted(question);
  for (const KnownGap& gap : report.gaps) {
    if (question.may_be_in(gap.netns) && meets({ms_of(gap.from), ms_of(gap.until)}, wanted))
      answer.gaps.push_back(gap);
  }
  answer.untold_gaps = untold.meeting(wanted);
  // Records that tell of this time were written up to a window behind it; of sessions that were silent,
  // later.
  const std::chrono::milliseconds silence =
      answer.candidates.empty() ? kLongestSilence : std::chrono::hours(0);
  const UnixMs latest(std::chrono::milliseconds(plus(wanted.until, finder.look_back() + silence)));
  for (const Trouble& trouble : report.troubles) {
    if (trouble.time.meets(UnixMs(std::chrono::milliseconds(wanted.from)), latest))
      answer.troubles.push_back(trouble);
  }
  // One of those that are not told may be of this time.
  if (report.trouble_count > report.troubles.size() && answer.troubles.empty()) {
    answer.troubles.push_back(
        {TroubleKind::kDamaged,
         {},
         0,
         fmt::format("the ledger cannot be read in {} places, the times of some are not told",
                     report.trouble_count)});
  }
  for (const Trouble& trouble : lost) {
    const auto& told = answer.troubles;
    if (std::find(told.begin(), told.end(), trouble) == told.end()) answer.troubles.push_back(trouble);
  }
}

TraceVerdict verdict_of(const Proof& proof, const TraceQuestion& question, const ScanReport& report,
                        TraceAnswer& answer) {
  answer.source_nat_alone = proof.source_nat_alone();
  answer.missing = proof.missing_open(question.from, std::max(question.from, question.until), question.netns);
  if (!answer.candidates.empty()) return TraceVerdict::kFound;
  if (answer.gap_count() > 0 || !answer.troubles.empty() || report.cancelled || answer.more > 0) {
    return TraceVerdict::kUncertain;
  }
  return answer.missing.empty() ? TraceVerdict::kNoSession : TraceVerdict::kNotCovered;
}

void answer_question(TraceFinder& finder, const TraceQuestion& question, std::size_t number,
                     std::size_t limit, TraceAnswer& answer) {
  for (const FoundSession& found : finder.found(number)) {
    answer.candidates.push_back(candidate_of(question, found));
  }
  put_in_order(finder, question, answer.candidates);
  if (!answer.candidates.empty() && !answer.candidates.front().pub_differs) {
    std::erase_if(answer.candidates, [](const TraceCandidate& candidate) { return candidate.pub_differs; });
  }
  answer.more = finder.left_out(number);
  if (answer.candidates.size() > limit) {
    answer.more += answer.candidates.size() - limit;
    answer.candidates.resize(limit);
  }
}

// An address of this box is in the newest frame mostly; one that never was is looked for everywhere.
constexpr std::chrono::seconds kLookLimit{5};

void look_for_addresses(const LogStore& ledger, const std::vector<TraceQuestion>& questions,
                        ScanControl control, std::vector<TraceAnswer>& answers) {
  std::set<IpAddress> left;  // not seen yet
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (answers[i].candidates.empty()) left.insert(questions[i].nat_ip);
  }
  if (left.empty()) return;
  Query query;
  FieldTest any(Field::kNatIp);
  any.addresses.assign(left.begin(), left.end());
  query.where.push_back(std::move(any));
  query.columns = Columns{Field::kNatIp};
  const auto limit = std::chrono::steady_clock::now() + kLookLimit;
  control.deadline = control.deadline ? std::min(*control.deadline, limit) : limit;
  Scan scan(ledger, query, control, Scan::Order::kNewestFirst);
  while (const ScanBatch* const batch = left.empty() ? nullptr : scan.next()) {
    const AddressColumn nat = batch->addresses(Field::kNatIp);
    for (const std::uint32_t row : batch->rows()) left.erase(nat.distinct[nat.index[row]]);
  }
  // What cannot be read may have it.
  const bool all =
      left.empty() || (scan.error() && !scan.report().cancelled && scan.report().trouble_count == 0);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (!answers[i].candidates.empty()) continue;
    const bool seen = !left.contains(questions[i].nat_ip);
    if (seen || all) answers[i].address_seen = seen;
  }
}

std::string seconds_text(std::chrono::milliseconds duration) {
  return fmt::format("{:.1f} s", static_cast<double>(duration.count()) / 1000);
}

}  // namespace

std::string_view to_string(TraceVerdict verdict) {
  switch (verdict) {
    case TraceVerdict::kFound:
      return "found";
    case TraceVerdict::kNoSession:
      return "no session";
    case TraceVerdict::kUncertain:
      return "uncertain";
    case TraceVerdict::kNotCovered:
      break;
  }
  return "not covered";
}

std::string_view TraceAnswer::word() const {
  return verdict == TraceVerdict::kFound && peer_differs ? "other peer" : to_string(verdict);
}

std::vector<std::string> TraceCandidate::reasons() const {
  std::vector<std::string> reasons;
  if (match == TimeMatch::kTraffic) {
    reasons.emplace_back("it moved traffic in this window");
  } else if (match == TimeMatch::kRecord) {
    reasons.emplace_back("it had a record in this window, its counters are unknown");
  } else if (may_have_been) {
    reasons.emplace_back(live                    ? "it is open now, and may have been at this time"
                         : !record.session_start ? "it may have been open at this time, silent"
                                                 : "it may have been open at this time: the clock was set "
                                                   "back since it began");
  } else if (unended) {
    reasons.emplace_back("it had not ended in its last record");
  } else if (match == TimeMatch::kOpen && evidence.closed) {
    reasons.push_back(fmt::format("it had closed before ({}), and moved nothing in this window",
                                  to_string(record.tcp_state)));
  } else if (match == TimeMatch::kOpen) {
    reasons.emplace_back(evidence.distance == 0 ? "it was open at this time, and moved nothing in this window"
                                                : "it was open at this time");
  } else if (distance.count() < 0) {
    reasons.push_back((record.session_start ? "it began " : "its first record begins ") +
                      seconds_text(-distance) + " later");
  } else {
    reasons.push_back((ended ? "it ended " : "its last record ends ") + seconds_text(distance) + " before");
  }
  if (!record.session_start) reasons.emplace_back("when it began is unknown");
  if (live && !may_have_been) reasons.emplace_back("it is open now");
  if (pub_ip_matches && pub_port_matches) {
    reasons.emplace_back("the peer's address and port match");
  } else if (pub_ip_matches) {
    reasons.emplace_back("the peer's address matches");
  } else if (pub_port_matches) {
    reasons.emplace_back("the peer's port matches");
  }
  if (pub_differs) reasons.emplace_back("the peer is another one");
  return reasons;
}

Result<TraceResult> trace(const LogStore& ledger, const std::vector<TraceQuestion>& questions,
                          const TraceOptions& options, const ScanControl& control) {
  if (questions.size() > kMaxTraceQuestions) {
    return Error{ErrorKind::kUsage, "at most " + std::to_string(kMaxTraceQuestions) + " questions at once"};
  }
  TraceResult result;
  result.span = ledger.span();
  TraceFinder finder(ledger, questions, options, control, result.span);
  if (auto looked = finder.look_around(); !looked) return looked.error();
  finder.add_live();
  if (!finder.report().cancelled) {
    if (auto looked = finder.look_ahead(); !looked) return looked.error();
  }
  result.answers.resize(questions.size());
  const Proof proof(ledger, options.live_at);
  WholeSessions whole(ledger, control);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    answer_question(finder, questions[i], i, options.max_candidates, result.answers[i]);
    for (const TraceCandidate& candidate : result.answers[i].candidates) whole.want(candidate);
  }
  if (auto read = whole.read(); !read) return read.error();
  const UntoldGaps untold(finder.report());
  for (std::size_t i = 0; i < questions.size(); ++i) {
    TraceAnswer& answer = result.answers[i];
    for (TraceCandidate& candidate : answer.candidates) whole.tell(candidate);
    put_in_order(finder, questions[i], answer.candidates);
    answer.silent_known = finder.silent_known(i);
    answer.peer_differs = !answer.candidates.empty() && answer.candidates.front().pub_differs;
    add_warnings(finder, questions[i], finder.report(), untold, finder.lost(i), answer);
    answer.verdict = verdict_of(proof, questions[i], finder.report(), answer);
  }
  look_for_addresses(ledger, questions, control, result.answers);
  result.report = finder.report();
  result.report.cancelled = result.report.cancelled || whole.cancelled();
  return result;
}

}  // namespace natsession
