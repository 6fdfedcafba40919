// SQL over a ledger, and over the same rows in a plain SQLite table.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <sqlite3.h>

#include "query/group.h"
#include "query/log_constraints.h"
#include "query/query_fixture.h"
#include "query/sql_functions.h"
#include "query/sql_session.h"

namespace natsession::testing {

using SqlRows = std::vector<std::vector<std::string>>;

inline std::string text_of(const SqlValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* real = std::get_if<double>(&value)) {
    char text[64];
    std::snprintf(text, sizeof(text), "%.6g", *real);  // sums of reals depend on their order
    return text;
  }
  if (const auto* text = std::get_if<std::string_view>(&value)) return "'" + std::string(*text) + "'";
  if (const auto* blob = std::get_if<SqlBlob>(&value)) return "x" + std::string(blob->bytes);
  return "NULL";
}

struct SqlAnswer {
  std::vector<std::string> columns;
  SqlRows rows;
  std::optional<Error> error;
  ScanReport report;
};

inline SqlAnswer ask(SqlSession& session, const std::string& sql) {
  SqlAnswer answer;
  SqlSession::Consumer consumer;
  consumer.on_row = [&](std::span<const SqlValue> row) {
    answer.rows.emplace_back();
    for (const SqlValue& value : row) answer.rows.back().push_back(text_of(value));
    return true;
  };
  auto result = session.run(sql, consumer);
  if (result) {
    answer.columns = result->columns;
    answer.report = result->report;
  } else {
    answer.error = result.error();
  }
  return answer;
}

inline std::unique_ptr<SqlSession> open_session(SegmentList view, SqlOptions options = {}) {
  if (options.control.threads == 0) options.control.threads = 2;
  options.utc = true;
  auto session = SqlSession::open(std::move(view), std::move(options));
  if (!session) throw std::runtime_error(session.error().message);
  return std::move(*session);
}

// The oracle.
class PlainTable {
 public:
  PlainTable(const std::vector<SessionRecord>& records, SegmentList view, bool own_functions = true)
      : context_(std::move(view)) {
    context_.utc = true;
    if (sqlite3_open(":memory:", &database_) != SQLITE_OK) throw std::runtime_error("sqlite3_open");
    if (own_functions) static_cast<void>(add_functions(database_, context_));
    std::string create = "CREATE TABLE log(";
    std::string insert = "INSERT INTO log VALUES(";
    for (const FieldSpec& spec : session_fields()) {
      create += std::string(spec.name) + " " + sql_type(spec.kind) + ", ";
      insert += "?,";
    }
    run(create + "__time__ INTEGER)");
    run("BEGIN");
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(database_, (insert + "?)").c_str(), -1, &statement, nullptr);
    for (const SessionRecord& record : records) {
      for (const FieldSpec& spec : session_fields())
        bind(statement, static_cast<int>(spec.field) + 1, record, spec.field);
      sqlite3_bind_int64(statement, static_cast<int>(kFieldCount) + 1,
                         record.end_time.time_since_epoch().count() / 1000);
      sqlite3_step(statement);
      sqlite3_reset(statement);
      sqlite3_clear_bindings(statement);
    }
    sqlite3_finalize(statement);
    run("COMMIT");
  }
  PlainTable(const PlainTable&) = delete;
  PlainTable& operator=(const PlainTable&) = delete;
  ~PlainTable() { sqlite3_close(database_); }

  SqlRows ask(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
      throw std::runtime_error(sqlite3_errmsg(database_));
    }
    SqlRows rows;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      rows.emplace_back();
      for (int column = 0; column < sqlite3_column_count(statement); ++column) {
        rows.back().push_back(text_of(value(statement, column)));
      }
    }
    sqlite3_finalize(statement);
    return rows;
  }

 private:
  void run(const std::string& sql) {
    if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
      throw std::runtime_error(sql);
  }
  static SqlValue value(sqlite3_stmt* statement, int column) {
    switch (sqlite3_column_type(statement, column)) {
      case SQLITE_INTEGER:
        return std::int64_t{sqlite3_column_int64(statement, column)};
      case SQLITE_FLOAT:
        return sqlite3_column_double(statement, column);
      case SQLITE_NULL:
        return std::monostate();
      default:
        return std::string_view(reinterpret_cast<const char*>(sqlite3_column_text(statement, column)));
    }
  }
  static void bind(sqlite3_stmt* statement, int place, const SessionRecord& record, Field field) {
    const FieldValue value = value_of(record, field);
    const auto text = [&](std::string_view bytes) {
      const char* const data = bytes.empty() ? "" : bytes.data();  // null is NULL
      sqlite3_bind_text(statement, place, data, static_cast<int>(bytes.size()), SQLITE_TRANSIENT);
    };
    if (const auto* const time = std::get_if<UnixMs>(&value)) {
      sqlite3_bind_double(statement, place, static_cast<double>(time->time_since_epoch().count()) / 1000);
    } else if (const auto* const number = std::get_if<std::uint64_t>(&value)) {
      if (kind_of(field) == FieldKind::kNumber) {
        sqlite3_bind_int64(statement, place, static_cast<sqlite3_int64>(*number));
      } else {
        text(to_text(field, *number));
      }
    } else if (const auto* const address = std::get_if<IpAddress>(&value)) {
      text(address->to_string());
    } else if (const auto* const bytes = std::get_if<std::string_view>(&value)) {
      text(*bytes);
    }
  }

  SqlContext context_;
  sqlite3* database_ = nullptr;
};

// A small ledger, asked what should be refused or cost little.
struct SqlGuardFixture {
  SqlGuardFixture() {
    ledger.fill(dice.traffic(300, at_minute(0), at_minute(60), 3), 100, 3);
    session = open_session(ledger.view());
  }
  TrafficDice dice{71};
  QueryLedger ledger;
  std::unique_ptr<SqlSession> session;
};

}  // namespace natsession::testing
