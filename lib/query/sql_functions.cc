#include "query/sql_functions.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "query/local_time.h"
#include "query/time_text.h"

namespace natsession {

std::string_view text_of(sqlite3_value* value) {
  const auto* const text = sqlite3_value_blob(value);  // of a TEXT: its bytes
  const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
  return text == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(text), size);
}

namespace {

constexpr std::array<std::string_view, 8> kUnits{"second", "minute", "hour",    "day",
                                                 "week",   "month",  "quarter", "year"};
using std::chrono::milliseconds;
constexpr double kLatestSeconds = 253'402'300'799;  // the end of 9999
constexpr double kEarliestSeconds = -62'135'596'800;

SqlContext& context_of(sqlite3_context* result) {
  return *static_cast<SqlContext*>(sqlite3_user_data(result));
}

void give_text(const std::string& text, sqlite3_context* result) {
  sqlite3_result_text64(result, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void give_error(const std::string& message, sqlite3_context* result) {
  sqlite3_result_error(result, message.data(), static_cast<int>(std::min<std::size_t>(message.size(), 1000)));
}

// Rounded down, but for what is a whole millisecond, as a double has it.
std::int64_t whole_ms(double seconds) {
  const double nearest = std::round(seconds * 1000);
  return static_cast<std::int64_t>(nearest / 1000 == seconds ? nearest : std::floor(seconds * 1000));
}

// A time as a function's argument. Nothing if it is NULL, or none, which has been told then.
std::optional<UnixMs> time_of(sqlite3_value* value, sqlite3_context* result) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_NULL:
      return std::nullopt;
    case SQLITE_INTEGER:
    case SQLITE_FLOAT: {
      const double seconds = sqlite3_value_double(value);
      if (!(seconds >= kEarliestSeconds && seconds <= kLatestSeconds)) {
        give_error("a time must be Unix seconds", result);
        return std::nullopt;
      }
      return UnixMs(std::chrono::milliseconds(whole_ms(seconds)));
    }
    default: {
      const auto reading = parse_time_text(text_of(value), context_of(result).now);
      if (reading) return reading->time;
      give_error(reading.error().message, result);
      return std::nullopt;
    }
  }
}

CivilTime truncated(const TimeStep& step, CivilTime civil) {
  if (step.span.count() != 0) {
    const std::int64_t since_midnight =
        ((std::int64_t{civil.hour} * 60 + civil.minute) * 60 + civil.second) * 1000 + civil.ms;
    CivilTime midnight = civil;
    midnight.hour = midnight.minute = midnight.second = midnight.ms = 0;
    return to_utc(from_utc(midnight) + since_midnight / step.span.count() * step.span);
  }
  const TimeUnit unit = step.unit;
  civil.ms = 0;
  if (unit >= TimeUnit::kMinute) civil.second = 0;
  if (unit >= TimeUnit::kHour) civil.minute = 0;
  if (unit >= TimeUnit::kDay) civil.hour = 0;
  if (unit == TimeUnit::kWeek) {
    const std::int64_t unix_day = from_utc(civil).time_since_epoch().count() / 86'400'000;
    civil.day -= static_cast<int>((unix_day % 7 + 7 + 3) % 7);  // 1970-01-01 was a Thursday
    return to_utc(from_utc(civil));
  }
  if (unit >= TimeUnit::kMonth) civil.day = 1;
  if (unit == TimeUnit::kQuarter) civil.month = (civil.month - 1) / 3 * 3 + 1;
  if (unit == TimeUnit::kYear) civil.month = 1;
  return civil;
}

std::string rfc3339(const CivilTime& civil, std::chrono::seconds offset, bool with_ms) {
  return date_text(civil) + "T" + clock_text(civil, with_ms) +
         (offset.count() == 0 ? "Z" : offset_text(offset));
}

void date_trunc_function(sqlite3_context* result, int, sqlite3_value** values) {
  if (sqlite3_value_type(values[0]) == SQLITE_NULL) return;
  const auto step = parse_time_step(text_of(values[0]));
  if (!step)
    return give_error(
        "date_trunc: the unit must be second, minute, hour, day, week, month, quarter or year, or a span "
        "that "
        "divides a day, such as '5 minutes'",
        result);
  const auto time = time_of(values[1], result);
  if (!time) return;
  const bool utc = context_of(result).utc;
  const std::int64_t ms = time->time_since_epoch().count();
  const bool whole_minutes = step->span.count() == 0
                                 ? step->unit != TimeUnit::kSecond
                                 : step->span % std::chrono::minutes(1) == milliseconds(0);
  if (!whole_minutes || ms < 0) return give_text(truncated_time_text(*step, *time, utc), result);
  // Rows come in the order of time, more or less: what a minute's texts are is kept.
  const std::int64_t minute = ms / 60'000;
  auto& kept = context_of(result).time_texts;
  KeptTimeText& text = kept[static_cast<std::size_t>(minute) % kept.size()];
  // Spans are longer than there are units.
  const std::int64_t number = step->span.count() == 0 ? static_cast<int>(step->unit) : step->span.count();
  if (text.minute != minute || text.unit != number)
    text = {minute, number, truncated_time_text(*step, *time, utc)};
  give_text(text.text, result);
}

void to_unixtime_function(sqlite3_context* result, int, sqlite3_value** values) {
  const auto time = time_of(values[0], result);
  if (time) sqlite3_result_double(result, static_cast<double>(time->time_since_epoch().count()) / 1000);
}

void from_unixtime_function(sqlite3_context* result, int, sqlite3_value** values) {
  const auto time = time_of(values[0], result);
  if (!time) return;
  if (context_of(result).utc) return give_text(rfc3339(to_utc(*time), {}, /*with_ms=*/true), result);
  give_text(format_local_rfc3339(*time), result);
}

// A text as the log writes the address that it is; any other text as it is. `buffer` has room for an address.
std::string_view canonical(const void* bytes, int size, char* buffer) {
  const std::string_view text(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
  // IPv4 has one spelling.
  if (text.find(':') == std::string_view::npos) return text;
  const auto address = IpAddress::parse(text);
  if (!address) return text;
  return {buffer, static_cast<std::size_t>(address->write(buffer) - buffer)};
}

int compare_addresses(void*, int size_a, const void* a, int size_b, const void* b) {
  if (size_a == size_b && std::memcmp(a, b, static_cast<std::size_t>(size_a)) == 0) return 0;
  std::array<char, IpAddress::kMaxTextLength> buffer_a{};
  std::array<char, IpAddress::kMaxTextLength> buffer_b{};
  return canonical(a, size_a, buffer_a.data()).compare(canonical(b, size_b, buffer_b.data()));
}

void in_prefix_function(sqlite3_context* result, int, sqlite3_value** values) {
  if (sqlite3_value_type(values[0]) == SQLITE_NULL || sqlite3_value_type(values[1]) == SQLITE_NULL) return;
  auto* prefix = static_cast<Prefix*>(sqlite3_get_auxdata(result, 1));
  std::optional<Prefix> parsed;
  if (prefix == nullptr) {
    const auto read = Prefix::parse(text_of(values[1]));
    if (!read) return give_error("in_prefix: " + read.error().message, result);
    parsed = *read;
    // Kept for the next row if the prefix is a constant.
    sqlite3_set_auxdata(result, 1, new Prefix(*parsed),
                        [](void* kept) { delete static_cast<Prefix*>(kept); });
    prefix = &*parsed;
  }
  const auto address = IpAddress::parse(text_of(values[0]));
  sqlite3_result_int(result, address && prefix->contains(*address) ? 1 : 0);
}

void subscriber_function(sqlite3_context* result, int, sqlite3_value** values) {
  if (sqlite3_value_type(values[0]) == SQLITE_NULL) return;
  const auto time = time_of(values[1], result);
  if (!time) return;
  const auto address = IpAddress::parse(text_of(values[0]));
  if (!address) return;
  const auto names = names_of(context_of(result));
  if (!names) {
    context_of(result).error = names.error();
    return give_error(names.error().message, result);
  }
  const std::string_view label = (*names)->label(*address, {}, *time);
  sqlite3_result_text64(result, label.data(), label.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

}  // namespace

std::optional<TimeStep> parse_time_step(std::string_view name) {
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    if (name.size() == kUnits[i].size() &&
        sqlite3_strnicmp(name.data(), kUnits[i].data(), static_cast<int>(name.size())) == 0) {
      return TimeStep{static_cast<TimeUnit>(i), {}};
    }
  }
  const auto span = parse_time_span(name);
  if (!span || *span < std::chrono::seconds(1) ||
      milliseconds(std::chrono::days(1)) % *span != milliseconds(0) ||
      *span % std::chrono::seconds(1) != milliseconds(0))
    return std::nullopt;
  return TimeStep{TimeUnit::kSecond, *span};
}

std::string truncated_time_text(const TimeStep& step, UnixMs time, bool utc) {
  if (utc) return rfc3339(truncated(step, to_utc(time)), {}, /*with_ms=*/false);
  const LocalTime local = to_local(time);
  const CivilTime civil = truncated(step, local.civil);
  // The beginning of an hour has the hour's own offset, also in the one that the clocks show twice.
  const bool within_hour =
      step.span.count() == 0 ? step.unit <= TimeUnit::kHour : step.span <= std::chrono::hours(1);
  if (within_hour) return rfc3339(civil, local.utc_offset, /*with_ms=*/false);
  return rfc3339(civil, to_local(from_local(civil).time).utc_offset, /*with_ms=*/false);
}

int find_in_prefix(sqlite3_vtab*, int arguments, const char* name,
                   void (**function)(sqlite3_context*, int, sqlite3_value**), void** data) {
  if (arguments != 2 || sqlite3_stricmp(name, "in_prefix") != 0) return 0;
  *function = in_prefix_function;
  *data = nullptr;
  return SQLITE_INDEX_CONSTRAINT_FUNCTION;
}

int add_functions(sqlite3* database, SqlContext& context) {
  struct Function {
    const char* name;
    int arguments;
    void (*call)(sqlite3_context*, int, sqlite3_value**);
  };
  for (const Function& function :
       {Function{"date_trunc", 2, date_trunc_function}, Function{"in_prefix", 2, in_prefix_function},
        Function{"to_unixtime", 1, to_unixtime_function},
        Function{"from_unixtime", 1, from_unixtime_function},
        Function{"subscriber", 2, subscriber_function}}) {
    // Within a statement they are constant, `now` too.
    const int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY | SQLITE_DETERMINISTIC;
    const int code = sqlite3_create_function_v2(database, function.name, function.arguments, flags, &context,
                                                function.call, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return code;
  }
  return sqlite3_create_collation_v2(database, "address", SQLITE_UTF8, nullptr, compare_addresses, nullptr);
}

}  // namespace natsession
