// ClickHouseRows: how the answer of a ClickHouse to a question for rows is taken, as it comes.
// Threads: an object one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "query/log_store.h"
#include "sink/clickhouse/clickhouse_table.h"

namespace natsession::ctl {

// An answer that is taken as it comes.
class AnswerRows {
 public:
  virtual ~AnswerRows() = default;
  // False: no more.
  virtual bool add(std::string_view part) = 0;
  // Errors: what was wrong with the answer.
  virtual Result<void> finish() = 0;
  [[nodiscard]] bool unwanted() const { return unwanted_; }
  [[nodiscard]] const std::string& why() const { return why_; }

 protected:
  // The beginning of what came, for people.
  [[nodiscard]] static std::string shown(std::string_view bytes);

  std::string why_;
  bool unwanted_ = false;
};

// Puts records together as they come, and hands them on in pieces; one that came twice, once.
class StoreRows final : public AnswerRows {
 public:
  // `take` outlives it.
  // Shape:  `columns` are what each row has, in that order.
  StoreRows(std::span<const clickhouse::Column* const> columns, const RemoteLog::Take& take)
      : reader_(columns), take_(take) {}

  bool add(std::string_view part) override;
  Result<void> finish() override;

 private:
  bool keep();

  clickhouse::RowReader reader_;
  const RemoteLog::Take& take_;
  SessionRecord record_;
  std::optional<SessionRecord> last_;
  std::vector<SessionRecord> piece_;
  std::string rest_;
};

}  // namespace natsession::ctl
