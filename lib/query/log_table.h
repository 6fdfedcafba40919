// The table `log`: a ledger as an SQLite virtual table. See sql_session.h for what it looks like from
// outside.
// Threads: one, the session's.
#pragma once

#include <sqlite3.h>

#include "query/sql_context.h"

namespace natsession {

// `context` must outlive the connection. Returns SQLite's code.
[[nodiscard]] int add_log_table(sqlite3* database, SqlContext& context);

}  // namespace natsession
