#include "query/time_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <span>

#include <fmt/format.h>

#include "query/local_time.h"
#include "query/time_zone.h"

namespace natsession {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kForms =
    "a time is 2026-11-21T14:57:03Z, 2026-11-21 14:57, 21 Nov 2026 14:57 +0100, 21.11.2026 14:57, Nov 21 "
    "14:57, "
    "14:57 Europe/Berlin, 'yesterday 14:57', -2h, now, Unix seconds or milliseconds";

// Larger numbers are milliseconds, and so on.
constexpr std::uint64_t kFirstUnixMs = 100'000'000'000;
constexpr std::uint64_t kFirstUnixUs = 100'000'000'000'000;
constexpr std::uint64_t kFirstUnixNs = 100'000'000'000'000'000;
constexpr std::size_t kFewestUnixDigits = 9;             // 2026 is more likely a year that lacks something
constexpr std::int64_t kLatestMs = 253'402'300'799'999;  // the end of 9999

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}

// Takes what is known off the front of a text. Letters are compared without case.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool done() const { return rest_.empty(); }
  [[nodiscard]] std::string_view rest() const { return rest_; }

  bool take(char wanted) {
    if (rest_.empty() || lower(rest_[0]) != lower(wanted)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_any(std::string_view wanted) {
    return std::any_of(wanted.begin(), wanted.end(), [this](char c) { return take(c); });
  }
  // A whole word.
  bool take_word(std::string_view wanted) {
    if (!equal(peek_word(), wanted)) return false;
    rest_.remove_prefix(wanted.size());
    return true;
  }
  std::string_view take_word() {
    const std::string_view word = peek_word();
    rest_.remove_prefix(word.size());
    return word;
  }
  void take_spaces() {
    while (take(' ')) continue;
  }
  // From `least` to `most` digits, and no further one behind.
  bool take_digits(std::size_t least, std::size_t most, int& value) {
    const std::string_view digits = peek_digits();
    if (digits.size() < least || digits.size() > most) return false;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    rest_.remove_prefix(digits.size());
    return true;
  }
  std::string_view take_all_digits() {
    const std::string_view digits = peek_digits();
    rest_.remove_prefix(digits.size());
    return digits;
  }

 private:
  static char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }
  static bool equal(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
  }
  [[nodiscard]] std::string_view peek(bool (*wanted)(char)) const {
    std::size_t count = 0;
    while (count < rest_.size() && wanted(rest_[count])) ++count;
    return rest_.substr(0, count);
  }
  [[nodiscard]] std::string_view peek_digits() const { return peek(is_digit); }
  [[nodiscard]] std::string_view peek_word() const { return peek(is_letter); }

  std::string_view rest_;
};

// Which of `names` the word is, or its first three letters, from 1 on; 0 for none.
int place_of(std::string_view word, std::span<const std::string_view> names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    Scanner whole(word);
    Scanner first(word);
    if (whole.take_word(names[i]) || first.take_word(names[i].substr(0, 3))) return static_cast<int>(i + 1);
  }
  return 0;
}

