// The functions of SqlSession beside SQLite's own: date_trunc, in_prefix, to_unixtime, from_unixtime; and
// trim, ltrim and rtrim of two arguments in place of SQLite's.
// Threads: one, the session's.
#pragma once

#include <sqlite3.h>

#include "query/sql_context.h"

namespace natsession {

// `context` must outlive the connection. Returns SQLite's code.
[[nodiscard]] int add_functions(sqlite3* database, SqlContext& context);

void in_prefix_function(sqlite3_context* result, int count, sqlite3_value** values);

enum class TimeUnit : std::uint8_t { kSecond, kMinute, kHour, kDay, kWeek, kMonth, kQuarter, kYear };
[[nodiscard]] std::optional<TimeUnit> parse_time_unit(std::string_view name);
// RFC 3339, whole seconds. Weeks begin on Monday.
[[nodiscard]] std::string truncated_time_text(TimeUnit unit, UnixMs time, bool utc);

}  // namespace natsession
