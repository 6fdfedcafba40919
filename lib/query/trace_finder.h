// TraceFinder: finds the records that answer many trace questions in one pass, and puts together those of one
// session.
// Threads: one; its scans have workers of their own.
#pragma once

#include <map>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "query/log_store.h"
#include "query/trace.h"

namespace natsession {

// A time that a session may meet; both ends belong to it.
struct Span {
  std::int64_t from = 0;
  std::int64_t until = 0;
};
// Time arithmetic that stays within what UnixMs can say.
[[nodiscard]] std::int64_t ms_of(UnixMs time);
[[nodiscard]] std::int64_t plus(std::int64_t ms, std::chrono::milliseconds more);
// How far a time lies outside another; 0 if they meet.
[[nodiscard]] std::int64_t distance_of(const Span& a, const Span& b);

// The times of one or more spans, ascending and apart, for Query::moments.
[[nodiscard]] std::vector<TimeRange> moments_of(std::vector<Span> spans);

struct PeerMatch {
  bool address = false;  // the question named it, and it is this one's
  bool port = false;
  bool differs = false;  // the question named it, and it is another
};
[[nodiscard]] PeerMatch match_peer(const TraceQuestion& question, const SessionRecord& record);

[[nodiscard]] Evidence evidence_of(const TraceQuestion& question, const SessionRecord& record);

// One session, as far as it has been read, for one question.
struct FoundSession {
  SessionRecord best;  // of its records the one that proves most
  Evidence evidence;   // of `best`
  Span seen;           // from its beginning to its last end
  std::uint32_t records = 0;
  bool ended = false;
  bool live = false;
  std::optional<std::int64_t> maybe_from = {};  // when it began is unknown: it may have been so early
};

// What names a session in a ledger: two network namespaces may have sessions between the same ends.
using SessionName = std::pair<std::uint64_t, std::string_view>;  // session_id, netns
[[nodiscard]] SessionName name_of(const SessionRecord& record);

class TraceFinder {
 public:
  static constexpr std::size_t kMaxSessions = 200'000;  // of all questions together

  TraceFinder(const LogStore& ledger, const std::vector<TraceQuestion>& questions,
              const TraceOptions& options, const ScanControl& control, const LedgerSpan& span);

  // The longest window of records that tell of the questions' times, and how far before a time the last
  // record of a session may have ended that is open then: in the window of the time it may have moved
  // nothing.
  [[nodiscard]] std::chrono::milliseconds window() const { return window_; }
  [[nodiscard]] std::chrono::milliseconds look_back() const { return 2 * window_; }

  // Records around each question's time.
  Result<void> look_around();
  // Records behind the time, for the questions that have found no session that was open.
  Result<void> look_ahead();
  void add_live();

  // Of each question, in no order.
  [[nodiscard]] std::vector<FoundSession>& found(std::size_t question) { return sessions_[question].found; }
  [[nodiscard]] std::uint64_t left_out(std::size_t question) const { return sessions_[question].left_out; }
  // Whether sessions were looked for, too, that were open and silent.
  [[nodiscard]] bool silent_known(std::size_t question) const { return sessions_[question].silent_known; }
  // Damage that hides records of which only this is known: they answer the question.
  [[nodiscard]] const std::vector<Trouble>& lost(std::size_t question) const {
    return sessions_[question].lost;
  }
  [[nodiscard]] const ScanReport& report() const { return report_; }
  // The time of which a question wants to know, with its slack.
  [[nodiscard]] Span wanted(const TraceQuestion& question) const;
  // Whether sessions that have not ended by then may be open at the question's time.
  [[nodiscard]] bool near_the_end(const TraceQuestion& question) const;

 private:
  struct Sessions {
    std::vector<FoundSession> found;
    std::map<SessionName, std::size_t> by_name;
    std::uint64_t left_out = 0;
    std::vector<Trouble> lost;
    Span looked_at;  // in which frames of this pass have something in common with it
    bool silent_known = false;
  };
  // Which questions may be about a record: by nat_ip and nat_port, or nat_ip alone.
  struct Target {
    IpAddress nat_ip;
    std::uint32_t port = 0;  // kAnyPort
    friend bool operator==(const Target&, const Target&) = default;
  };
  struct TargetHash {
    [[nodiscard]] std::size_t operator()(const Target& target) const;
  };
  static constexpr std::uint32_t kAnyPort = 65536;

  // Records of a batch, and which question each may answer.
  struct Matches {
    std::vector<std::uint32_t> rows;
    std::vector<std::size_t> questions;
  };

  void aim(const std::vector<std::size_t>& questions);
  Result<void> look(const std::vector<std::size_t>& questions, const std::vector<Span>& moments);
  void handle(const ScanBatch& batch);
  void offer_all(const ScanBatch& batch, Matches& matches);
  void tell_lost(const ScanBatch& batch, const Matches& matches, const Error& error);
  void offer(std::size_t question, const SessionRecord& record, bool live);
  // When a session may have been open of which a record has these times; session_start may be kUnknownTime.
  [[nodiscard]] Span reach_of(std::int64_t session_start, std::int64_t start, std::int64_t end) const;
  [[nodiscard]] Span reach_of(const SessionRecord& record, bool live) const;
  [[nodiscard]] std::int64_t earliest_before(std::int64_t end) const;
  [[nodiscard]] bool may_answer(const TraceQuestion& question, const Span& session, bool ended) const;
  [[nodiscard]] const std::vector<std::size_t>* questions_about(const IpAddress& nat_ip,
                                                                std::uint32_t port) const;

  const LogStore ledger_;
  const std::vector<TraceQuestion>& questions_;
  const TraceOptions& options_;
  const ScanControl& control_;
  const LedgerSpan& span_;
  std::chrono::milliseconds window_;
  bool ends_alone_ = false;  // some sessions have a record at their end alone

  std::unordered_map<Target, std::vector<std::size_t>, TargetHash> targets_;
  std::vector<std::uint64_t>
      likely_;        // a bit for each hash of a target: nearly all records are sorted out by it
  std::mutex mutex_;  // of what follows, while a scan runs
  std::vector<Sessions> sessions_;
  std::size_t session_count_ = 0;
  ScanReport report_;
};

}  // namespace natsession