// What a text says. Parts of it, until all of it is read.
struct Written {
  CivilTime civil;
  bool year = false;  // else what follows from now
  bool day = false;
  bool today = false;  // said to be today, or yesterday
  int days_back = 0;
  bool clock = false;
  milliseconds precision = std::chrono::hours(24);
  std::optional<TimeZone> zone;
  std::string unknown_zone;
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

bool read_month(Scanner& in, int& month) {
  static constexpr std::array<std::string_view, 12> kMonths{"January",   "February", "March",    "April",
                                                            "May",       "June",     "July",     "August",
                                                            "September", "October",  "November", "December"};
  month = place_of(in.take_word(), kMonths);
  return month != 0;
}

void skip_weekday(Scanner& in) {
  static constexpr std::array<std::string_view, 7> kDays{"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                         "Friday", "Saturday", "Sunday"};
  Scanner copy = in;
  if (place_of(copy.take_word(), kDays) == 0 || !copy.take_any(", ")) return;
  copy.take_spaces();
  in = copy;
}

// The year may stand behind the time of day: then it is not there yet.
bool read_date(Scanner& in, Written& written) {
  CivilTime& civil = written.civil;
  const auto attempt = [&](auto read) {
    Scanner copy = in;
    if (!read(copy)) return false;
    in = copy;
    return written.day = true;
  };
  if (attempt([&](Scanner& it) {  // 2026-11-21, 2026/11/21
        if (!it.take_digits(4, 4, civil.year)) return false;
        const char between = it.take('-') ? '-' : '/';
        return (between == '-' || it.take('/')) && it.take_digits(1, 2, civil.month) && it.take(between) &&
               it.take_digits(1, 2, civil.day);
      }) ||
      attempt([&](Scanner& it) {  // 21.11.2026
        return it.take_digits(1, 2, civil.day) && it.take('.') && it.take_digits(1, 2, civil.month) &&
               it.take('.') && it.take_digits(4, 4, civil.year);
      }) ||
      attempt([&](Scanner& it) {  // 21 Nov 2026, 21/Nov/2026, 21-Nov-2026
        return it.take_digits(1, 2, civil.day) && it.take_any(" /-") && read_month(it, civil.month) &&
               it.take_any(" /-") && it.take_digits(4, 4, civil.year);
      })) {
    return written.year = true;
  }
  return attempt([&](Scanner& it) {  // Nov 21, Nov 21 2026, Nov 21, 2026
    if (!read_month(it, civil.month) || !it.take(' ')) return false;
    it.take_spaces();
    if (!it.take_digits(1, 2, civil.day)) return false;
    Scanner behind = it;
    behind.take(',');
    behind.take_spaces();
    if (behind.take_digits(4, 4, civil.year)) {
      it = behind;
      written.year = true;
    }
    return true;
  });
}

bool read_clock(Scanner& in, Written& written) {
  CivilTime& civil = written.civil;
  if (!in.take_digits(1, 2, civil.hour) || !in.take(':') || !in.take_digits(2, 2, civil.minute)) return false;
  written.precision = std::chrono::minutes(1);
  if (in.take(':')) {
    if (!in.take_digits(2, 2, civil.second)) return false;
    written.precision = std::chrono::seconds(1);
    if (in.take_any(".,") && !read_fraction(in, civil.ms, written.precision)) return false;
  }
  Scanner behind = in;
  behind.take(' ');
  const bool am = behind.take_word("am");
  if (am || behind.take_word("pm")) {
    if (civil.hour < 1 || civil.hour > 12) return false;
    civil.hour = civil.hour % 12 + (am ? 0 : 12);
    in = behind;
  }
  // 23:59:60 is a leap second: the second behind, for clocks that do not know them.
  return written.clock = civil.hour <= 23 && civil.minute <= 59 && civil.second <= 60;
}

// "+01:00", "+0100", "-03", "+1".
bool read_offset(Scanner& in, std::chrono::seconds& offset) {
  const bool west = in.take('-');
  if (!west && !in.take('+')) return false;
  int hours = 0;
  int minutes = 0;
  if (in.take_digits(4, 4, minutes)) {
    hours = minutes / 100;
    minutes %= 100;
  } else if (!in.take_digits(1, 2, hours) || (in.take(':') && !in.take_digits(2, 2, minutes))) {
    return false;
  }
  offset = std::chrono::minutes((west ? -1 : 1) * (hours * 60 + minutes));
  return hours <= 23 && minutes <= 59;
}

// "Z", "UTC", "GMT+1", an offset, a name.
bool read_zone(Scanner& in, Written& written) {
  std::chrono::seconds offset{};
  if (in.rest()[0] == '+' || in.rest()[0] == '-') {
    if (!read_offset(in, offset)) return false;
    written.zone = TimeZone::fixed(offset);
    return true;
  }
  Scanner utc = in;
  if ((utc.take_word("UTC") || utc.take_word("GMT")) && read_offset(utc, offset)) {
    in = utc;
    written.zone = TimeZone::fixed(offset);
    return true;
  }
  if (!is_letter(in.rest()[0])) return false;
  const std::string_view name = in.rest().substr(0, in.rest().find_first_of(" )]("));
  written.zone = TimeZone::find(name);
  if (!written.zone) written.unknown_zone = name;
  in = Scanner(in.rest().substr(name.size()));
  return written.zone.has_value();
}

// What stands behind the time of day: a zone, a year if there is none yet, and its name once more, in
// parentheses.
bool read_behind_clock(Scanner& in, Written& written) {
  bool again = true;
  while (!in.done() && again) {
    in.take_spaces();
    again = false;
    if (!written.year && written.day) {
      Scanner copy = in;
      if (copy.take_digits(4, 4, written.civil.year)) {
        in = copy;
        again = written.year = true;
        continue;
      }
    }
    if (Scanner copy = in; !written.zone && !in.done() && read_zone(copy, written)) {
      in = copy;
      again = true;
    }
    if (written.zone && in.take('(')) {
      const std::size_t end = in.rest().find(')');
      if (end == std::string_view::npos) return false;
      in = Scanner(in.rest().substr(end + 1));
      again = true;
    }
  }
  return in.done();
}

// A date, a time of day, or both.
bool read_moment(Scanner in, Written& written) {
  skip_weekday(in);
  written.days_back = in.take_word("yesterday") ? 1 : 0;
  written.today = written.days_back == 1 || in.take_word("today");
  if (written.today || read_date(in, written)) {
    if (in.done()) return written.today || written.year;
    if (!in.take_any("T:") && !in.take(',') && !in.take(' ')) return false;
    in.take_spaces();
    if (in.take_word("at")) in.take_spaces();
  }
  return read_clock(in, written) && read_behind_clock(in, written);
}

// Puts the date that follows from now where the text says none.
bool find_time(Written written, UnixMs now, ClockDay day, TimeReading& reading) {
  const TimeZone zone = written.zone.value_or(TimeZone());
  CivilTime& civil = written.civil;
  const CivilTime today = zone.show(now).civil;
  if (!written.year) civil.year = today.year;
  if (!written.day) {
    civil.month = today.month;
    civil.day = today.day - written.days_back;
  }
  LocalReading read = zone.read(civil);
  if (!written.day && !written.today && read.time > now && day == ClockDay::kYesterday) {
    --civil.day;
    read = zone.read(civil);
  }
  // The last one that there was: of the 29th of February it may be eight years ago.
  const auto is_past = [&] { return is_date(civil.year, civil.month, civil.day) && read.time <= now; };
  for (int back = 0; written.day && !written.year && back < 8 && !is_past(); ++back) {
    --civil.year;
    read = zone.read(civil);
  }
  if (written.day && !is_date(civil.year, civil.month, civil.day)) return false;
  const LocalTime shown = zone.show(read.time);
  reading.time = read.time;
  reading.again = read.again;
  reading.skipped = read.skipped;
  reading.precision = written.precision;
  reading.zone = written.zone ? ZoneSource::kGiven : ZoneSource::kLocal;
  reading.utc_offset = shown.utc_offset;
  reading.zone_name = shown.zone;
  return true;
}

// w d h m s ms, and their names.
std::int64_t unit_ms(Scanner& in) {
  struct Unit {
    std::int64_t ms;
    std::array<std::string_view, 5> names;
  };
  static constexpr Unit kUnits[] = {
      {1, {"ms", "millisecond", "milliseconds", "", ""}},  {1000, {"s", "sec", "secs", "second", "seconds"}},
      {60'000, {"m", "min", "mins", "minute", "minutes"}}, {3'600'000, {"h", "hr", "hrs", "hour", "hours"}},
      {86'400'000, {"d", "day", "days", "", ""}},          {604'800'000, {"w", "week", "weeks", "", ""}},
  };
  for (const Unit& unit : kUnits) {
    for (const std::string_view name : unit.names) {
      if (!name.empty() && in.take_word(name)) return unit.ms;
    }
  }
  return 0;
}

// 1d12h, 90s, 2 hours 5 minutes
bool read_durations(Scanner& in, milliseconds& sum) {
  sum = {};
  bool any = false;
  while (!in.done() && is_digit(in.rest()[0])) {
    const std::string_view digits = in.take_all_digits();
    std::int64_t count = 0;
    if (digits.size() > 9) return false;
    std::from_chars(digits.data(), digits.data() + digits.size(), count);
    in.take(' ');
    const std::int64_t unit = unit_ms(in);
    if (unit == 0) return false;
    sum += milliseconds(count * unit);
    any = true;
    in.take_spaces();
  }
  return any && sum.count() <= kLatestMs;
}

bool read_relative(Scanner in, UnixMs now, TimeReading& reading) {
  milliseconds back{};
  if (!in.take_word("now")) {
    const bool minus = in.take('-');
    if (!read_durations(in, back)) return false;
    if (!in.take_word("ago") && !minus) return false;
  }
  if (!in.done()) return false;
  reading.time = now - back;
  const LocalTime shown = to_local(reading.time);
  reading.utc_offset = shown.utc_offset;
  reading.zone_name = shown.zone;
  return true;
}

bool read_unix(Scanner in, TimeReading& reading) {
  const bool marked = in.take('@');
  const std::string_view digits = in.take_all_digits();
  if (digits.empty() || digits.size() > 19) return false;
  if (!marked && digits != "0" && digits.size() < kFewestUnixDigits) return false;
  std::uint64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  int ms = 0;
  reading.precision = milliseconds(1);
  if (number >= kFirstUnixNs) {
    number /= 1'000'000;
  } else if (number >= kFirstUnixUs) {
    number /= 1000;
  } else if (number < kFirstUnixMs) {
    reading.precision = milliseconds(1000);
    if (in.take('.') && !read_fraction(in, ms, reading.precision)) return false;
    number = number * 1000 + static_cast<std::uint64_t>(ms);
  }
  if (!in.done() || number > kLatestMs) return false;
  reading.time = UnixMs(milliseconds(number));
  reading.zone = ZoneSource::kGiven;
  reading.zone_name = "UTC";
  return true;
}

// 03/04/2026, of which nobody knows which is the month.
bool is_date_with_slashes(Scanner in) {
  int number = 0;
  return in.take_digits(1, 2, number) && in.take('/') && in.take_digits(1, 2, number) && in.take('/');
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const auto begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

}  // namespace

Result<TimeReading> parse_time_text(std::string_view text, UnixMs now, ClockDay day) {
  std::string_view bare = trimmed(text);
  if (bare.starts_with('[') && bare.ends_with(']')) bare = bare.substr(1, bare.size() - 2);
  const auto wrong = [text](std::string_view why) {
    return Error{ErrorKind::kUsage, fmt::format("'{}' {}", text, why)};
  };
  TimeReading reading;
  if (read_unix(Scanner(bare), reading)) return reading;
  if (reading = {}; read_relative(Scanner(bare), now, reading)) return reading;
  Written written;
  if (read_moment(Scanner(bare), written)) {
    if (reading = {}; find_time(written, now, day, reading)) return reading;
  }
  if (!written.unknown_zone.empty()) {
    return wrong(fmt::format(
        "is no time: '{}' is no time zone that is known here, or means several: write its offset, as in "
        "14:57 +05:30, or its name, as in 14:57 Asia/Kolkata",
        written.unknown_zone));
  }
  if (is_date_with_slashes(Scanner(bare))) {
    return wrong(
        "is no time: which is the month? Write 2026-11-21, or 21.11.2026, day first, or 21 Nov 2026");
  }
  return wrong(fmt::format("is no time: {}", kForms));
}

Result<milliseconds> parse_time_span(std::string_view text) {
  milliseconds sum{};
  Scanner in(text);
  if (read_durations(in, sum) && in.done()) return sum;
  return usage_error("'" + std::string(text) + "' is no span of time, such as 5m, '5 minutes' or 1h30m");
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
  const bool given = reading.zone == ZoneSource::kGiven;
  const auto shown = [&](UnixMs time, std::chrono::seconds offset, const std::string& zone) {
    const CivilTime civil = to_utc(time + offset);
    std::string text = date_text(civil) + " " + clock_text(civil, /*with_ms=*/true) + " " + zone;
    if (zone != "UTC" && zone != offset_text(offset)) text += " (UTC" + offset_text(offset) + ")";
    return text;
  };
  std::string text = given ? shown(reading.time, reading.utc_offset, reading.zone_name)
                           : format_local_time(reading.time) + " (UTC" + offset_text(reading.utc_offset);
  if (reading.zone == ZoneSource::kLocal) text += ", this machine's zone";
  if (!given) text += ")";
  if (reading.again) {
    // Both show the same.
    const auto back = std::chrono::floor<std::chrono::seconds>(*reading.again - reading.time);
    const std::chrono::seconds offset = reading.utc_offset - back;
    const std::string second = given
                                   ? shown(*reading.again, offset, offset_text(offset))
                                   : format_local_time(*reading.again) + " (UTC" + offset_text(offset) + ")";
    text += "; the clocks showed this time twice: this is the first, the second is " + second;
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
