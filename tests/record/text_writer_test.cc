// Oracles: printf and gmtime_r (see expected_fields.cc).
#include "record/text_writer.h"

#include <limits>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "record/expected_fields.h"
#include "record/golden.h"

namespace natsession::testing {
namespace {

// What `write` writes, which may touch no byte behind the slack.
template <typename Write>
std::string written(std::size_t longest, Write write) {
  std::vector<char> buffer(longest + kTextSlack + 8, '#');
  const std::size_t length = static_cast<std::size_t>(write(buffer.data()) - buffer.data());
  REQUIRE(length <= longest);
  REQUIRE(std::string(buffer.data() + length + kTextSlack, buffer.data() + buffer.size())
              .find_first_not_of('#') == std::string::npos);
  return {buffer.data(), length};
}

std::string uint_text(std::uint64_t value) {
  return written(20, [&](char* out) { return write_uint(out, value); });
}

std::string time_text(std::int64_t ms, TimeFormat format) {
  return written(kMaxTimeLength, [&](char* out) { return write_time(out, at_ms(ms), format); });
}

// Mostly of the sizes that occur, with all sizes represented.
std::uint64_t some_number(std::mt19937_64& random) {
  return random() >> (random() % 64);
}

TEST_CASE("numbers of every length are written as printf writes them", "[record][text]") {
  CHECK(uint_text(0) == "0");
  CHECK(uint_text(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  std::uint64_t power = 1;
  for (int digits = 1; digits <= 20; ++digits) {
    for (const std::uint64_t value : {power - 1, power, power + 1, 9 * power, power / 2 * 15}) {
      CHECK(uint_text(value) == std::to_string(value));
    }
    power *= 10;
  }
  std::mt19937_64 random(7);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t value = some_number(random);
    if (uint_text(value) != std::to_string(value)) FAIL(value);
  }
}

TEST_CASE("all four-digit numbers come out right in both halves of eight digits", "[record][text]") {
  for (std::uint64_t value = 0; value < 10'000; ++value) {
    const std::string digits = std::to_string(10'000 + value).substr(1);
    std::string got = written(8, [&](char* out) { return write_eight(out, value * 10'000 + 9'999 - value); });
    if (got != digits + std::to_string(19'999 - value).substr(1)) FAIL(value);
  }
}

TEST_CASE("session ids are sixteen lower-case hexadecimal digits", "[record][text]") {
  const auto hex = [](std::uint64_t value) {
    return written(16, [&](char* out) { return write_hex64(out, value); });
  };
  CHECK(hex(0) == "0000000000000000");
  CHECK(hex(0xfedc'ba98'7654'3210) == "fedcba9876543210");
}

TEST_CASE("Unix times have three decimals, and a sign as a whole before 1970", "[record][text][time]") {
  CHECK(time_text(0, TimeFormat::kUnix) == "0.000");
  CHECK(time_text(5, TimeFormat::kUnix) == "0.005");
  CHECK(time_text(-1, TimeFormat::kUnix) == "-0.001");
  CHECK(time_text(-1500, TimeFormat::kUnix) == "-1.500");
  CHECK(time_text(1'795'263'662'108, TimeFormat::kUnix) == "1795263662.108");
  CHECK(time_text(std::numeric_limits<std::int64_t>::max(), TimeFormat::kUnix) == "9223372036854775.807");
  CHECK(time_text(std::numeric_limits<std::int64_t>::min(), TimeFormat::kUnix) == "-9223372036854775.808");
  CHECK(time_text(std::numeric_limits<std::int64_t>::min(), TimeFormat::kUnixMs) == "-9223372036854775808");
  CHECK(time_text(-7, TimeFormat::kUnixMs) == "-7");
}

TEST_CASE("RFC 3339 times are right at leap days, before 1970 and outside four-digit years",
          "[record][text][time]") {
  // Oracle: date -u -d @N; outside four-digit years ECMAScript's Date.toISOString(), for the last Java's
  // Instant.
  CHECK(time_text(0, TimeFormat::kRfc3339) == "1970-01-01T00:00:00.000Z");
  CHECK(time_text(-1, TimeFormat::kRfc3339) == "1969-12-31T23:59:59.999Z");
  CHECK(time_text(1'795'263'662'108, TimeFormat::kRfc3339) == "2026-11-21T12:21:02.108Z");
  CHECK(time_text(951'782'400'000, TimeFormat::kRfc3339) == "2000-02-29T00:00:00.000Z");
  CHECK(time_text(4'107'542'400'000, TimeFormat::kRfc3339) == "2100-03-01T00:00:00.000Z");
  CHECK(time_text(253'402'300'799'999, TimeFormat::kRfc3339) == "9999-12-31T23:59:59.999Z");
  CHECK(time_text(253'402'300'800'000, TimeFormat::kRfc3339) == "+010000-01-01T00:00:00.000Z");
  CHECK(time_text(-62'167'219'200'000, TimeFormat::kRfc3339) == "0000-01-01T00:00:00.000Z");
  CHECK(time_text(-62'167'219'200'001, TimeFormat::kRfc3339) == "-000001-12-31T23:59:59.999Z");
  CHECK(time_text(std::numeric_limits<std::int64_t>::max(), TimeFormat::kRfc3339) ==
        "+292278994-08-17T07:12:55.807Z");
}

TEST_CASE("times anywhere are written as gmtime and printf write them", "[record][text][time]") {
  std::mt19937_64 random(11);
  for (const TimeFormat format : {TimeFormat::kUnix, TimeFormat::kUnixMs, TimeFormat::kRfc3339}) {
    for (int i = 0; i < 50'000; ++i) {
      const auto magnitude_ms = static_cast<std::int64_t>(some_number(random) >> 1);
      const std::int64_t ms = i % 2 == 0 ? magnitude_ms : -magnitude_ms - 1;
      if (time_text(ms, format) != slow_time(at_ms(ms), format)) FAIL(ms);
    }
    CHECK(time_text(std::numeric_limits<std::int64_t>::min(), format) ==
          slow_time(at_ms(std::numeric_limits<std::int64_t>::min()), format));
  }
}

TEST_CASE("every day from 1896 to 2204 has its date", "[record][text][time]") {
  for (std::int64_t day = -27'000; day < 85'500; ++day) {
    const std::int64_t ms = day * 86'400'000 + 43'200'000;
    if (time_text(ms, TimeFormat::kRfc3339) != slow_time(at_ms(ms), TimeFormat::kRfc3339)) FAIL(day);
  }
}

}  // namespace
}  // namespace natsession::testing
