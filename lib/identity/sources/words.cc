#include "identity/sources/words.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace natsession {
namespace {

constexpr std::uint64_t kLastSecond = 253'402'300'799;  // of the year 9999
constexpr std::string_view kBlanks = " \t\r";

int digit_of(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return -1;
}

// Length of the character of UTF-8 that `text` begins with; 0: it is none, or a control character.
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  if (first == 0xc2 && second < 0xa0) return 0;  // C1 controls
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0))
    return 0;  // longer than need be; surrogates
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second >= 0x90)) return 0;
  return length;
}

bool is_clean(std::string_view text) {
  return text.size() <= kMaxIdentityText &&
         std::all_of(text.begin(), text.end(), [](char byte) { return byte >= 0x20 && byte < 0x7f; });
}

// Points into `text` or `kept`.
std::string_view cleaned(std::string_view text, std::string& kept) {
  if (is_clean(text)) return text;
  kept = shown(text, kMaxIdentityText);
  return kept;
}

// Digits of a fixed count; -1: they are none.
int digits(std::string_view text, std::size_t begin, std::size_t count) {
  int value = 0;
  if (text.size() < begin + count) return -1;
  for (std::size_t i = begin; i < begin + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

// ".5" as 500 ms; none: no fraction.
std::optional<std::chrono::milliseconds> fraction_of(std::string_view text) {
  if (text.size() < 2 || text[0] != '.') return std::nullopt;
  std::int64_t value = 0;
  std::int64_t unit = 100;
  for (const char byte : text.substr(1)) {
    if (byte < '0' || byte > '9') return std::nullopt;
    value += (byte - '0') * unit;
    unit /= 10;
  }
  return std::chrono::milliseconds(value);
}

// "Z", "+02:00"; none: no zone.
std::optional<std::chrono::minutes> zone_of(std::string_view text) {
  if (text == "Z" || text == "z") return std::chrono::minutes(0);
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const int hours = digits(text, 1, 2);
  const int minutes = digits(text, 4, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return std::nullopt;
  const std::chrono::minutes offset(hours * 60 + minutes);
  return text[0] == '+' ? offset : -offset;
}

std::optional<UnixMs> time_of_date(std::string_view text) {
  if (text.size() < 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const int year = digits(text, 0, 4);
  const int month = digits(text, 5, 2);
  const int day = digits(text, 8, 2);
  if (year < 0 || month < 0 || day < 0) return std::nullopt;
  const bool has_time = text.size() > 10;
  int hour = 0;
  int minute = 0;
  int second = 0;
  std::chrono::milliseconds fraction{0};
  std::chrono::minutes zone{0};
  if (has_time) {
    if (text.size() < 20 || (text[10] != 'T' && text[10] != ' ') || text[13] != ':' || text[16] != ':')
      return std::nullopt;
    hour = digits(text, 11, 2);
    minute = digits(text, 14, 2);
    second = digits(text, 17, 2);
    if (hour < 0 || minute < 0 || second < 0) return std::nullopt;
    std::string_view rest = text.substr(19);
    if (rest.starts_with('.')) {
      const std::size_t end = std::min(rest.find_first_not_of("0123456789", 1), rest.size());
      const auto found = fraction_of(rest.substr(0, end));
      if (!found) return std::nullopt;
      fraction = *found;
      rest.remove_prefix(end);
    }
    const auto found = zone_of(rest);
    if (!found) return std::nullopt;
    zone = *found;
  }
  const auto time =
      time_of(year, static_cast<unsigned>(month), static_cast<unsigned>(day), static_cast<unsigned>(hour),
              static_cast<unsigned>(minute), static_cast<unsigned>(second));
  if (!time) return std::nullopt;
  const UnixMs utc = *time + fraction - zone;
  if (utc < UnixMs{} || utc > UnixMs(std::chrono::seconds(kLastSecond))) return std::nullopt;
  return utc;
}

}  // namespace

std::string_view take_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
  const std::size_t end = std::min(rest.find_first_of(kBlanks), rest.size());
  const std::string_view word = rest.substr(0, end);
  rest.remove_prefix(end);
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
  return word;
}

std::string_view without_spaces(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  const std::size_t last = text.find_last_not_of(kBlanks);
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end || text.empty()) return std::nullopt;
  return number;
}

std::optional<UnixMs> at_second(std::uint64_t seconds) {
  if (seconds > kLastSecond) return std::nullopt;
  return UnixMs(std::chrono::seconds(seconds));
}

std::optional<UnixMs> time_of(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (const auto number = whole_number(text.substr(0, dot))) {
    constexpr std::uint64_t kFirstOfMilliseconds = 100'000'000'000;
    if (*number >= kFirstOfMilliseconds) {
      if (dot != std::string_view::npos || *number > kLastSecond * 1000) return std::nullopt;
      return UnixMs(std::chrono::milliseconds(*number));
    }
    const auto whole = at_second(*number);
    if (!whole || dot == std::string_view::npos) return whole;
    const auto fraction = fraction_of(text.substr(dot));
    if (!fraction) return std::nullopt;
    return *whole + *fraction;
  }
  return time_of_date(text);
}

std::optional<UnixMs> time_of(int year, unsigned month, unsigned day, unsigned hour, unsigned minute,
                              unsigned second) {
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (year < 1970 || year > 9999 || !date.ok() || hour > 23 || minute > 59 || second > 60)
    return std::nullopt;
  return UnixMs(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

std::string mac_of(std::string_view text) {
  std::array<char, 12> found{};
  std::size_t count = 0;
  for (const char byte : text) {
    if (byte == ':' || byte == '-' || byte == '.') continue;
    if (digit_of(byte) < 0 || count == found.size()) return {};
    found[count++] = byte >= 'A' && byte <= 'F' ? static_cast<char>(byte - 'A' + 'a') : byte;
  }
  const std::size_t separators = text.size() - count;
  if (count != found.size() || (separators != 0 && separators != 2 && separators != 5)) return {};
  for (std::size_t i = 0, digit = 0; separators != 0 && i < text.size(); ++i) {
    const bool is_separator = digit_of(text[i]) < 0;
    const std::size_t group = 12 / (separators + 1);
    if (is_separator != (digit == group)) return {};
    digit = is_separator ? 0 : digit + 1;
  }
  std::string mac;
  for (std::size_t i = 0; i < found.size(); i += 2) {
    if (i > 0) mac += ':';
    mac.append(&found[i], 2);
  }
  return mac;
}

std::string colons_of(std::span<const std::uint8_t> bytes) {
  std::string text;
  append_octets(bytes, text);
  return text;
}

std::string shown(std::string_view text, std::size_t limit) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    if (out.size() + std::max<std::size_t>(length, 1) > limit) break;
    if (length == 0) {
      out += '?';
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

void tell_seen(IdentityOutput& output, SeenAssignment seen, UnixMs at) {
  std::array<std::string, 5> kept;
  seen.subscriber = cleaned(seen.subscriber, kept[0]);
  seen.mac = cleaned(seen.mac, kept[1]);
  seen.host = cleaned(seen.host, kept[2]);
  seen.id = cleaned(seen.id, kept[3]);
  seen.group = cleaned(seen.group, kept[4]);
  output.seen(seen, at);
}

void tell_ended(IdentityOutput& output, const Prefix& prefix, std::string_view id, UnixMs at) {
  std::string kept;
  output.ended(prefix, cleaned(id, kept), at);
}

void tell_ended_between(IdentityOutput& output, const Prefix& prefix, std::string_view id, UnixMs earliest,
                        UnixMs latest) {
  std::string kept;
  output.ended_between(prefix, cleaned(id, kept), earliest, latest);
}

void tell_ended_group(IdentityOutput& output, std::string_view group, UnixMs at) {
  std::string kept;
  output.ended_group(cleaned(group, kept), at);
}

void tell_ended_session(IdentityOutput& output, std::string_view group, std::string_view id, UnixMs at) {
  std::array<std::string, 2> kept;
  output.ended_session(cleaned(group, kept[0]), cleaned(id, kept[1]), at);
}

}  // namespace natsession
