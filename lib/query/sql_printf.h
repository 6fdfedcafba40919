// printf() and format() for SqlSession: SQLite's own, but for widths and precisions without end. With those a
// single call runs for minutes, and nothing stops it on the way.
// Threads: one, the session's.
#pragma once

#include <sqlite3.h>

namespace natsession {

// Returns SQLite's code.
[[nodiscard]] int add_printf(sqlite3* database);

}  // namespace natsession
