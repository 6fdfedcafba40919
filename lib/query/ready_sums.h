// ReadySums: answers a question, for as much of its time as is whole minutes or hours, from the sums that
// stand ready beside the ledger's sealed segments (ledger/segment_sums.h), or that another store makes. The
// rest of the time, and segments whose sums are not there, are left to the records: read() says which these
// are not (Query::ready), and a scan of them makes the answer whole. Both together are what the records alone
// would say.
// Threads: one call at a time; `use` is called from several threads at once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ledger/segment_sums.h"
#include "query/log_store.h"
#include "query/query.h"
#include "query/scan.h"

namespace natsession {

class ReadySums {
 public:
  // For records by their end_time, grouped by `by`. Nothing where no kind of sums can tell: then only records
  // can.
  [[nodiscard]] static std::optional<ReadySums> by_end(const Query& query, const std::vector<Field>& by);
  // For [from, until) in parts that begin `length` apart, grouped by `by`; `at_end`: see kinds().
  [[nodiscard]] static std::optional<ReadySums> over_time(UnixMs from, UnixMs until,
                                                          std::chrono::milliseconds length,
                                                          const std::vector<FieldTest>& where,
                                                          const std::optional<Field>& by, bool at_end);

  // When what was added up was does not matter: a store elsewhere need not tell.
  void add_up_periods() { by_period_ = false; }

  // Which sums are read. Of kMinutesAtEnd and kMinutes both, sessions are to be taken from the latter.
  [[nodiscard]] const std::vector<SumsKind>& kinds() const { return kinds_; }
  // Where the part that sums answer ends, for over_time().
  [[nodiscard]] UnixMs until() const;

  // Calls `use` with what passes the question's tests and lies within its whole periods; never twice at once
  // with the same worker number, which is below Scan::threads_of(control). Returns what records need not be
  // asked for; null if a file was damaged in a way that shows too late: what `use` was given is void then,
  // and the records are to be asked alone. `note` says what an answer tells beside (ScanReport::note).
  using Use = std::function<void(unsigned worker, SumsKind kind, std::span<const SumsEntry> entries)>;
  [[nodiscard]] std::shared_ptr<const ReadyPart> read(const LogStore& ledger, const ScanControl& control,
                                                      const Use& use, std::string& note) const;

 private:
  class Reading;
  ReadySums(std::vector<SumsKind> kinds, std::vector<FieldTest> where)
      : kinds_(std::move(kinds)), where_(std::move(where)) {}
  [[nodiscard]] bool can_tell(const SegmentEntry& segment) const;
  [[nodiscard]] ReadyPart whole_part() const;
  [[nodiscard]] std::shared_ptr<const ReadyPart> read(RemoteLog& log, const ScanControl& control,
                                                      const Use& use) const;
  [[nodiscard]] std::int64_t length_ms() const { return length_of(kinds_.front()).count(); }

  std::vector<SumsKind> kinds_;
  std::vector<FieldTest> where_;
  bool by_period_ = true;
  std::optional<std::int64_t> first_;   // the first period; nothing: from the beginning
  std::optional<std::int64_t> behind_;  // the one behind the last; nothing: to the end
};

}  // namespace natsession
