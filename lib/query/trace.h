// Trace: which private host was behind this NAT address and port at that time? One question, or thousands in
// one pass over the ledger.
//
//   TraceQuestion question;
//   question.nat_ip = *IpAddress::parse("203.0.113.7");
//   question.nat_port = 40123;
//   question.from = question.until = time;
//   auto answer = trace(*ledger, question, {}, {});
//
// A candidate is one session, however many records it has: its beginning, its end and its sums come from all
// of them. Frames are chosen by time: a session that moved
// traffic at `from` has a record that ends within the window behind it. A session that was open but silent in
// that window shows only in a later record, by its session_start: when nothing else is found, records up to
// a day and a window behind are looked at, too (kLongestSilence). A session that has not ended when the
// ledger ends is found by its last record, if that is not older than two windows; others are the daemon's to
// tell (TraceOptions::live).
//
// Threads: trace() from any.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "query/log_store.h"
#include "query/scan.h"

namespace natsession {

struct TraceQuestion {
  IpAddress nat_ip;
  std::optional<std::uint16_t> nat_port;
  std::optional<std::uint8_t> protocol;
  UnixMs from, until;  // the time asked for; the same for a point of time; both ends belong to it
  std::chrono::milliseconds slack{5'000};  // clocks differ: how far outside its time a session may have been
  std::optional<IpAddress> pub_ip;         // matches also where the host meant to go (orig_dst)
  std::optional<std::uint16_t> pub_port;
  // Of this network namespace alone; empty: of all. Records that name none may be of it: a logger that
  // watches one only names none.
  std::string netns;

  [[nodiscard]] bool may_be_in(std::string_view other) const {
    return netns.empty() || other.empty() || netns == other;
  }
};

// How a session's time and the time asked for stand to each other; the smaller the better.
enum class TimeMatch : std::uint8_t {
  kTraffic,  // within a slice of it whose counters say that it moved traffic
  kRecord,   // within a slice of it whose counters are not known
  kOpen,     // between its beginning and its end: it was open and silent, or is open still
  kNear,     // outside by no more than the slack
};

// What one record proves of the time asked for: the smaller the better, in this order.
struct Evidence {
  std::int64_t distance = 0;  // in ms, of its slice; what follows is only for 0
  TimeMatch match = TimeMatch::kNear;
  bool closed = false;       // its TCP state and that it moved nothing say that it had closed before
  std::int64_t overlap = 0;  // in ms, as a negative number
  std::int64_t bytes = 0;    // both ways, likewise
  friend auto operator<=>(const Evidence&, const Evidence&) = default;
};

// What the records of one session add up to.
struct SessionTotal {
  Count bytes_from_pub, pkts_from_pub, bytes_from_vpc, pkts_from_vpc;  // unknown if one of the records' is
  std::uint32_t records = 0;
  bool whole = false;  // from its beginning to its end, or to the end of the ledger: no record is missing
};

struct TraceCandidate {
  SessionRecord record;  // of its records the one that proves most
  Evidence evidence;     // of `record`
  SessionTotal total;
  UnixMs first_seen;   // session_start, or, where that is not known, the start of its earliest record
  UnixMs last_seen;    // the end of its latest record, or of the session
  bool ended = false;  // its end record was read
  bool live = false;   // the daemon says that it is open
  std::optional<UnixMs> maybe_from;  // when it began is unknown: it may have been so early
  bool may_have_been = false;        // kOpen for that alone
  bool unended =
      false;  // kOpen, as its last record says that it goes on, and the ledger ends soon behind that
  TimeMatch match = TimeMatch::kNear;
  std::chrono::milliseconds
      distance{};  // kNear: the time is so much behind its end; less than 0: before its beginning
  bool pub_ip_matches = false;  // the question named it, and it is this one's
  bool pub_port_matches = false;
  bool pub_differs =
      false;  // the question named it, and it is another: shown only when no other candidate matches

  // What speaks for it, in words: "it moved traffic in this window", "it was open at this time", "it
  // ended 2.4 s before", "the peer's address matches" …
  [[nodiscard]] std::vector<std::string> reasons() const;
};

enum class TraceVerdict : std::uint8_t {
  kFound,
  kNoSession,   // it is proved that the log has all sessions of this time, and there was none
  kUncertain,   // none was found, but a gap, damage or deletion overlaps this time: see the report
  kNotCovered,  // none was found, and nothing proves that all are there
};
[[nodiscard]] std::string_view to_string(TraceVerdict verdict);  // found, no session, uncertain, not covered

struct TraceAnswer {
  TraceVerdict verdict = TraceVerdict::kNoSession;
  std::vector<TraceCandidate> candidates;  // best first
  bool peer_differs = false;               // the question named a peer, and all candidates have another
  bool silent_known = false;               // sessions that were open and silent were looked for, too
  std::uint64_t more = 0;                  // records of candidates beyond TraceOptions::max_candidates
  bool source_nat_alone = false;           // sessions of destination NAT alone are in no log
  std::string missing;                     // that all of this time is there is not proved: why, in words
  // Without a candidate: whether the ledger has nat_ip at all. Not set where it was too long to look for.
  std::optional<bool> address_seen;
  std::vector<KnownGap> gaps;     // that overlap the time asked for
  std::uint64_t untold_gaps = 0;  // so many more: beyond ScanReport::kMaxTold they are only counted
  std::vector<Trouble> troubles;  // likewise

  [[nodiscard]] bool found() const { return verdict == TraceVerdict::kFound && !peer_differs; }
  [[nodiscard]] std::uint64_t gap_count() const { return gaps.size() + untold_gaps; }
  // The verdict's word, or "other peer".
  [[nodiscard]] std::string_view word() const;
};

struct TraceOptions {
  std::size_t max_candidates = 100;  // per question
  // Sessions that are open now, as records: event interim, start_time when the session began, end_time when
  // the daemon was asked (live_at). session_id may be 0 where it is not known: then they are told apart by
  // their addresses, ports and zone.
  std::vector<SessionRecord> live;
  // Set if these are all that the questions may be about, and the ledger has those that ended before.
  std::optional<UnixMs> live_at;
};

struct TraceResult {
  std::vector<TraceAnswer> answers;  // one for each question, in their order
  LedgerSpan span;                   // what the ledger holds
  ScanReport report;
};

inline constexpr std::size_t kMaxTraceQuestions = 1'000'000;

// Answers all questions in one pass over the frames that they need, a second one for those that found
// nothing, and one for the other records of the sessions that were found.
// Errors: kUsage for too many questions; kIo, kPermission.
[[nodiscard]] Result<TraceResult> trace(const LogStore& ledger, const std::vector<TraceQuestion>& questions,
                                        const TraceOptions& options, const ScanControl& control);

}  // namespace natsession
