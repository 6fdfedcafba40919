// What a statement's texts mean beside the columns of the log. SQLite compares a text with a number as
// "more", and two spellings of a word as different, so that `start_time >= '2026-10-25'` or `protocol =
// 'tcp'` would choose nothing, without a word. Such a text is put into the form that the column has, or
// refused.
//
//   start_time, end_time, session_start, __time__   any time text that time_text.h reads: Unix seconds
//   protocol                                        a name: its number
//   event, tcp_state, reason, session_id            in any case
//   addresses                                       as they are: their columns compare addresses (COLLATE
//   address)
//
// Looked at is a text that is compared with a column, by itself, in IN (…) or BETWEEN, on either side. What
// else comes to such a column is seen when it is compared (log_constraints.h). A statement that gives the
// name of a column to something else keeps its texts beside this name.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace natsession {

struct SqlText {
  std::string sql;
  // Where a place in `sql` was in the statement that came.
  [[nodiscard]] std::size_t origin_of(std::size_t place) const;

  struct Edit {
    std::size_t place = 0;  // in `sql`, its end
    std::size_t origin = 0;
  };
  std::vector<Edit> edits;
};

// Errors: kUsage, naming the column, the text, what would do, and the place in the statement.
[[nodiscard]] Result<SqlText> with_meanings(std::string_view sql, UnixMs now);

// ", at line 3, column 7"
[[nodiscard]] std::string place_text(std::string_view sql, std::size_t offset);
// Whether SQLite takes a text for a number when it compares it with one.
[[nodiscard]] bool is_sql_number(std::string_view text);

}  // namespace natsession
