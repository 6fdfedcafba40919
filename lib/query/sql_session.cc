#include "query/sql_session.h"

#include <algorithm>
#include <array>
#include <utility>

#include <sqlite3.h>

#include "query/sql_functions.h"
#include "query/sql_literals.h"
#include "query/sums_statement.h"

namespace natsession {
namespace {

Error sql_error(std::string message) {
  return usage_error("SQL: " + std::move(message));
}

constexpr int kStepsBetweenChecks = 100;
constexpr std::size_t kMaxStatementBytes = 1'000'000;

// What a connection may do: read the table `log`, and compute. All else is refused by SQLite itself, when a
// statement is prepared: by the authorizer for what a statement does, by limits for how much.

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

// Names of all that could be read beside the statement's own WITH tables: SQLite's, and those of modules.
using Modules = std::vector<std::string>;

bool is_real_table(const Modules& modules, const char* name) {
  if (sqlite3_strnicmp(name, "sqlite_", 7) == 0 || sqlite3_strnicmp(name, "pragma_", 7) == 0) return true;
  return std::any_of(modules.begin(), modules.end(),
                     [&](const std::string& module) { return sqlite3_stricmp(name, module.c_str()) == 0; });
}

// What the authorizer knows.
struct Guard {
  Modules modules;
  bool own_statement = false;  // it is one that was made here: it may read log_sums, and no other table
};

int authorize(void* known, int action, const char* first, const char* second, const char*, const char*) {
  const Guard& guard = *static_cast<const Guard*>(known);
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_READ:
      if (first == nullptr) return SQLITE_DENY;
      if (guard.own_statement) return first == kSumsTable ? SQLITE_OK : SQLITE_DENY;
      if (sqlite3_stricmp(first, "log") == 0 || sqlite3_stricmp(first, "flow") == 0 ||
          sqlite3_stricmp(first, "identity") == 0)
        return SQLITE_OK;
      // count(*) over a table of WITH reads none of its columns: SQLite asks of it all the same.
      return second != nullptr && *second == '\0' && !is_real_table(guard.modules, first) ? SQLITE_OK
                                                                                          : SQLITE_DENY;
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

// After it, no statement can change a setting any more. Returns SQLite's code.
int lock_down(sqlite3* database, std::size_t max_statement_bytes, Guard& guard) {
  // Sorting and grouping spill to files otherwise.
  // The SELECTs make the tables known: SQLite's own work for that would not always be allowed later.
  int code = sqlite3_exec(database,
                          "PRAGMA temp_store = MEMORY; PRAGMA query_only = 1; PRAGMA trusted_schema = 0;"
                          "SELECT 1 FROM log WHERE pri_ip = NULL",
                          nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return code;
  for (const char* const statement :
       {"SELECT 1 FROM log_sums", "SELECT 1 FROM flow", "SELECT 1 FROM identity"}) {
    sqlite3_stmt* prepared = nullptr;  // never run
    code = sqlite3_prepare_v2(database, statement, -1, &prepared, nullptr);
    sqlite3_finalize(prepared);
    if (code != SQLITE_OK) return code;
  }
  const auto keep = [](void* names, int, char** row, char**) {
    static_cast<Modules*>(names)->emplace_back(row[0]);
    return 0;
  };
  code = sqlite3_exec(database, "PRAGMA module_list", keep, &guard.modules, nullptr);
  if (code != SQLITE_OK) return code;
  if (!is_real_table(guard.modules, "log")) return SQLITE_ERROR;  // this SQLite cannot tell
  for (const auto& [name, value] : kSwitches) {
    code = sqlite3_db_config(database, name, value, nullptr);
    // FTS3 may not be compiled in.
    if (code != SQLITE_OK && name != SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER) return code;
  }
  for (const auto& [name, value] : kLimits) sqlite3_limit(database, name, value);
  sqlite3_limit(database, SQLITE_LIMIT_SQL_LENGTH, static_cast<int>(max_statement_bytes));
  return sqlite3_set_authorizer(database, authorize, &guard);
}

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

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, Close>;
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

SqlValue value_of(sqlite3_stmt* statement, int column) {
  const auto bytes = [&](const void* data) {
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
    return data == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(data), size);
  };
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return std::int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    case SQLITE_TEXT:
      return bytes(sqlite3_column_text(statement, column));
    case SQLITE_BLOB:
      return SqlBlob{bytes(sqlite3_column_blob(statement, column))};
    default:
      return std::monostate();
  }
}

}  // namespace

const std::string* AddressTexts::address(const IpAddress& address) {
  const auto known = addresses_.find(address);
  if (known != addresses_.end()) return &known->second;
  if (addresses_.size() >= kMaxTexts) return nullptr;
  return &addresses_.emplace(address, address.to_string()).first->second;
}

void SqlContext::begin_statement(std::string_view sql, UnixMs time) {
  constexpr std::string_view kCollate = "collate";
  const auto found = std::search(sql.begin(), sql.end(), kCollate.begin(), kCollate.end(),
                                 [](char a, char b) { return (a | 0x20) == b; });
  other_collations = found != sql.end();
  texts.clear();
  time_texts = {};
  sums = nullptr;
  sums_gave_up = false;
  report = {};
  error.reset();
  now = time;
}

class SqlSession::Impl {
 public:
  template <typename Log>
  Impl(Log&& log, SqlOptions options)
      : options_(std::move(options)), heap_(options_.memory), context_(std::forward<Log>(log)) {
    context_.utc = options_.utc;
    context_.names = options_.names;
  }

