// What is inside an SqlSession: what its table and functions share, the table, the functions.
// Threads: one, the session's.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <sqlite3.h>

#include "query/flow_store.h"
#include "query/scan.h"
#include "query/subscriber_names.h"

namespace natsession {

// The bytes of a TEXT; empty for NULL. It lives as long as the value.
[[nodiscard]] std::string_view text_of(sqlite3_value* value);

// SqlContext: what a session's table and functions share, for the statement that runs.
// Threads: one, the session's.

// Texts of addresses that SQLite may point to until the statement ends: each is made once, however many rows
// it is in.
class AddressTexts {
 public:
  static constexpr std::size_t kMaxTexts = 400'000;

  // Null when the pool is full.
  [[nodiscard]] const std::string* address(const IpAddress& address);
  void clear() { addresses_.clear(); }

 private:
  struct Hash {
    [[nodiscard]] std::size_t operator()(const IpAddress& address) const {
      return std::hash<std::string_view>()(
          {reinterpret_cast<const char*>(address.bytes().data()), address.bytes().size()});
    }
  };
  std::unordered_map<IpAddress, std::string, Hash> addresses_;
};

// The text of date_trunc() for the times of one minute.
struct KeptTimeText {
  std::int64_t minute = -1;
  std::int64_t unit = 0;
  std::string text;
};

struct SumsPlan;

struct SqlContext {
  // Each has memory of its own, which SQLite does not count.
  static constexpr unsigned kMaxScans = 12;
  static constexpr unsigned kScansWithThreads = 2;  // further ones, the inner loops, read on the caller's

  explicit SqlContext(SegmentList view) : segments(std::move(view)), ledger(*segments) {}
  explicit SqlContext(RemoteLog& remote) : ledger(remote) {}
  SqlContext(const SqlContext&) = delete;
  SqlContext& operator=(const SqlContext&) = delete;

  std::optional<SegmentList> segments;  // none: it is a remote log
  const LogStore ledger;
  std::unique_ptr<FlowStore> flows;  // of segments, once a statement has asked for them
  ScanControl control;
  bool utc = false;
  std::function<Result<SubscriberNames*>()> names;  // SqlOptions::names

  // Of the statement that runs.
  bool other_collations = false;   // it has the word COLLATE in it
  const SumsPlan* sums = nullptr;  // what the table log_sums has
  bool sums_gave_up = false;       // it has no such sums: the records are to be asked
  AddressTexts texts;
  std::array<KeptTimeText, 256> time_texts;
  unsigned scans = 0;  // under way
  ScanReport report;
  std::optional<Error> error;  // what SQLite's codes cannot say
  UnixMs now;                  // for the functions: the same in the whole statement

  void begin_statement(std::string_view sql, UnixMs time);
};

// The table `log`: a ledger as an SQLite virtual table. See sql_session.h for what it looks like from
// outside. `context` must outlive the connection. Returns SQLite's code.
[[nodiscard]] int add_log_table(sqlite3* database, SqlContext& context);

// The table `identity`.
[[nodiscard]] int add_identity_table(sqlite3* database, SqlContext& context);
// Errors: those of SqlOptions::names, kUnavailable without it.
[[nodiscard]] Result<SubscriberNames*> names_of(SqlContext& context);

// The table `log_sums`, which a statement can be asked of in its place: sums_statement.h.
[[nodiscard]] int add_sums_table(sqlite3* database, SqlContext& context);

// The functions of SqlSession beside SQLite's own: date_trunc, in_prefix, to_unixtime, from_unixtime; and the
// collation `address`, in which all spellings of an address are equal, in the order of the log's own.
// Threads: one, the session's.

// `context` must outlive the connection. Returns SQLite's code.
[[nodiscard]] int add_functions(sqlite3* database, SqlContext& context);

// The tables' xFindFunction: of in_prefix() over a column they make a constraint.
int find_in_prefix(sqlite3_vtab* table, int arguments, const char* name,
                   void (**function)(sqlite3_context*, int, sqlite3_value**), void** data);

enum class TimeUnit : std::uint8_t { kSecond, kMinute, kHour, kDay, kWeek, kMonth, kQuarter, kYear };
// A unit, or a span that divides a day: "5 minutes", "15m", "6h".
struct TimeStep {
  TimeUnit unit = TimeUnit::kSecond;
  std::chrono::milliseconds span{};  // zero: the unit's
};
[[nodiscard]] std::optional<TimeStep> parse_time_step(std::string_view text);
// RFC 3339, whole seconds. Weeks begin on Monday, spans at midnight.
[[nodiscard]] std::string truncated_time_text(const TimeStep& step, UnixMs time, bool utc);

}  // namespace natsession
