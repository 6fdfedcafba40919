// OpenSessions: the sessions that had not ended when a log stops. A logger that starts again goes on where
// the log ends: the same session_id, the next seq, and only what was not reported yet.
// Threads: one.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "record/session_record.h"

namespace natsession {

class OpenSessions {
 public:
  // Further ones are not kept: they would be reported from their beginning again.
  static constexpr std::size_t kLimit = 8'000'000;

  // The next record of the log, in its order, of one network namespace.
  void add(const SessionRecord& record);
  // An open session as total() has it, of a log whose further records are to be added.
  void add_total(const SessionRecord& total);

  // The open session between the addresses and ports of `record`, if it began when that one did; it is then
  // forgotten.
  //
  // What is given is its last record, without origin and vpc_id, and with the counters of all its records in
  // place of its own; unknown where a record is missing, or tells of an unknown count.
  std::optional<SessionRecord> take(const SessionRecord& record);
  // Any of them, which is over. Its DESTROY may come all the same.
  std::optional<SessionRecord> take_any();
  // Whether `record`, of a DESTROY, is of a session that take_any() gave. Asked once for each.
  bool is_over(const SessionRecord& record);
  [[nodiscard]] bool any_over() const { return !over_.empty(); }

  [[nodiscard]] std::size_t size() const { return sessions_.size(); }
  [[nodiscard]] bool empty() const { return sessions_.empty(); }

 private:
  // The DESTROY of further ones makes an end of their own.
  static constexpr std::size_t kOverLimit = 1'000'000;

  // By flow: session_id with no start.
  std::unordered_map<std::uint64_t, SessionRecord> sessions_;      // totals
  std::unordered_map<std::uint64_t, std::optional<UnixMs>> over_;  // session_start
};

}  // namespace natsession
