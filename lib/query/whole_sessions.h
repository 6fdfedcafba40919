// WholeSessions: the beginning, the end and the sums of sessions that a trace shows, from all of their
// records: what answers a question is one of them or a few. One narrow pass over the ledger for all sessions
// together; further ones while a session that has not ended goes on.
//
//   for (const TraceCandidate& candidate : …) whole.want(candidate);
//   whole.read();
//   for (TraceCandidate& candidate : …) whole.tell(candidate);
//
// Memory: 400 bytes a session. Time: a pass ends when all sessions have ended; where one has no end in the
// ledger, the days behind its last record are read, and again as many, then twice as many, while there are
// more records of it.
// Threads: one; its scans have workers of their own.
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "query/log_store.h"
#include "query/trace_finder.h"

namespace natsession {

class WholeSessions {
 public:
  static constexpr int kMaxPasses = 6;
  // The kernel forgets a silent TCP session after five days, and nothing else so late.
  static constexpr std::chrono::hours kTcpSilence{24 * 6};

  WholeSessions(const LogStore& ledger, const ScanControl& control) : ledger_(ledger), control_(control) {}

  // A session that has no record is passed over.
  void want(const TraceCandidate& candidate);
  // What cannot be read is missing in the sums: SessionTotal::whole.
  // Errors: kIo, kPermission.
  Result<void> read();
  void tell(TraceCandidate& candidate) const;
  [[nodiscard]] bool cancelled() const { return cancelled_; }

 private:
  struct Whole {
    SessionRecord like;
    Span seen;
    Span ends;  // the pass adds the records that end within
    SessionTotal total;
    std::uint32_t last_seq = 0;
    bool ended = false;
    bool goes_on = true;  // the last pass found it to go on
  };

  // What tells the records of most sessions apart without making them whole.
  [[nodiscard]] static std::uint64_t key_of(std::uint16_t nat_port, std::int64_t session_start) {
    return static_cast<std::uint64_t>(session_start) << 16 | nat_port;
  }
  Result<void> pass(std::vector<Whole*> open);
  void add(const ScanBatch& batch);
  void add(const SessionRecord& record);
  [[nodiscard]] static bool settled(const Whole& whole, UnixMs read_from);

  const LogStore ledger_;
  const ScanControl& control_;
  std::chrono::milliseconds reach_{kTcpSilence};
  std::map<SessionName, Whole> sessions_;
  std::unordered_map<std::uint64_t, std::vector<Whole*>> wanted_;  // of this pass, by key_of()
  bool cancelled_ = false;
};

}  // namespace natsession
