// SqlSession: SQL over a ledger, by SQLite. The ledger is the table `log`, with a column for each field of
// the log (record/FORMAT.md) and `__time__`, the cloud's record time: end_time as whole Unix seconds. Nothing
// else can be reached: no other table, file, database, PRAGMA or extension, and nothing can be written.
//
// Types: addresses and words are TEXT in the log's own form, ports, counters and numbers INTEGER, start_time,
// end_time and session_start REAL Unix seconds with
// milliseconds, session_id TEXT of 16 digits. What has no value is NULL. Gap records are rows: WHERE event <>
// 'gap' leaves them out.
//
// A text beside a column means what people mean: a time, a protocol's name, an address in any spelling, a
// word in any case; what means nothing there is refused (sql_literals.h).
//
// Beside SQLite's own functions:
//   date_trunc(unit, time)     unit: second minute hour day week month quarter year, or a span that divides a
//                              day, '5 minutes'; time: Unix seconds or a time text.
//                              RFC 3339 with the offset, in the zone of the session: it sorts as text and
//                              says its zone
//   in_prefix(ip, 'prefix')    1 or 0; NULL for NULL. An address alone is a prefix, too
//   to_unixtime(text)          Unix seconds of any time text that time_text.h reads
//   from_unixtime(time)        RFC 3339, in the zone of the session
//   subscriber(ip, time)       whose the address certainly was then; '(uncertain)', '(nobody)', '(not known)'
//
// Beside `log` and `flow` (log_table.cc) there is the table `identity`: the log of assignments, where there
// is one.
//
// Equality and IN on protocol, addresses, ports, event, session_id and the texts, in_prefix() in WHERE, and
// ranges of
// __time__, start_time and end_time choose segments, frames and columns; only columns that the statement uses
// are read.
//
// Limits: a text or a row ends at 100,000 bytes, also what group_concat() makes; a statement reads the log in
// at most SqlContext::kMaxScans places at once.
//
// Time: looked at between SQLite's steps. A single call of a function (printf() with a width of millions)
// runs to its end; who writes such a statement waits for it, or presses Ctrl-C twice.
//
// Speed, memory: what asks for counts and sums in a shape that sums_statement.h knows is added up here: 10
// million records a second and core, and memory for the groups alone. (ScanControl::from_records: not.) For
// the rest a record costs 0.2 us and GROUP BY 2 us. SQLite's heap ends at SqlOptions::memory, for the whole
// process: one session at a time; there GROUP BY, ORDER BY and DISTINCT keep all the rows that WHERE leaves:
// 3 million of two columns fit into 192 MB. find_top() and find_timeline() have no such limit.
// Threads: one, the owner's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/byte_count.h"
#include "query/scan.h"
#include "query/subscriber_names.h"

namespace natsession {

inline constexpr std::string_view kTimeColumnName = "__time__";

// NULL, INTEGER, REAL, TEXT, BLOB. Texts and blobs are good during the call only.
struct SqlBlob {
  std::string_view bytes;
};
using SqlValue = std::variant<std::monostate, std::int64_t, double, std::string_view, SqlBlob>;

struct SqlOptions {
  ByteCount memory{std::uint64_t{192} << 20};
  std::chrono::milliseconds time_limit{0};  // 0: none
  std::size_t max_statement_bytes = 1'000'000;
  bool utc = false;  // date_trunc() and from_unixtime() in UTC instead of the process's zone
  ScanControl control;
  // Whose addresses were; asked when a statement first wants to know. Good as long as the session.
  std::function<Result<SubscriberNames*>()> names = {};
};

struct SqlResult {
  std::vector<std::string> columns;
  std::uint64_t rows = 0;
  ScanReport report;      // of all scans that the statement made
  bool added_up = false;  // SQLite saw sums, not records: sums_statement.h
};

class SqlSession {
 public:
  // Errors: kIo if SQLite cannot be set up.
  [[nodiscard]] static Result<std::unique_ptr<SqlSession>> open(SegmentList ledger, SqlOptions options);
  // `log` outlives it.
  [[nodiscard]] static Result<std::unique_ptr<SqlSession>> open(RemoteLog& log, SqlOptions options);
  ~SqlSession();

  // Called once before the rows, and for each row; false from on_row ends the statement without an error.
  struct Consumer {
    std::function<void(const std::vector<std::string>& columns)> on_columns;
    std::function<bool(std::span<const SqlValue> row)> on_row;
  };

  // Runs one SELECT (WITH, VALUES). A second statement is refused. The ledger is looked at anew for each
  // call.
  // Errors: kUsage for what SQL or this session refuses, with SQLite's words and the place in the text;
  // kUnavailable
  //         when it was cancelled or took too long; kIo when memory ended, or the ledger cannot be read.
  [[nodiscard]] Result<SqlResult> run(std::string_view sql, const Consumer& consumer);

 private:
  class Impl;
  explicit SqlSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace natsession
