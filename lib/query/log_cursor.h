// LogCursor: the rows of one pass over the table `log`, and their values as SQLite wants them.
// Threads: one, the session's.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <vector>

#include <sqlite3.h>

#include "query/log_constraints.h"
#include "query/sql_context.h"

namespace natsession {

class LogCursor {
 public:
  explicit LogCursor(SqlContext& context) : context_(context) {}
  ~LogCursor() { end(); }
  LogCursor(const LogCursor&) = delete;
  LogCursor& operator=(const LogCursor&) = delete;

  // SQLite's codes; SqlContext::error says more.
  int begin(const LogPlan& plan, std::span<sqlite3_value*> values);
  int advance();
  [[nodiscard]] bool at_end() const { return batch_ == nullptr; }
  void give(int column, sqlite3_context* result);
  [[nodiscard]] sqlite3_int64 row_id() const;

 private:
  int next_batch();
  void end();
  void give_address(Field field, sqlite3_context* result);
  void give_text(std::string_view text, sqlite3_context* result);
  void give_from_record(Field field, const SessionRecord& record, sqlite3_context* result);

  SqlContext& context_;
  std::optional<Scan> scan_;
  const ScanBatch* batch_ = nullptr;
  std::size_t place_ = 0;  // in the batch
  // Of each address column, the text of each different address, when it has been asked for.
  std::array<std::vector<const std::string*>, 3> address_texts_;
};

}  // namespace natsession
