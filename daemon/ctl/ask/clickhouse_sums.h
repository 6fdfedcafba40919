// ClickHouseSums: the statements by which a ClickHouse adds records up, and how its answers are read. They
// add up to what a ledger's sums do (ledger/segment_summer.h), to the last byte.
// Threads: any; an object one.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ask/clickhouse_rows.h"
#include "query/log_store.h"

namespace natsession::ctl {

// Of what: a table, a condition on its rows, as SQL, and whether it has types for times and addresses.
struct SumsPlace {
  std::string table;
  std::string condition;
  bool modern = false;
};

[[nodiscard]] inline bool is_spread(SumsKind kind) {
  return kind == SumsKind::kMinutes;
}
// Its answer is for SumsRows.
[[nodiscard]] std::string sums_statement(const SumsQuestion& question, const SumsPlace& place);
// Answered by 1 where the sums are exact: nothing is there twice, no number has run over. Without FORMAT.
[[nodiscard]] std::string exactness_question(SumsKind kind, const SumsPlace& place);

// The same sums, grouped by columns, as GroupRows takes them.
[[nodiscard]] std::string groups_statement(std::span<const clickhouse::Column* const> by,
                                           const SumsPlace& place);

// Hands on each group as it comes.
class GroupRows final : public AnswerRows {
 public:
  // `take` outlives it.
  GroupRows(std::span<const clickhouse::Column* const> by, const RemoteLog::TakeGroup& take)
      : reader_(by), take_(take) {}
  bool add(std::string_view part) override;
  Result<void> finish() override;

 private:
  clickhouse::RowReader reader_;
  const RemoteLog::TakeGroup& take_;
  SessionRecord key_;
  std::string rest_;
};

class SumsRows final : public AnswerRows {
 public:
  SumsRows(SumsKind kind, const RemoteLog::TakeSums& take);
  bool add(std::string_view part) override;
  Result<void> finish() override;

 private:
  bool hand_on();

  const RemoteLog::TakeSums& take_;
  const std::size_t key_bytes_;
  std::vector<SumsEntry> piece_;
  std::string rest_;
};

}  // namespace natsession::ctl
