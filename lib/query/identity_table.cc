// The table `identity` of SQL: the log of assignments beside the ledger.
#include <array>
#include <memory>
#include <new>
#include <string>

#include <sqlite3.h>

#include "query/sql_functions.h"

namespace natsession {
namespace {

constexpr std::array<std::string_view, 13> kIdentityColumns{
    "subscriber TEXT", "prefix TEXT",     "kind TEXT",   "netns TEXT",      "mac TEXT",
    "host TEXT",       "source TEXT",     "id TEXT",     "start_time REAL", "start_earliest REAL",
    "end_time REAL",   "end_latest REAL", "address TEXT"};

struct IdentityTable : sqlite3_vtab {
  explicit IdentityTable(SqlContext& shared) : sqlite3_vtab(), context(&shared) {}
  SqlContext* context;
};

struct IdentityCursor : sqlite3_vtab_cursor {
  IdentityCursor() : sqlite3_vtab_cursor() {}
  std::unique_ptr<IdentityListing> rows;
  const AssignmentView* row = nullptr;
  sqlite3_int64 number = 0;
};

IdentityCursor& cursor_of(sqlite3_vtab_cursor* cursor) {
  return *static_cast<IdentityCursor*>(cursor);
}

int identity_connect(sqlite3* database, void* shared, int, const char* const*, sqlite3_vtab** table, char**) {
  std::string text = "CREATE TABLE identity(";
  for (const std::string_view column : kIdentityColumns)
    text += (text.back() == '(' ? "" : ", ") + std::string(column);
  if (const int code = sqlite3_declare_vtab(database, (text + ")").c_str()); code != SQLITE_OK) return code;
  *table = new (std::nothrow) IdentityTable(*static_cast<SqlContext*>(shared));
  return *table != nullptr ? SQLITE_OK : SQLITE_NOMEM;
}

int identity_disconnect(sqlite3_vtab* table) {
  delete static_cast<IdentityTable*>(table);
  return SQLITE_OK;
}

// What a subscriber has is found without reading what others have.
int identity_best_index(sqlite3_vtab*, sqlite3_index_info* info) {
  info->estimatedCost = 1e7;
  info->estimatedRows = 1'000'000;
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto& constraint = info->aConstraint[i];
    if (constraint.iColumn != 0 || constraint.op != SQLITE_INDEX_CONSTRAINT_EQ || constraint.usable == 0)
      continue;
    if (sqlite3_stricmp(sqlite3_vtab_collation(info, i), "BINARY") != 0) continue;
    info->aConstraintUsage[i].argvIndex = 1;
    info->idxNum = 1;
    info->estimatedCost = 1e6;
    info->estimatedRows = 100;
    break;
  }
  return SQLITE_OK;
}

int identity_open(sqlite3_vtab*, sqlite3_vtab_cursor** cursor) {
  *cursor = new (std::nothrow) IdentityCursor();
  return *cursor != nullptr ? SQLITE_OK : SQLITE_NOMEM;
}

int identity_close(sqlite3_vtab_cursor* cursor) {
  delete static_cast<IdentityCursor*>(cursor);
  return SQLITE_OK;
}

int identity_next(sqlite3_vtab_cursor* cursor) {
  IdentityCursor& rows = cursor_of(cursor);
  rows.row = rows.rows->next();
  ++rows.number;
  return SQLITE_OK;
}

int identity_filter(sqlite3_vtab_cursor* cursor, int by_subscriber, const char*, int,
                    sqlite3_value** values) {
  SqlContext& context = *static_cast<IdentityTable*>(cursor->pVtab)->context;
  IdentityCursor& rows = cursor_of(cursor);
  rows.rows.reset();
  rows.row = nullptr;
  const auto names = names_of(context);
  if (!names) {
    context.error = names.error();
    return SQLITE_ERROR;
  }
  IdentityFilter filter;
  if (by_subscriber == 1) {
    if (sqlite3_value_type(values[0]) != SQLITE_TEXT) return SQLITE_OK;
    filter.subscriber = text_of(values[0]);
  }
  rows.rows = (*names)->reader().listing(std::move(filter));
  rows.number = -1;
  return identity_next(cursor);
}

int identity_at_end(sqlite3_vtab_cursor* cursor) {
  return cursor_of(cursor).row == nullptr ? 1 : 0;
}

int identity_column(sqlite3_vtab_cursor* cursor, sqlite3_context* result, int number) {
  const AssignmentView& row = *cursor_of(cursor).row;
  const auto text = [&](std::string_view value) {
    if (!value.empty())
      sqlite3_result_text64(result, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  };
  const auto time = [&](const std::optional<UnixMs>& value) {
    if (value) sqlite3_result_double(result, static_cast<double>(value->time_since_epoch().count()) / 1000);
  };
  switch (number) {
    case 0:
      text(row.subscriber);
      break;
    case 1:
      text(row.prefix.to_string());
      break;
    case 2:
      text(to_string(row.kind));
      break;
    case 3:
      text(row.netns);
      break;
    case 4:
      text(row.mac);
      break;
    case 5:
      text(row.host);
      break;
    case 6:
      text(row.source);
      break;
    case 7:
      text(row.id);
      break;
    case 8:
      time(row.from);
      break;
    case 9:
      time(row.from_earliest);
      break;
    case 10:
      time(row.until);
      break;
    case 11:
      time(row.until_latest);
      break;
    default:  // of what is one address alone
      if (row.prefix.length() == (row.prefix.lowest().is_v4() ? 32U : 128U))
        text(row.prefix.lowest().to_string());
  }
  return SQLITE_OK;
}

int identity_row_id(sqlite3_vtab_cursor* cursor, sqlite3_int64* id) {
  *id = cursor_of(cursor).number;
  return SQLITE_OK;
}

const sqlite3_module kIdentityModule = [] {
  sqlite3_module module{};
  module.iVersion = 1;
  module.xConnect = identity_connect;
  module.xDisconnect = identity_disconnect;
  module.xDestroy = identity_disconnect;
  module.xBestIndex = identity_best_index;
  module.xOpen = identity_open;
  module.xClose = identity_close;
  module.xFilter = identity_filter;
  module.xNext = identity_next;
  module.xEof = identity_at_end;
  module.xColumn = identity_column;
  module.xRowid = identity_row_id;
  return module;
}();

}  // namespace

Result<SubscriberNames*> names_of(SqlContext& context) {
  if (!context.names) return Error{ErrorKind::kUnavailable, "SQL: there is no log of who had an address"};
  auto names = context.names();
  if (!names) return Error{names.error().kind, "SQL: " + names.error().message};
  return *names;
}

int add_identity_table(sqlite3* database, SqlContext& context) {
  return sqlite3_create_module_v2(database, "identity", &kIdentityModule, &context, nullptr);
}

}  // namespace natsession
