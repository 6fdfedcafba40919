#include "sink/cloud/signed_request.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "sink/encoding/digest.h"

namespace natsession {
namespace {

constexpr std::array<std::string_view, 7> kWeekdays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct Civil {
  std::chrono::year_month_day day;
  unsigned weekday = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
};

Civil civil_of(UnixNs time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto days = std::chrono::floor<std::chrono::days>(seconds);
  const auto rest = static_cast<unsigned>((seconds - days).count());
  return {std::chrono::year_month_day(days), std::chrono::weekday(days).c_encoding(), rest / 3600,
          rest / 60 % 60, rest % 60};
}

// `text` is that many digits and no more.
std::optional<unsigned> read_digits(std::string_view text, std::size_t count) {
  unsigned value = 0;
  if (text.size() != count) return std::nullopt;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<UnixNs> from_civil(std::optional<unsigned> year, std::optional<unsigned> month,
                                 std::optional<unsigned> day, std::string_view clock) {
  if (!year || !month || !day || clock.size() != 8 || clock[2] != ':' || clock[5] != ':') return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month), std::chrono::day(*day)};
  const auto hour = read_digits(clock.substr(0, 2), 2);
  const auto minute = read_digits(clock.substr(3, 2), 2);
  const auto second = read_digits(clock.substr(6, 2), 2);
  // What nanoseconds cannot say is no time that anybody means.
  if (!date.ok() || *year < 1970 || *year > 2200 || !hour || !minute || !second) return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return UnixNs(std::chrono::sys_days(date)) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

}  // namespace

std::string_view SignedRequest::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [name](const auto& header) { return header.first == name; });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

std::string http_date(UnixNs time) {
  const Civil civil = civil_of(time);
  std::array<char, 64> text;
  const int length = std::snprintf(
      text.data(), text.size(), "%s, %02u %s %04d %02u:%02u:%02u GMT", kWeekdays[civil.weekday].data(),
      static_cast<unsigned>(civil.day.day()), kMonths[static_cast<unsigned>(civil.day.month()) - 1].data(),
      static_cast<int>(civil.day.year()), civil.hour, civil.minute, civil.second);
  return {text.data(), static_cast<std::size_t>(length)};
}

std::optional<UnixNs> read_http_date(std::string_view text) {
  if (text.size() != 29 || text.substr(3, 2) != ", " || !text.ends_with(" GMT")) return std::nullopt;
  const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  if (month == kMonths.end()) return std::nullopt;
  return from_civil(read_digits(text.substr(12, 4), 4), static_cast<unsigned>(month - kMonths.begin()) + 1,
                    read_digits(text.substr(5, 2), 2), text.substr(17, 8));
}

std::string basic_time(UnixNs time) {
  const Civil civil = civil_of(time);
  std::array<char, 64> text;
  const int length =
      std::snprintf(text.data(), text.size(), "%04d%02u%02uT%02u%02u%02uZ",
                    static_cast<int>(civil.day.year()), static_cast<unsigned>(civil.day.month()),
                    static_cast<unsigned>(civil.day.day()), civil.hour, civil.minute, civil.second);
  return {text.data(), static_cast<std::size_t>(length)};
}

std::optional<UnixNs> read_cloud_time(std::string_view text) {
  std::uint64_t seconds = 0;
  const char* const end = text.data() + text.size();
  if (const auto [rest, error] = std::from_chars(text.data(), end, seconds);
      error == std::errc() && rest == end && seconds < 7'000'000'000)
    return UnixNs(std::chrono::seconds(seconds));
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text.back() != 'Z')
    return std::nullopt;
  return from_civil(read_digits(text.substr(0, 4), 4), read_digits(text.substr(5, 2), 2),
                    read_digits(text.substr(8, 2), 2), text.substr(11, 8));
}

std::vector<std::pair<std::string, std::string>> sorted(
    std::vector<std::pair<std::string, std::string>> pairs) {
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

std::string hex_of(std::string_view bytes, bool upper) {
  const std::string_view digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  std::string out;
  out.reserve(2 * bytes.size());
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    out += digits[value >> 4];
    out += digits[value & 15];
  }
  return out;
}

std::string base64_of(std::string_view bytes) {
  static constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) out += i <= count ? kLetters[bits >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

}  // namespace natsession
