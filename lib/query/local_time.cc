#include "query/local_time.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <ctime>

#include <fmt/core.h>

namespace natsession {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kDayMs = 86'400'000;

// What CivilTime can say: 0001-01-01 to 9999-12-31, in UTC, with a day to spare for offsets.
constexpr std::int64_t kLowestMs = -62'135'596'800'000 + 2 * kDayMs;
constexpr std::int64_t kHighestMs = 253'402'300'799'999 - 2 * kDayMs;

std::int64_t floor_div(std::int64_t value, std::int64_t by) {
  return value / by - (value % by < 0 ? 1 : 0);
}

std::tm local_parts(std::int64_t unix_seconds) {
  const auto seconds_since = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  ::localtime_r(&seconds_since, &parts);
  return parts;
}

seconds local_offset_at(UnixMs time) {
  const std::int64_t ms = std::clamp(time.time_since_epoch().count(), kLowestMs, kHighestMs);
  return seconds(local_parts(floor_div(ms, 1000)).tm_gmtoff);
}

}  // namespace

bool is_date(int year, int month, int day) {
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) return false;
  constexpr std::array<int, 12> kDays{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return day <= kDays[static_cast<std::size_t>(month - 1)] + (leap && month == 2 ? 1 : 0);
}

UnixMs from_utc(const CivilTime& civil) {
  // Howard Hinnant's days_from_civil: the year begins in March, so that the leap day is its last day.
  const std::int64_t month0 = std::int64_t{civil.month} - 1;
  const std::int64_t year = civil.year + floor_div(month0, 12);
  const std::int64_t month = month0 - 12 * floor_div(month0, 12) + 1;
  const std::int64_t shifted = year - (month <= 2 ? 1 : 0);
  const std::int64_t era = floor_div(shifted, 400);
  const std::int64_t year_of_era = shifted - era * 400;
  const std::int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
  const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  const std::int64_t days = era * 146'097 + day_of_era - 719'468 + civil.day - 1;
  const std::int64_t clock =
      ((std::int64_t{civil.hour} * 60 + civil.minute) * 60 + civil.second) * 1000 + civil.ms;
  return UnixMs(milliseconds(days * kDayMs + clock));
}

CivilTime to_utc(UnixMs time) {
  const std::int64_t ms =
      std::clamp(time.time_since_epoch().count(), kLowestMs - 2 * kDayMs, kHighestMs + 2 * kDayMs);
  const std::int64_t unix_day = floor_div(ms, kDayMs);
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(unix_day))};
  const auto of_day = static_cast<int>(ms - unix_day * kDayMs);
  CivilTime civil;
  civil.year = static_cast<int>(date.year());
  civil.month = static_cast<int>(static_cast<unsigned>(date.month()));
  civil.day = static_cast<int>(static_cast<unsigned>(date.day()));
  civil.hour = of_day / 3'600'000;
  civil.minute = of_day / 60'000 % 60;
  civil.second = of_day / 1000 % 60;
  civil.ms = of_day % 1000;
  return civil;
}

LocalTime to_local(UnixMs time) {
  const UnixMs known(milliseconds(std::clamp(time.time_since_epoch().count(), kLowestMs, kHighestMs)));
  const std::tm parts = local_parts(floor_div(known.time_since_epoch().count(), 1000));
  LocalTime local;
  local.utc_offset = seconds(parts.tm_gmtoff);
  local.civil = to_utc(known + local.utc_offset);
  local.zone = parts.tm_zone != nullptr ? parts.tm_zone : "";
  // The zone database calls zones without a name by their offset: "+0530", "-03".
  if (local.zone.empty() || std::isalpha(static_cast<unsigned char>(local.zone[0])) == 0) {
    local.zone = offset_text(local.utc_offset);
  }
  return local;
}

LocalReading from_local(const CivilTime& civil) {
  return read_civil(civil, local_offset_at);
}

LocalReading read_civil(const CivilTime& civil, const std::function<seconds(UnixMs)>& offset_at) {
  const UnixMs as_utc = from_utc(civil);
  // No zone's offset is larger than a day, and none is changed twice within two.
  const seconds before = offset_at(as_utc - std::chrono::hours(24));
  const seconds behind = offset_at(as_utc + std::chrono::hours(24));
  LocalReading reading;
  std::optional<UnixMs> found;
  for (const seconds offset : {std::max(before, behind), std::min(before, behind)}) {
    const UnixMs time = as_utc - offset;
    if (offset_at(time) != offset || found == time) continue;
    if (found) {
      reading.again = time;
    } else {
      found = time;
    }
  }
  reading.skipped = !found;
  reading.time = found.value_or(as_utc - before);
  return reading;
}

std::string offset_text(seconds offset) {
  const std::int64_t minutes = std::abs(offset.count()) / 60;
  return fmt::format("{}{:02}:{:02}", offset.count() < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

std::string date_text(const CivilTime& civil) {
  return fmt::format("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day);
}

std::string clock_text(const CivilTime& civil, bool with_ms) {
  std::string text = fmt::format("{:02}:{:02}:{:02}", civil.hour, civil.minute, civil.second);
  if (with_ms) text += fmt::format(".{:03}", civil.ms);
  return text;
}

}  // namespace natsession
