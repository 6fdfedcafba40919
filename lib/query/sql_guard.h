// What an SQL connection may do: read the table `log`, and compute. Everything else is refused by SQLite
// itself, when a statement is prepared: by the authorizer for what a statement does, by limits for how much.
// Threads: one, the session's.
#pragma once

#include <sqlite3.h>

#include "base/byte_count.h"

namespace natsession {

// Returns SQLite's code. After it, no statement can change a setting any more.
[[nodiscard]] int lock_down(sqlite3* database, std::size_t max_statement_bytes);

// While it lives, SQLite's heap, of the whole process, ends at a limit: what does not fit fails with
// SQLITE_NOMEM.
class HeapLimit {
 public:
  explicit HeapLimit(ByteCount limit)
      : before_(sqlite3_hard_heap_limit64(static_cast<sqlite3_int64>(limit.bytes))) {}
  HeapLimit(const HeapLimit&) = delete;
  HeapLimit& operator=(const HeapLimit&) = delete;
  ~HeapLimit() { sqlite3_hard_heap_limit64(before_); }

 private:
  sqlite3_int64 before_;
};

}  // namespace natsession
