#include "query/sql_guard.h"

#include <array>
#include <string_view>
#include <utility>

namespace natsession {
namespace {

// What builds large values out of nothing, or tells of the machine.
constexpr std::array<std::string_view, 11> kRefusedFunctions{
    "load_extension",
    "json_patch",  // its time goes with the square of its texts
    "rtreecheck",
    "sqlite_log",
    "fts3_tokenizer",
    "sqlite_compileoption_get",
    "sqlite_compileoption_used",
    "sqlite_offset",
    "readfile",
    "writefile",
    "edit"};

bool is_refused(const char* function) {
  for (const std::string_view refused : kRefusedFunctions) {
    if (sqlite3_stricmp(function, refused.data()) == 0) return true;
  }
  return false;
}

int authorize(void*, int action, const char* first, const char* second, const char*, const char*) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_READ:
      return first != nullptr && sqlite3_stricmp(first, "log") == 0 ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_FUNCTION:
      return second != nullptr && !is_refused(second) ? SQLITE_OK : SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

constexpr std::array<std::pair<int, int>, 9> kSwitches{{{SQLITE_DBCONFIG_DEFENSIVE, 1},
                                                        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
                                                        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
                                                        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                                                        {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
                                                        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                                                        {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
                                                        {SQLITE_DBCONFIG_DQS_DML, 0},
                                                        {SQLITE_DBCONFIG_DQS_DDL, 0}}};

// The length: some functions (replace, instr, LIKE) take time that goes with the square of their texts, and
// nothing stops them on the way.
constexpr std::array<std::pair<int, int>, 10> kLimits{{{SQLITE_LIMIT_LENGTH, 100'000},
                                                       {SQLITE_LIMIT_COLUMN, 500},
                                                       {SQLITE_LIMIT_EXPR_DEPTH, 200},
                                                       {SQLITE_LIMIT_COMPOUND_SELECT, 50},
                                                       {SQLITE_LIMIT_VDBE_OP, 100'000},
                                                       {SQLITE_LIMIT_FUNCTION_ARG, 50},
                                                       {SQLITE_LIMIT_ATTACHED, 0},
                                                       {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000},
                                                       {SQLITE_LIMIT_TRIGGER_DEPTH, 0},
                                                       {SQLITE_LIMIT_WORKER_THREADS, 0}}};

}  // namespace

int lock_down(sqlite3* database, std::size_t max_statement_bytes) {
  // Sorting and grouping spill to files otherwise.
  // The SELECT makes the table known: SQLite's own work for that would not always be allowed later.
  int code = sqlite3_exec(database,
                          "PRAGMA temp_store = MEMORY; PRAGMA query_only = 1; PRAGMA trusted_schema = 0;"
                          "SELECT 1 FROM log WHERE pri_ip = NULL",
                          nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return code;
  for (const auto& [name, value] : kSwitches) {
    code = sqlite3_db_config(database, name, value, nullptr);
    // FTS3 may not be compiled in.
    if (code != SQLITE_OK && name != SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER) return code;
  }
  for (const auto& [name, value] : kLimits) sqlite3_limit(database, name, value);
  sqlite3_limit(database, SQLITE_LIMIT_SQL_LENGTH, static_cast<int>(max_statement_bytes));
  return sqlite3_set_authorizer(database, authorize, nullptr);
}

}  // namespace natsession
