// Numbers and times as text, for the hot path: no locale, no allocation.
// Shape:   each function writes at `out`, which must have room for the longest result and kTextSlack more,
// and
//          returns the new end. No NUL. The bytes of the slack may be overwritten.
// Threads: any; pure functions.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/time.h"
#include "record/encoder.h"

namespace natsession {

inline constexpr std::size_t kTextSlack = 7;
inline constexpr std::size_t kHex64Length = 16;
inline constexpr std::size_t kMaxTimeLength = 31;  // +292278994-08-17T07:12:55.807Z, and room to spare

namespace text_tables {

inline constexpr auto kDigitPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t i = 0; i < 100; ++i) {
    pairs[2 * i] = static_cast<char>('0' + i / 10);
    pairs[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return pairs;
}();

}  // namespace text_tables

inline constexpr std::uint64_t kAsciiZeros = 0x3030'3030'3030'3030;

// `value` < 100, as two digits.
inline char* write_pair(char* out, std::uint64_t value) {
  std::memcpy(out, text_tables::kDigitPairs.data() + 2 * value, 2);
  return out + 2;
}

// `value` < 1000, as three digits.
inline char* write_three(char* out, std::uint64_t value) {
  *out = static_cast<char>('0' + value / 100);
  return write_pair(out + 1, value % 100);
}

// The eight decimal digits of `value` < 10^8, one a byte, the first in the lowest byte. All lanes are divided
// at once, by multiplication with the rounded reciprocal: exact for the values that a lane can hold.
inline std::uint64_t eight_digits(std::uint64_t value) {
  const std::uint64_t fours = value / 10'000 | (value % 10'000) << 32;  // two lanes below 10^4
  const std::uint64_t hundreds = (fours * 10'486 >> 20) & 0x0000'007f'0000'007f;
  const std::uint64_t twos = hundreds | (fours - 100 * hundreds) << 16;  // four lanes below 100
  const std::uint64_t tens = (twos * 103 >> 10) & 0x000f'000f'000f'000f;
  return tens | (twos - 10 * tens) << 8;
}

// The first eight bytes of `text`, lowest byte first.
inline void store_eight(char* out, std::uint64_t text) {
  if constexpr (std::endian::native == std::endian::big) text = __builtin_bswap64(text);
  std::memcpy(out, &text, 8);
}

// `value` < 10^8, as eight digits.
inline char* write_eight(char* out, std::uint64_t value) {
  store_eight(out, eight_digits(value) | kAsciiZeros);
  return out + 8;
}

// `value` < 10^8, without leading zeros. One path for all lengths: a loop over digits is mispredicted for
// most counters.
inline char* write_up_to_eight(char* out, std::uint64_t value) {
  const std::uint64_t digits = eight_digits(value);
  constexpr std::uint64_t kLastDigit = std::uint64_t{1} << 56;  // is written also when it is 0
  const unsigned leading_bits = static_cast<unsigned>(std::countr_zero(digits | kLastDigit)) & ~7U;
  store_eight(out, (digits | kAsciiZeros) >> leading_bits);
  return out + 8 - leading_bits / 8;
}

inline char* write_uint(char* out, std::uint64_t value) {
  constexpr std::uint64_t kEightDigits = 100'000'000;
  if (value < 10) {  // many fields are nearly always so
    *out = static_cast<char>('0' + value);
    return out + 1;
  }
  if (value < kEightDigits) return write_up_to_eight(out, value);
  const std::uint64_t upper = value / kEightDigits;
  if (upper >= 10 && upper < 100) {  // ten digits: the seconds of this time
    out = write_pair(out, upper);
  } else if (upper < kEightDigits) {
    out = write_up_to_eight(out, upper);
  } else {
    out = write_up_to_eight(out, upper / kEightDigits);
    out = write_eight(out, upper % kEightDigits);
  }
  return write_eight(out, value % kEightDigits);
}

// The eight hexadecimal digits of `value`, lower case, one a byte, the first in the lowest byte.
inline std::uint64_t eight_hex_digits(std::uint32_t value) {
  std::uint64_t nibbles = __builtin_bswap32(value);
  nibbles = (nibbles | nibbles << 16) & 0x0000'ffff'0000'ffff;
  nibbles = (nibbles | nibbles << 8) & 0x00ff'00ff'00ff'00ff;
  nibbles = (nibbles >> 4 & 0x000f'000f'000f'000f) | (nibbles << 8 & 0x0f00'0f00'0f00'0f00);
  const std::uint64_t letters = (nibbles + 0x0606'0606'0606'0606) >> 4 & 0x0101'0101'0101'0101;
  return nibbles + kAsciiZeros + letters * ('a' - '0' - 10);
}

// Sixteen hexadecimal digits, lower case.
inline char* write_hex64(char* out, std::uint64_t value) {
  store_eight(out, eight_hex_digits(static_cast<std::uint32_t>(value >> 32)));
  store_eight(out + 8, eight_hex_digits(static_cast<std::uint32_t>(value)));
  return out + kHex64Length;
}

// The magnitude of a signed number; also that of its least value, which has no positive counterpart.
inline std::uint64_t magnitude(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  return value < 0 ? ~bits + 1 : bits;
}

inline char* write_unix_ms(char* out, UnixMs time) {
  const std::int64_t ms = time.time_since_epoch().count();
  if (ms < 0) *out++ = '-';
  return write_uint(out, magnitude(ms));
}

// Seconds with three decimals. Before 1970 the number is negative as a whole: -0.001 is one millisecond
// before.
inline char* write_unix(char* out, UnixMs time) {
  const std::int64_t ms = time.time_since_epoch().count();
  if (ms < 0) *out++ = '-';
  const std::uint64_t count = magnitude(ms);
  out = write_uint(out, count / 1000);
  *out++ = '.';
  return write_three(out, count % 1000);
}

// 2026-11-21T14:34:22.108Z. RFC 3339 ends with the year 9999 and begins with 0000; years outside have a sign
// and at least six digits, as in ISO 8601's expanded form and ECMAScript.
inline char* write_rfc3339(char* out, UnixMs time) {
  // Not std::chrono::floor<days>(), which overflows for the earliest times.
  constexpr std::int64_t kMsPerDay = 86'400'000;
  const std::int64_t ms = time.time_since_epoch().count();
  const std::int64_t unix_day = ms / kMsPerDay - (ms % kMsPerDay < 0 ? 1 : 0);
  const auto ms_of_day = static_cast<std::uint64_t>(ms % kMsPerDay + (ms % kMsPerDay < 0 ? kMsPerDay : 0));

  // Howard Hinnant's civil_from_days: the year begins in March, so that the leap day is its last day.
  // std::chrono::year_month_day would end at the year 32767.
  const std::int64_t days = unix_day + 719'468;                            // since 0000-03-01
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;  // of 400 years
  const auto day_of_era = static_cast<std::uint32_t>(days - era * 146'097);
  const std::uint32_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::uint32_t month_from_march = (5 * day_of_year + 2) / 153;
  const std::uint32_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
  const std::uint32_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const std::int64_t year = std::int64_t{year_of_era} + era * 400 + (month <= 2 ? 1 : 0);

  if (year >= 0 && year <= 9999) {
    out = write_pair(out, static_cast<std::uint64_t>(year) / 100);
    out = write_pair(out, static_cast<std::uint64_t>(year) % 100);
  } else {
    *out++ = year < 0 ? '-' : '+';
    const std::uint64_t digits = magnitude(year);
    for (std::uint64_t limit = 100'000; limit > 1 && digits < limit; limit /= 10) *out++ = '0';
    out = write_uint(out, digits);
  }
  *out++ = '-';
  out = write_pair(out, month);
  *out++ = '-';
  out = write_pair(out, day);
  *out++ = 'T';
  out = write_pair(out, ms_of_day / 3'600'000);
  *out++ = ':';
  out = write_pair(out, ms_of_day / 60'000 % 60);
  *out++ = ':';
  out = write_pair(out, ms_of_day / 1000 % 60);
  *out++ = '.';
  out = write_three(out, ms_of_day % 1000);
  *out++ = 'Z';
  return out;
}

inline char* write_time(char* out, UnixMs time, TimeFormat format) {
  if (format == TimeFormat::kUnix) return write_unix(out, time);
  if (format == TimeFormat::kUnixMs) return write_unix_ms(out, time);
  return write_rfc3339(out, time);
}

inline char* write_text(char* out, std::string_view text) {
  text.copy(out, text.size());  // not memcpy: an empty text may have no address
  return out + text.size();
}

// Appends to `out` what `write` writes: at most `room` bytes at the pointer that it is given; it returns the
// new end.
template <typename Write>
void append_line(std::string& out, std::size_t room, Write write) {
  const std::size_t begin = out.size();
  out.resize(begin + room);
  const char* const end = write(out.data() + begin);
  out.resize(static_cast<std::size_t>(end - out.data()));
}

}  // namespace natsession
