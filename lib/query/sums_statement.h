// A statement that asks for sums of the table `log`, and the same one asked of sums that are made here.
//
// SQLite gets a row for each record, a value at a time; for GROUP BY it sorts them all. A statement of this
// shape needs neither: lib/query adds the records up, by all columns that the statement tells them apart by,
// and SQLite gets a row for each of these groups (the table `log_sums`, log_sums.cc) and does the rest of the
// statement, every expression, HAVING, ORDER BY and LIMIT, as before:
//
//   SELECT …, count(*), sum(bytes_from_vpc), date_trunc('minute', __time__) AS m … FROM log
//   WHERE … AND … GROUP BY m, pri_ip HAVING … ORDER BY … LIMIT …
//
//   aggregates      count(*); count(DISTINCT …) of what GROUP BY may name; sum, total, avg of counters and
//   seq; count, min, max of these and of times GROUP BY        columns of addresses, ports, protocol and
//   words; date_trunc('…', __time__ or end_time);
//                   or the alias or the number of such a column of the answer
//   beside these    only what GROUP BY names, in expressions of operators, CASE, CAST and some functions
//   WHERE           any expression over addresses, ports, protocol and words; and, with AND between them,
//                   comparisons of a time with a number
//
// What does not look like that, is no such statement; then SQLite gets the records.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "query/log_constraints.h"
#include "query/sql_functions.h"

namespace natsession {

// What is added up, and by what: the columns of log_sums.
struct SumsPlan {
  static constexpr std::size_t kMaxKeys = 4;   // columns and steps together
  static constexpr std::size_t kMaxParts = 9;  // all that can be added up

  struct Part {
    int column = 0;         // a counter or a time of the log
    bool sum = false;       // beside how many have a value,
    bool extremes = false;  // the least and the most
    bool exact = false;     // the sum has to be one that a double can have
    bool counted = false;   // how many have a value has to be known, not only whether any has
  };
  std::vector<Field> keys;
  std::vector<TimeStep> steps;  // of date_trunc() over end_time
  std::vector<Part> parts;
  bool no_gaps = false;  // WHERE event <> 'gap', which log_sums sees to
};

// Columns of log_sums: those of the log, of which only keys have a value; then these.
inline constexpr std::string_view kSumsTable = "log_sums";
inline constexpr std::string_view kSumsPrefix = "sums_";  // of the names of what follows
inline constexpr int kSumsRecords = kTimeColumn + 1;      // sums_records
inline constexpr int kSumsSteps = kSumsRecords + 1;       // sums_step0 …: the texts of date_trunc()
inline constexpr int kSumsParts = kSumsSteps + static_cast<int>(SumsPlan::kMaxKeys);
enum class SumsValue { kCount, kSum, kLeast, kMost };  // sums_count0, sums_sum0, sums_least0, sums_most0 …
inline constexpr int kSumsValues = 4;

struct SumsStatement {
  std::string sql;
  SumsPlan plan;
};

// `sql` is a statement that SQLite has taken.
[[nodiscard]] std::optional<SumsStatement> as_sums_statement(std::string_view sql);

}  // namespace natsession
