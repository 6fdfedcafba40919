// OpenSessions: what a log tells of the sessions that had not ended when it stops. A logger that starts again
// goes on where the log ends: the same session_id, the next seq, and only what was not reported yet.
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>

#include "record/session_record.h"

namespace natsession {

struct OpenSession {
  SessionRecord last;  // its last record, without origin and vpc_id
  bool whole =
      false;  // all its records are known, from the first: else the sums are not all that was reported
  // The sum of its records; what they did not know counts as 0.
  std::uint64_t bytes_from_pub = 0;
  std::uint64_t pkts_from_pub = 0;
  std::uint64_t bytes_from_vpc = 0;
  std::uint64_t pkts_from_vpc = 0;
};

class OpenSessions {
 public:
  // Further ones are not kept: they would be reported from their beginning again.
  static constexpr std::size_t kLimit = 8'000'000;

  // The next record of the log, in its order, of one network namespace.
  void add(const SessionRecord& record);

  // The open session between the addresses and ports of `record` (its session_start and id do not matter),
  // which is then forgotten, if `accept` says that it is the one.
  std::optional<OpenSession> take(const SessionRecord& record,
                                  const std::function<bool(const OpenSession&)>& accept);
  // Any of them, which is then forgotten.
  std::optional<OpenSession> take_any();

  [[nodiscard]] std::size_t size() const { return sessions_.size(); }
  [[nodiscard]] bool empty() const { return sessions_.empty(); }

 private:
  std::unordered_map<std::uint64_t, OpenSession> sessions_;  // by flow: session_id with no start
};

}  // namespace natsession