  Result<void> open();
  Result<SqlResult> run(std::string_view sql, const Consumer& consumer);

 private:
  // A statement, and the same one asked of log_sums, if it can be.
  struct Prepared {
    Statement statement;
    std::optional<SumsPlan> plan;
    Statement of_sums;
  };
  Result<Prepared> prepare(std::string_view given);
  void prepare_sums(std::string_view sql, Prepared& prepared);
  Result<void> run(const Prepared& prepared, const Consumer& consumer, SqlResult& result);
  Result<void> step_all(sqlite3_stmt* statement, const Consumer& consumer, SqlResult& result);
  // `place`: where SQLite says it is, in the text that it got; the message has it in the statement's own.
  struct Place {
    std::string_view statement;
    const SqlText* text = nullptr;
    std::size_t begin = 0;  // of what SQLite got
  };
  [[nodiscard]] Error failure(int code, const Place& place) const;

  SqlOptions options_;
  HeapLimit heap_;  // lives longer than the connection
  SqlContext context_;
  Guard guard_;  // the authorizer's
  Database database_;
};

Result<void> SqlSession::Impl::open() {
  sqlite3* raw = nullptr;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  int code = sqlite3_open_v2(":memory:", &raw, flags, nullptr);
  database_.reset(raw);
  if (code == SQLITE_OK) code = add_log_table(raw, context_);
  if (code == SQLITE_OK) code = add_sums_table(raw, context_);
  if (code == SQLITE_OK) code = add_identity_table(raw, context_);
  if (code == SQLITE_OK) code = add_functions(raw, context_);
  if (code == SQLITE_OK)
    code = lock_down(raw, std::min(options_.max_statement_bytes, kMaxStatementBytes), guard_);
  if (code != SQLITE_OK) {
    return Error{ErrorKind::kIo, std::string("SQL: set up SQLite: ") + sqlite3_errstr(code)};
  }
  const auto stopped = [](void* context) {
    return static_cast<SqlContext*>(context)->control.cancelled() ? 1 : 0;
  };
  sqlite3_progress_handler(raw, kStepsBetweenChecks, stopped, &context_);
  return {};
}

Error SqlSession::Impl::failure(int code, const Place& place) const {
  if (context_.error) return *context_.error;
  switch (code & 0xff) {
    case SQLITE_NOMEM:
      return Error{ErrorKind::kIo,
                   "SQL: the statement needs more memory than " + format_byte_count(options_.memory) +
                       ": GROUP BY, ORDER BY and DISTINCT keep all the rows that WHERE leaves"};
    case SQLITE_INTERRUPT: {
      const bool late =
          context_.control.deadline && std::chrono::steady_clock::now() >= *context_.control.deadline;
      return Error{ErrorKind::kUnavailable,
                   late ? "SQL: the statement took longer than " + format_duration(options_.time_limit)
                        : std::string("SQL: cancelled")};
    }
    case SQLITE_AUTH:
      return sql_error(std::string("only reading the tables log, flow and identity is allowed: ") +
                       sqlite3_errmsg(database_.get()));
    default: {
      const int offset = sqlite3_error_offset(database_.get());
      std::string message = sqlite3_errmsg(database_.get());
      if (offset >= 0 && place.text != nullptr) {
        message += place_text(place.statement,
                              place.text->origin_of(place.begin + static_cast<std::size_t>(offset)));
      }
      return sql_error(std::move(message));
    }
  }
}

Result<SqlSession::Impl::Prepared> SqlSession::Impl::prepare(std::string_view given) {
  if (given.size() > options_.max_statement_bytes || given.size() > kMaxStatementBytes) {
    return sql_error("the statement is longer than " + std::to_string(options_.max_statement_bytes) +
                     " bytes");
  }
  if (given.find('\0') != std::string_view::npos) return sql_error("the statement has a NUL in it");
  const auto text = with_meanings(given, context_.now);
  if (!text) return text.error();
  Statement statement;
  std::string_view rest = text->sql;
  while (!rest.empty()) {
    sqlite3_stmt* raw = nullptr;
    const char* tail = nullptr;
    const int code =
        sqlite3_prepare_v3(database_.get(), rest.data(), static_cast<int>(rest.size()), 0, &raw, &tail);
    Statement prepared(raw);
    if (code != SQLITE_OK) return failure(code, {given, &*text, text->sql.size() - rest.size()});
    if (prepared && statement) return sql_error("there is more than one statement");
    if (prepared) statement = std::move(prepared);
    rest.remove_prefix(static_cast<std::size_t>(tail - rest.data()));
  }
  if (!statement) return sql_error("there is no statement");
  if (sqlite3_stmt_readonly(statement.get()) == 0 || sqlite3_column_count(statement.get()) == 0) {
    return sql_error("only reading the tables log, flow and identity is allowed");
  }
  Prepared prepared;
  prepared.statement = std::move(statement);
  if (!options_.control.from_records && !context_.other_collations) prepare_sums(text->sql, prepared);
  return prepared;
}

void SqlSession::Impl::prepare_sums(std::string_view sql, Prepared& prepared) {
  auto sums = as_sums_statement(sql);
  if (!sums) return;
  sqlite3_stmt* raw = nullptr;
  guard_.own_statement = true;
  const int code = sqlite3_prepare_v3(database_.get(), sums->sql.data(), static_cast<int>(sums->sql.size()),
                                      0, &raw, nullptr);
  guard_.own_statement = false;
  Statement statement(raw);
  const auto columns = [](const Statement& of) { return sqlite3_column_count(of.get()); };
  if (code != SQLITE_OK || columns(statement) != columns(prepared.statement)) return;
  prepared.of_sums = std::move(statement);
  prepared.plan = std::move(sums->plan);
}

Result<SqlResult> SqlSession::Impl::run(std::string_view sql, const Consumer& consumer) {
  context_.begin_statement(sql, to_ms(SystemClock().now()));
  context_.control = options_.control;
  if (options_.time_limit.count() > 0) {
    const auto deadline = std::chrono::steady_clock::now() + options_.time_limit;
    context_.control.deadline = std::min(context_.control.deadline.value_or(deadline), deadline);
  }
  if (context_.segments) {
    if (auto seen = context_.segments->refresh(); !seen) return seen.error();
    context_.flows.reset();  // which windows there are may have changed
  }
  auto prepared = prepare(sql);
  if (!prepared) return prepared.error();
  SqlResult result;
  sqlite3_stmt* const statement = prepared->statement.get();
  for (int column = 0; column < sqlite3_column_count(statement); ++column) {
    const char* const name = sqlite3_column_name(statement, column);
    if (name == nullptr) return failure(SQLITE_NOMEM, {});
    result.columns.emplace_back(name);
  }
  if (consumer.on_columns) consumer.on_columns(result.columns);
  if (auto ran = run(*prepared, consumer, result); !ran) return ran.error();
  result.report = context_.report;
  return result;
}

Result<void> SqlSession::Impl::run(const Prepared& prepared, const Consumer& consumer, SqlResult& result) {
  if (prepared.plan) {
    context_.sums = &*prepared.plan;
    auto stepped = step_all(prepared.of_sums.get(), consumer, result);
    sqlite3_reset(prepared.of_sums.get());
    context_.sums = nullptr;
    // It gives up before the first row.
    result.added_up = !context_.sums_gave_up;
    if (result.added_up || result.rows > 0) return stepped;
    context_.report = {};
    context_.error.reset();
  }
  auto stepped = step_all(prepared.statement.get(), consumer, result);
  sqlite3_reset(prepared.statement.get());  // ends its scans: they report
  return stepped;
}

Result<void> SqlSession::Impl::step_all(sqlite3_stmt* statement, const Consumer& consumer,
                                        SqlResult& result) {
  std::vector<SqlValue> row(result.columns.size());
  while (true) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_DONE) return {};
    if (code != SQLITE_ROW) return failure(code, {});
    for (std::size_t column = 0; column < row.size(); ++column) {
      row[column] = value_of(statement, static_cast<int>(column));
    }
    ++result.rows;
    if (consumer.on_row && !consumer.on_row(row)) return {};
  }
}

SqlSession::SqlSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqlSession::~SqlSession() = default;

Result<std::unique_ptr<SqlSession>> SqlSession::open(SegmentList ledger, SqlOptions options) {
  auto impl = std::make_unique<Impl>(std::move(ledger), std::move(options));
  if (auto opened = impl->open(); !opened) return opened.error();
  return std::unique_ptr<SqlSession>(new SqlSession(std::move(impl)));
}

Result<std::unique_ptr<SqlSession>> SqlSession::open(RemoteLog& log, SqlOptions options) {
  auto impl = std::make_unique<Impl>(log, std::move(options));
  if (auto opened = impl->open(); !opened) return opened.error();
  return std::unique_ptr<SqlSession>(new SqlSession(std::move(impl)));
}

Result<SqlResult> SqlSession::run(std::string_view sql, const Consumer& consumer) {
  return impl_->run(sql, consumer);
}

}  // namespace natsession
