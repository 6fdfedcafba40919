// LogStore: what a question is asked of: a ledger's segments, or a RemoteLog, which has records of many boxes
// elsewhere. Whatever it is, a Scan reads it, so every question has the same answers.
// Threads: a view of what it was made of; as that.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/segment_list.h"
#include "ledger/segment_sums.h"
#include "query/query.h"

namespace natsession {

// What records add up to that are not gap records, whole periods of it, as segments' sums have it
// (ledger/segment_sums.h).
struct SumsQuestion {
  SumsKind kind = SumsKind::kMinutesAtEnd;
  std::optional<std::int64_t> first, behind;  // periods: the first one, and the one behind the last
  std::vector<FieldTest> where;               // of the field that the kind is by
  bool by_period = true;                      // false: all periods are one, number 0
};

// RemoteLog: the log in a store that can be asked for records by their fields and times.
// Threads: any, several at once.
class RemoteLog {
 public:
  // Takes some records, at most kMaxFrameRecords; false: no more are wanted.
  using Take = std::function<bool(std::vector<SessionRecord>&& records)>;

  virtual ~RemoteLog() = default;

  // Hands on all records that pass `query`, gap records included whose times pass, in the order of their
  // ends, or against it. Others may be among them: they are looked at again. Only those fields of a record
  // need be there that the query names or tests, its times, event and reason, the origin and events_lost; all
  // where Query::whole says so. What ended within Query::ready is not, gap records apart. A record that the
  // store has twice is handed on once.
  // Errors: kUnavailable, kPermission …: not all were handed on.
  virtual Result<void> read(const Query& query, bool newest_first, const Take& take) = 0;

  // Its records are entries of flows, which no other question sees.
  [[nodiscard]] virtual bool tells_flows() const { return false; }
  // Hands on what records add up to, in pieces; others may be among them: they are looked at again. A period
  // and key may come several times: they are to be added. False: the store cannot tell exactly, or not now;
  // what was handed on is void then, and the records are to be asked.
  using TakeSums = std::function<bool(std::span<const SumsEntry> entries)>;
  virtual bool sums(const SumsQuestion& question, const TakeSums& take) {
    static_cast<void>(question);
    static_cast<void>(take);
    return false;
  }

  // Hands on what the records that pass `query`, gap records left out, add up to, grouped by the fields `by`:
  // of each group a record that has its values in these fields, and nothing else. Each group comes once.
  // False: as sums().
  using TakeGroup = std::function<bool(const SessionRecord& key, const Sums& sums)>;
  virtual bool groups(const Query& query, std::span<const Field> by, const TakeGroup& take) {
    static_cast<void>(query);
    static_cast<void>(by);
    static_cast<void>(take);
    return false;
  }

  // As they were when it was opened.
  [[nodiscard]] virtual LedgerSpan span() const = 0;
  [[nodiscard]] virtual std::chrono::milliseconds window() const = 0;  // the longest of its boxes'
  // What is proved, of each box under its name; nothing where there is a box of which nothing is.
  [[nodiscard]] virtual std::vector<Coverage> coverage() const { return {}; }
  // Then: why, in words.
  [[nodiscard]] virtual std::string why_unproved() const = 0;
};

class LogStore {
 public:
  LogStore(const SegmentList& ledger) : ledger_(&ledger) {}  // NOLINT: a ledger is one
  LogStore(RemoteLog& remote) : remote_(&remote) {}          // NOLINT: likewise

  [[nodiscard]] const SegmentList* ledger() const { return ledger_; }  // null: it is a remote one
  [[nodiscard]] RemoteLog* remote() const { return remote_; }          // null: it is a ledger

  [[nodiscard]] LedgerSpan span() const { return ledger_ != nullptr ? ledger_->span() : remote_->span(); }
  [[nodiscard]] std::chrono::milliseconds window_since(UnixMs time) const {
    return ledger_ != nullptr ? ledger_->window_since(time) : remote_->window();
  }
  [[nodiscard]] std::vector<Coverage> coverage() const {
    return ledger_ != nullptr ? ledger_->coverage() : remote_->coverage();
  }
  // Where coverage() is empty: what that means.
  [[nodiscard]] std::string why_unproved() const {
    return ledger_ != nullptr ? "the ledger does not tell when all sessions were logged"
                              : remote_->why_unproved();
  }

 private:
  const SegmentList* ledger_ = nullptr;
  RemoteLog* remote_ = nullptr;
};

}  // namespace natsession
