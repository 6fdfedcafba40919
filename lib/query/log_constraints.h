// What a WHERE says that a scan can use: column, comparison, and the values it is compared with, as a Query.
//
// SQLite looks at each row again, so a constraint may let pass what SQLite would not, never the other way
// about: where types or collations are not the usual ones, nothing is made of it.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sqlite3.h>

#include "query/query.h"
#include "query/sql_session.h"

namespace natsession {

inline constexpr int kTimeColumn = static_cast<int>(kFieldCount);  // __time__

[[nodiscard]] constexpr const char* sql_type(FieldKind kind) {
  return kind == FieldKind::kNumber    ? "INTEGER"
         : kind == FieldKind::kTime    ? "REAL"
         : kind == FieldKind::kAddress ? "TEXT COLLATE address"
                                       : "TEXT";
}

enum class Comparison : char {
  kEqual = '=',
  kIn = 'i',
  kAtLeast = '>',  // also for >: SQLite leaves out what is equal
  kAtMost = '<',
  kInPrefix = 'p',
};

struct LogConstraint {
  int column = 0;
  Comparison comparison = Comparison::kEqual;
};

// What of one constraint can be used, if anything. `other_collations`: the statement may compare texts by
// others than their bytes. (SQLite tells which collation a constraint has, but not for an IN that it made of
// equalities with OR.)
[[nodiscard]] std::optional<Comparison> usable_comparison(sqlite3_index_info* info, int constraint,
                                                          bool other_collations);

// From xBestIndex to xFilter: "COLUMNS:COLUMN COMPARISON;…", the columns used as a number.
[[nodiscard]] std::string encode_plan(std::uint64_t columns_used,
                                      const std::vector<LogConstraint>& constraints);
struct LogPlan {
  std::uint64_t columns_used = 0;
  std::vector<LogConstraint> constraints;
};
[[nodiscard]] LogPlan decode_plan(const char* text);

// Adds what a constraint says to a query. False if no row can pass.
// Errors: kUsage for a prefix that is none, and for a text that is compared with a number.
[[nodiscard]] Result<bool> add_constraint(const LogConstraint& constraint, sqlite3_value* value,
                                          Query& query);

}  // namespace natsession
