#include "query/log_table.h"

#include <cstring>
#include <new>

#include "query/log_constraints.h"
#include "query/log_cursor.h"
#include "query/sql_functions.h"

namespace natsession {
namespace {

struct LogTable : sqlite3_vtab {
  explicit LogTable(SqlContext& shared) : sqlite3_vtab(), context(&shared) {}
  SqlContext* context;
};

struct Cursor : sqlite3_vtab_cursor {
  explicit Cursor(SqlContext& context) : sqlite3_vtab_cursor(), rows(context) {}
  LogCursor rows;
};

LogCursor& rows_of(sqlite3_vtab_cursor* cursor) {
  return static_cast<Cursor*>(cursor)->rows;
}

std::string declaration() {
  std::string text = "CREATE TABLE log(";
  for (const FieldSpec& spec : kFields) {
    const FieldKind kind = kind_of(spec.field);
    text += std::string(spec.name) + (kind == FieldKind::kNumber ? " INTEGER, "
                                      : kind == FieldKind::kTime ? " REAL, "
                                                                 : " TEXT, ");
  }
  return text + std::string(kTimeColumnName) + " INTEGER)";
}

int connect(sqlite3* database, void* shared, int, const char* const*, sqlite3_vtab** table, char**) {
  const int code = sqlite3_declare_vtab(database, declaration().c_str());
  if (code != SQLITE_OK) return code;
  *table = new (std::nothrow) LogTable(*static_cast<SqlContext*>(shared));
  return *table != nullptr ? SQLITE_OK : SQLITE_NOMEM;
}

int disconnect(sqlite3_vtab* table) {
  delete static_cast<LogTable*>(table);
  return SQLITE_OK;
}

// How much of a ledger is left, about, by what is known of it.
double share_left(Comparison comparison, int column) {
  if (comparison == Comparison::kAtLeast || comparison == Comparison::kAtMost) return 0.05;
  if (column == kTimeColumn || kind_of(static_cast<Field>(column)) == FieldKind::kTime) return 0.0001;
  switch (static_cast<Field>(column)) {
    case Field::kPriIp:
    case Field::kPubIp:
    case Field::kNatPort:
    case Field::kPriPort:
      return comparison == Comparison::kInPrefix ? 0.1 : 0.001;
    case Field::kSessionId:
      return 0.000'001;
    default:
      return 0.3;
  }
}

int best_index(sqlite3_vtab* table, sqlite3_index_info* info) {
  const bool other_collations = static_cast<LogTable*>(table)->context->other_collations;
  std::vector<LogConstraint> used;
  double rows = 1e9;
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto comparison = usable_comparison(info, i, other_collations);
    if (!comparison) continue;
    used.push_back({info->aConstraint[i].iColumn, *comparison});
    info->aConstraintUsage[i].argvIndex = static_cast<int>(used.size());
    if (*comparison == Comparison::kIn) sqlite3_vtab_in(info, i, 1);
    rows *= share_left(*comparison, info->aConstraint[i].iColumn);
  }
  const std::string plan = encode_plan(info->colUsed, used);
  info->idxStr = static_cast<char*>(sqlite3_malloc64(plan.size() + 1));
  if (info->idxStr == nullptr) return SQLITE_NOMEM;
  std::memcpy(info->idxStr, plan.c_str(), plan.size() + 1);
  info->needToFreeIdxStr = 1;
  info->estimatedCost = 1e6 + rows;
  info->estimatedRows = static_cast<sqlite3_int64>(rows) + 1;
  return SQLITE_OK;
}

int open(sqlite3_vtab* table, sqlite3_vtab_cursor** cursor) {
  *cursor = new (std::nothrow) Cursor(*static_cast<LogTable*>(table)->context);
  return *cursor != nullptr ? SQLITE_OK : SQLITE_NOMEM;
}

int close(sqlite3_vtab_cursor* cursor) {
  delete static_cast<Cursor*>(cursor);
  return SQLITE_OK;
}

int filter(sqlite3_vtab_cursor* cursor, int, const char* plan, int count, sqlite3_value** values) {
  return rows_of(cursor).begin(decode_plan(plan), {values, static_cast<std::size_t>(count)});
}

int next(sqlite3_vtab_cursor* cursor) {
  return rows_of(cursor).advance();
}

int at_end(sqlite3_vtab_cursor* cursor) {
  return rows_of(cursor).at_end() ? 1 : 0;
}

int column(sqlite3_vtab_cursor* cursor, sqlite3_context* result, int number) {
  rows_of(cursor).give(number, result);
  return SQLITE_OK;
}

int row_id(sqlite3_vtab_cursor* cursor, sqlite3_int64* id) {
  *id = rows_of(cursor).row_id();
  return SQLITE_OK;
}

int find_function(sqlite3_vtab*, int arguments, const char* name,
                  void (**function)(sqlite3_context*, int, sqlite3_value**), void** data) {
  if (arguments != 2 || sqlite3_stricmp(name, "in_prefix") != 0) return 0;
  *function = in_prefix_function;
  *data = nullptr;
  return SQLITE_INDEX_CONSTRAINT_FUNCTION;
}

// No xCreate: the table is there by itself, and there can be no other one of its kind.
const sqlite3_module kModule = [] {
  sqlite3_module module{};
  module.iVersion = 1;
  module.xConnect = connect;
  module.xDisconnect = disconnect;
  module.xDestroy = disconnect;
  module.xBestIndex = best_index;
  module.xOpen = open;
  module.xClose = close;
  module.xFilter = filter;
  module.xNext = next;
  module.xEof = at_end;
  module.xColumn = column;
  module.xRowid = row_id;
  module.xFindFunction = find_function;
  return module;
}();

}  // namespace

int add_log_table(sqlite3* database, SqlContext& context) {
  return sqlite3_create_module_v2(database, "log", &kModule, &context, nullptr);
}

}  // namespace natsession
