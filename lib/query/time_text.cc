#include "query/time_text.h"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>

#include "query/local_time.h"

namespace natsession {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kForms =
    "a time is 2026-11-21T14:57:03Z, 2026-11-21 14:57, 14:57, 'yesterday 14:57', -2h, now, Unix seconds or "
    "milliseconds";

constexpr std::int64_t kFirstUnixMs = 100'000'000'000;   // larger numbers are milliseconds
constexpr std::size_t kFewestUnixDigits = 9;             // 2026 is more likely a year that lacks something
constexpr std::int64_t kLatestMs = 253'402'300'799'999;  // the end of 9999

// Takes what is known off the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool done() const { return rest_.empty(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }

  bool take(char wanted) {
    if (rest_.empty() || rest_[0] != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take(std::string_view wanted) {
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(wanted.size());
    return true;
  }
  // Exactly `count` digits, and no further one behind.
  bool take_digits(std::size_t count, int& value) {
    const std::string_view digits = peek_digits();
    if (digits.size() != count) return false;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    rest_.remove_prefix(count);
    return true;
  }
  std::string_view take_all_digits() {
    const std::string_view digits = peek_digits();
    rest_.remove_prefix(digits.size());
    return digits;
  }

 private:
  [[nodiscard]] std::string_view peek_digits() const {
    std::size_t count = 0;
    while (count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9') ++count;
    return rest_.substr(0, count);
  }
  std::string_view rest_;
};

// Digits behind a decimal point as milliseconds, cut; the precision that they stand for.
bool read_fraction(Scanner& in, int& ms, milliseconds& precision) {
  const std::string_view digits = in.take_all_digits();
  if (digits.empty() || digits.size() > 9) return false;
  precision = milliseconds(1000);
  ms = 0;
  for (std::size_t place = 0; place < 3; ++place) {
    ms = ms * 10 + (place < digits.size() ? digits[place] - '0' : 0);
    if (place < digits.size()) precision /= 10;
  }
  return true;
}

bool read_date(Scanner& in, CivilTime& civil) {
  Scanner copy = in;
  if (!copy.take_digits(4, civil.year) || !copy.take('-') || !copy.take_digits(2, civil.month) ||
      !copy.take('-') || !copy.take_digits(2, civil.day)) {
    return false;
  }
  in = copy;
  return is_date(civil.year, civil.month, civil.day);
}

bool read_clock(Scanner& in, CivilTime& civil, milliseconds& precision) {
  if (!in.take_digits(2, civil.hour) || !in.take(':') || !in.take_digits(2, civil.minute)) return false;
  precision = std::chrono::minutes(1);
  if (in.take(':')) {
    if (!in.take_digits(2, civil.second)) return false;
    precision = std::chrono::seconds(1);
    if (in.take('.') && !read_fraction(in, civil.ms, precision)) return false;
  }
  // 23:59:60 is a leap second: the second behind, for clocks that do not know them.
  return civil.hour <= 23 && civil.minute <= 59 && civil.second <= 60;
}

// "Z", "+01:00", "+0100", "-03", with a space before it or not.
bool read_zone(Scanner& in, TimeReading& reading) {
  in.take(' ');
  if (in.take('Z') || in.take('z') || in.take("UTC")) {
    reading.zone_name = "UTC";
    return in.done();
  }
  const bool west = in.take('-');
  if (!west && !in.take('+')) return false;
  int hours = 0;
  int minutes = 0;
  const std::string_view digits = in.rest();
  if (digits.size() == 4) {
    int both = 0;
    if (!in.take_digits(4, both)) return false;
    hours = both / 100;
    minutes = both % 100;
  } else if (!in.take_digits(2, hours) || (in.take(':') && !in.take_digits(2, minutes))) {
    return false;
  }
  if (!in.done() || hours > 23 || minutes > 59) return false;
  reading.utc_offset = std::chrono::minutes((west ? -1 : 1) * (hours * 60 + minutes));
  reading.zone_name = offset_text(reading.utc_offset);
  return true;
}

void set_local(const CivilTime& civil, TimeReading& reading) {
  const LocalReading local = from_local(civil);
  const LocalTime shown = to_local(local.time);
  reading.time = local.time;
  reading.again = local.again;
  reading.skipped = local.skipped;
  reading.zone = ZoneSource::kLocal;
  reading.utc_offset = shown.utc_offset;
  reading.zone_name = shown.zone;
}

bool read_date_and_time(Scanner in, TimeReading& reading) {
  CivilTime civil;
  if (!read_date(in, civil)) return false;
  reading.precision = std::chrono::hours(24);
  if (!in.done()) {
    if (!in.take('T') && !in.take('t') && !in.take(' ')) return false;
    if (!read_clock(in, civil, reading.precision)) return false;
  }
  if (in.done()) {
    set_local(civil, reading);
    return true;
  }
  if (!read_zone(in, reading)) return false;
  reading.zone = ZoneSource::kGiven;
  reading.time = from_utc(civil) - reading.utc_offset;
  return true;
}

// [today|yesterday] [14:57]
bool read_day_and_time(Scanner in, UnixMs now, TimeReading& reading) {
  const LocalTime today = to_local(now);
  CivilTime civil = today.civil;
  civil.hour = civil.minute = civil.second = civil.ms = 0;
  reading.precision = std::chrono::hours(24);
  const bool yesterday = in.take("yesterday");
  const bool named = yesterday || in.take("today");
  if (yesterday) --civil.day;
  if (named && in.done()) {
    set_local(civil, reading);
    return true;
  }
  if (named && !in.take(' ')) return false;
  if (!read_clock(in, civil, reading.precision) || !in.done()) return false;
  set_local(civil, reading);
  if (!named && reading.time > now) {
    --civil.day;
    set_local(civil, reading);
  }
  return true;
}

// 1d12h, 90s
bool read_durations(Scanner& in, milliseconds& sum) {
  sum = {};
  bool any = false;
  while (!in.done() && in.rest()[0] != ' ') {
    const std::string_view digits = in.take_all_digits();
    std::int64_t count = 0;
    if (digits.empty() || digits.size() > 9) return false;
    std::from_chars(digits.data(), digits.data() + digits.size(), count);
    std::int64_t unit = 0;
    if (in.take("ms")) {
      unit = 1;
    } else if (in.take('s')) {
      unit = 1000;
    } else if (in.take('m')) {
      unit = 60'000;
    } else if (in.take('h')) {
      unit = 3'600'000;
    } else if (in.take('d')) {
      unit = 86'400'000;
    } else {
      return false;
    }
    sum += milliseconds(count * unit);
    any = true;
  }
  return any && sum.count() <= kLatestMs;
}

bool read_relative(Scanner in, UnixMs now, TimeReading& reading) {
  milliseconds back{};
  if (!in.take("now")) {
    const bool minus = in.take('-');
    if (!read_durations(in, back)) return false;
    if (!minus && !in.take(" ago")) return false;
  }
  if (!in.done()) return false;
  reading.time = now - back;
  const LocalTime shown = to_local(reading.time);
  reading.utc_offset = shown.utc_offset;
  reading.zone_name = shown.zone;
  return true;
}

bool read_unix(Scanner in, TimeReading& reading) {
  const std::string_view digits = in.take_all_digits();
  if (digits.size() < kFewestUnixDigits || digits.size() > 15) return false;
  std::int64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  int ms = 0;
  reading.precision = milliseconds(1000);
  if (number >= kFirstUnixMs) {
    reading.precision = milliseconds(1);
  } else {
    if (in.take('.') && !read_fraction(in, ms, reading.precision)) return false;
    number = number * 1000 + ms;
  }
  if (!in.done() || number > kLatestMs) return false;
  reading.time = UnixMs(milliseconds(number));
  reading.zone = ZoneSource::kGiven;
  reading.zone_name = "UTC";
  return true;
}

}  // namespace

Result<TimeReading> parse_time_text(std::string_view text, UnixMs now) {
  const auto begin = text.find_first_not_of(' ');
  const std::string_view trimmed = begin == std::string_view::npos
                                       ? std::string_view()
                                       : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
  const auto attempt = [&](auto read) -> std::optional<TimeReading> {
    TimeReading reading;
    if (!read(Scanner(trimmed), reading)) return std::nullopt;
    return reading;
  };
  if (auto reading = attempt(read_date_and_time)) return *reading;
  if (auto reading = attempt(read_unix)) return *reading;
  const auto with_now = [&](auto read) {
    return attempt([&](const Scanner& in, TimeReading& reading) { return read(in, now, reading); });
  };
  if (auto reading = with_now(read_relative)) return *reading;
  if (auto reading = with_now(read_day_and_time)) return *reading;
  return Error{ErrorKind::kUsage, "'" + std::string(text) + "' is no time: " + std::string(kForms)};
}

std::string format_local_time(UnixMs time) {
  const LocalTime local = to_local(time);
  return date_text(local.civil) + " " + clock_text(local.civil, /*with_ms=*/true) + " " + local.zone;
}

std::string format_local_rfc3339(UnixMs time) {
  const LocalTime local = to_local(time);
  return date_text(local.civil) + "T" + clock_text(local.civil, /*with_ms=*/true) +
         (local.utc_offset.count() == 0 ? "Z" : offset_text(local.utc_offset));
}

std::string describe(const TimeReading& reading) {
  if (reading.zone == ZoneSource::kGiven) {
    const CivilTime civil = to_utc(reading.time + reading.utc_offset);
    return date_text(civil) + " " + clock_text(civil, /*with_ms=*/true) + " " + reading.zone_name;
  }
  std::string text = format_local_time(reading.time) + " (UTC" + offset_text(reading.utc_offset);
  if (reading.zone == ZoneSource::kLocal) text += ", this machine's zone";
  text += ")";
  if (reading.again) {
    text += "; the clocks showed this time twice: this is the first, the second is " +
            format_local_time(*reading.again) + " (UTC" + offset_text(to_local(*reading.again).utc_offset) +
            ")";
  }
  if (reading.skipped) text += "; the clocks never showed the time that was given: they were set forward";
  return text;
}

std::string local_zone_text(UnixMs time) {
  const LocalTime local = to_local(time);
  const char* const name = std::getenv("TZ");
  std::string zone = name != nullptr && name[0] != '\0' ? name : local.zone;
  if (zone[0] == ':') zone.erase(0, 1);
  return zone + " (UTC" + offset_text(local.utc_offset) + ")";
}

}  // namespace natsession
