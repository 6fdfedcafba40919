#include "query/log_constraints.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/core.h>

#include "query/sql_functions.h"
#include "query/sql_literals.h"

namespace natsession {
namespace {

constexpr std::size_t kMaxListed = 100'000;  // values of an IN; of more nothing is made

std::optional<TimeRange Query::*> range_of(int column) {
  if (column == kTimeColumn || column == static_cast<int>(Field::kEndTime)) return &Query::end;
  if (column == static_cast<int>(Field::kStartTime)) return &Query::start;
  if (column == static_cast<int>(Field::kSessionStart)) return &Query::session_start;
  return std::nullopt;
}

// Seconds as a constraint has them. Nothing for other types, and for what is beyond all times.
std::optional<double> seconds_of(sqlite3_value* value) {
  const int type = sqlite3_value_type(value);
  if (type != SQLITE_INTEGER && type != SQLITE_FLOAT) return std::nullopt;
  const double seconds = sqlite3_value_double(value);
  constexpr double kLimit = 1e15;
  if (!(seconds > -kLimit && seconds < kLimit)) return std::nullopt;
  return seconds;
}

void raise(std::optional<UnixMs>& from, UnixMs time) {
  from = from ? std::max(*from, time) : time;
}
void lower(std::optional<UnixMs>& until, UnixMs time) {
  until = until ? std::min(*until, time) : time;
}

void add_time(const LogConstraint& constraint, sqlite3_value* value, Query& query) {
  const auto seconds = seconds_of(value);
  if (!seconds) return;
  TimeRange& range = query.**range_of(constraint.column);
  // A millisecond more on each side: doubles are rounded. __time__ is cut to whole seconds.
  const double behind = constraint.column == kTimeColumn ? 1 : 0;
  const auto at = [](double time) { return UnixMs(std::chrono::milliseconds(std::llround(time * 1000))); };
  if (constraint.comparison != Comparison::kAtMost)
    raise(range.from, at(*seconds) - std::chrono::milliseconds(1));
  if (constraint.comparison != Comparison::kAtLeast) {
    lower(range.until, at(*seconds + behind) + std::chrono::milliseconds(1));
  }
}

enum class Added {
  kYes,
  kNoMatch,  // no record has this value
  kUnclear,  // SQLite's rules for such a comparison are its own
};

Added add_word(Field field, std::string_view text, FieldTest& test) {
  const auto number = parse_word(field, text);
  if (number) test.numbers.push_back({*number, *number});
  return number ? Added::kYes : Added::kNoMatch;
}

Added add_id(std::string_view text, FieldTest& test) {
  std::uint64_t id = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
  if (error != std::errc() || rest != text.data() + text.size() || fmt::format("{:016x}", id) != text) {
    return Added::kNoMatch;
  }
  test.numbers.push_back({id, id});
  return Added::kYes;
}

Added add_value(sqlite3_value* value, FieldTest& test) {
  const int type = sqlite3_value_type(value);
  if (type == SQLITE_NULL) return Added::kNoMatch;
  const FieldKind kind = kind_of(test.field);
  if (kind == FieldKind::kNumber) {
    if (type != SQLITE_INTEGER || sqlite3_value_int64(value) < 0) return Added::kUnclear;
    const auto number = static_cast<std::uint64_t>(sqlite3_value_int64(value));
    test.numbers.push_back({number, number});
    return Added::kYes;
  }
  if (type != SQLITE_TEXT) return Added::kUnclear;
  const std::string_view text = text_of(value);
  switch (kind) {
    case FieldKind::kText:
      test.texts.emplace_back(text);
      return Added::kYes;
    case FieldKind::kWord:
      return add_word(test.field, text, test);
    case FieldKind::kId:
      return add_id(text, test);
    case FieldKind::kAddress: {
      const auto address = IpAddress::parse(text);
      if (!address) return Added::kNoMatch;
      test.addresses.push_back(*address);
      return Added::kYes;
    }
    default:
      return Added::kUnclear;
  }
}

// SQLite has every text behind every number, so what compares them chooses all rows or none.
Result<void> check_type(int column, sqlite3_value* value) {
  const bool time = range_of(column).has_value();
  if (!time && kind_of(static_cast<Field>(column)) != FieldKind::kNumber) return {};
  if (sqlite3_value_type(value) != SQLITE_TEXT || is_sql_number(text_of(value))) return {};
  return usage_error(fmt::format(
      "SQL: {} is a number{}, and is compared with the text '{}'",
      column == kTimeColumn ? kTimeColumnName : name_of(static_cast<Field>(column)),
      time ? ", Unix seconds, which to_unixtime() makes of a time" : "", text_of(value).substr(0, 100)));
}

Result<bool> add_prefix(Field field, sqlite3_value* value, Query& query) {
  if (sqlite3_value_type(value) == SQLITE_NULL) return false;
  if (sqlite3_value_type(value) != SQLITE_TEXT) return true;
  const auto prefix = Prefix::parse(text_of(value));
  if (!prefix) return Error{ErrorKind::kUsage, "in_prefix: " + prefix.error().message};
  query.where.push_back(FieldTest::address(field, *prefix));
  return true;
}

}  // namespace

std::optional<Comparison> usable_comparison(sqlite3_index_info* info, int constraint, bool other_collations) {
  const auto& wanted = info->aConstraint[constraint];
  if (wanted.usable == 0 || wanted.iColumn < 0 || wanted.iColumn > kTimeColumn) return std::nullopt;
  const bool is_time = range_of(wanted.iColumn).has_value();
  switch (wanted.op) {
    case SQLITE_INDEX_CONSTRAINT_EQ: {
      if (is_time)
        return sqlite3_vtab_in(info, constraint, -1) == 0 ? std::optional(Comparison::kEqual) : std::nullopt;
      const Field field = static_cast<Field>(wanted.iColumn);
      if (kind_of(field) == FieldKind::kTime) return std::nullopt;
      if (kind_of(field) != FieldKind::kNumber && other_collations) return std::nullopt;
      // A text is compared as an address if the other side is a column of addresses.
      const bool binary = sqlite3_stricmp(sqlite3_vtab_collation(info, constraint), "BINARY") == 0;
      if (kind_of(field) != FieldKind::kAddress && !binary) return std::nullopt;
      return sqlite3_vtab_in(info, constraint, -1) != 0 ? Comparison::kIn : Comparison::kEqual;
    }
    case SQLITE_INDEX_CONSTRAINT_GT:
    case SQLITE_INDEX_CONSTRAINT_GE:
      return is_time ? std::optional(Comparison::kAtLeast) : std::nullopt;
    case SQLITE_INDEX_CONSTRAINT_LT:
    case SQLITE_INDEX_CONSTRAINT_LE:
      return is_time ? std::optional(Comparison::kAtMost) : std::nullopt;
    case SQLITE_INDEX_CONSTRAINT_FUNCTION: {
      const bool address =
          wanted.iColumn < kTimeColumn && kind_of(static_cast<Field>(wanted.iColumn)) == FieldKind::kAddress;
      return address ? std::optional(Comparison::kInPrefix) : std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

std::string encode_plan(std::uint64_t columns_used, const std::vector<LogConstraint>& constraints) {
  std::string text = fmt::format("{}:", columns_used);
  for (const LogConstraint& constraint : constraints) {
    text += fmt::format("{}{};", constraint.column, static_cast<char>(constraint.comparison));
  }
  return text;
}

LogPlan decode_plan(const char* text) {
  LogPlan plan;
  const char* const end = text + std::strlen(text);
  const char* at = std::from_chars(text, end, plan.columns_used).ptr;
  while (at != end && ++at != end) {
    LogConstraint constraint;
    at = std::from_chars(at, end, constraint.column).ptr;
    constraint.comparison = static_cast<Comparison>(*at++);
    plan.constraints.push_back(constraint);
  }
  return plan;
}

Result<bool> add_constraint(const LogConstraint& constraint, sqlite3_value* value, Query& query) {
  if (constraint.comparison != Comparison::kIn && constraint.comparison != Comparison::kInPrefix) {
    if (auto checked = check_type(constraint.column, value); !checked) return checked.error();
  }
  if (range_of(constraint.column)) {
    add_time(constraint, value, query);
    return sqlite3_value_type(value) != SQLITE_NULL;
  }
  const Field field = static_cast<Field>(constraint.column);
  if (constraint.comparison == Comparison::kInPrefix) return add_prefix(field, value, query);
  FieldTest test;
  test.field = field;
  if (constraint.comparison == Comparison::kEqual) {
    const Added added = add_value(value, test);
    if (added == Added::kYes) query.where.push_back(std::move(test));
    return added != Added::kNoMatch;
  }
  std::size_t listed = 0;
  sqlite3_value* one = nullptr;
  int code = sqlite3_vtab_in_first(value, &one);
  for (; code == SQLITE_OK; code = sqlite3_vtab_in_next(value, &one)) {
    if (auto checked = check_type(constraint.column, one); !checked) return checked.error();
    if (++listed > kMaxListed || add_value(one, test) == Added::kUnclear) return true;
  }
  if (code != SQLITE_DONE) return true;
  query.where.push_back(std::move(test));  // of no value that a record can have: nothing passes
  return true;
}

}  // namespace natsession
