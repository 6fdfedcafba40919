// Oracles: printf and gmtime_r (see expected_fields.cc).
#include "record/text_writer.h"

#include <limits>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "record/address_text.h"
#include "record/escape.h"
#include "record/expected_fields.h"
#include "record/fields.h"
#include "record/golden.h"
#include "record/readers.h"

namespace natsession::testing {
namespace {

using namespace std::string_literals;

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

// Oracle: IpAddress::to_string(), which asks inet_ntop().

std::string written(const IpAddress& address) {
  std::array<char, IpAddress::kMaxTextLength + 4> buffer{};
  buffer.fill('#');
  const std::size_t length = static_cast<std::size_t>(write_address(buffer.data(), address) - buffer.data());
  REQUIRE(length <= IpAddress::kMaxTextLength);
  REQUIRE(std::string(buffer.end() - 4, buffer.end()) == "####");
  return {buffer.data(), length};
}

TEST_CASE("every octet is written right at every place", "[record][address]") {
  for (unsigned octet = 0; octet < 256; ++octet) {
    for (unsigned place = 0; place < 4; ++place) {
      std::array<std::uint8_t, 4> octets{7, 42, 255, 0};
      octets[place] = static_cast<std::uint8_t>(octet);
      std::uint32_t v4 = 0;
      std::memcpy(&v4, octets.data(), octets.size());
      const IpAddress address = IpAddress::from_v4(v4);
      if (written(address) != address.to_string()) FAIL(address.to_string());
    }
  }
}

TEST_CASE("IPv6 addresses with every pattern of zero groups are written as inet_ntop writes them",
          "[record][address]") {
  // One bit a group says whether it is zero; the other groups have one to four digits.
  for (unsigned pattern = 0; pattern < 256; ++pattern) {
    for (const unsigned digits : {0x1U, 0x9aU, 0xabcU, 0xffffU, 0x1000U}) {
      std::array<std::uint8_t, 16> bytes{};
      for (std::size_t group = 0; group < 8; ++group) {
        if ((pattern >> group & 1) == 0) continue;
        bytes[2 * group] = static_cast<std::uint8_t>(digits >> 8);
        bytes[2 * group + 1] = static_cast<std::uint8_t>(digits);
      }
      const IpAddress address = IpAddress::from_v6(bytes);
      if (written(address) != address.to_string()) FAIL(address.to_string());
    }
  }
}

TEST_CASE("any IPv6 address is written as inet_ntop writes it", "[record][address]") {
  std::mt19937_64 random(13);
  for (int i = 0; i < 100'000; ++i) {
    std::array<std::uint8_t, 16> bytes{};
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> (random() % 64));
    const IpAddress address = IpAddress::from_v6(bytes);
    if (written(address) != address.to_string()) FAIL(address.to_string());
  }
}

TEST_CASE("the examples of RFC 5952 come out in its canonical form", "[record][address]") {
  CHECK(written(ip("2001:0db8::0001")) == "2001:db8::1");
  CHECK(written(ip("2001:db8:0:0:0:0:2:1")) == "2001:db8::2:1");
  CHECK(written(ip("2001:db8:0:1:1:1:1:1")) == "2001:db8:0:1:1:1:1:1");
  CHECK(written(ip("2001:0:0:1:0:0:0:1")) == "2001:0:0:1::1");
  CHECK(written(ip("2001:db8:0:0:1:0:0:1")) == "2001:db8::1:0:0:1");
  CHECK(written(ip("2001:DB8::AAAA")) == "2001:db8::aaaa");
  CHECK(written(ip("::")) == "::");
  CHECK(written(ip("::1")) == "::1");
  CHECK(written(ip("1::")) == "1::");
  CHECK(written(ip("::192.0.2.33")) == "::192.0.2.33");
  CHECK(written(ip("64:ff9b::192.0.2.33")) == "64:ff9b::c000:221");
}

// Oracle for what becomes of invalid UTF-8: Python's bytes.decode('utf-8', 'replace').

template <typename Write>
std::string written(Write write, std::string_view text) {
  std::string out(max_escaped_length(text.size()) + 1, '#');
  const std::size_t length = static_cast<std::size_t>(write(out.data(), text) - out.data());
  REQUIRE(length < out.size());
  REQUIRE(out.back() == '#');
  out.resize(length);
  return out;
}
std::string json(std::string_view text) {
  return written(write_json_string, text);
}
std::string csv(std::string_view text) {
  return written(write_csv_text, text);
}
std::string logfmt(std::string_view text) {
  return written(write_logfmt_text, text);
}

TEST_CASE("JSON strings escape quotes, backslashes and control characters", "[record][escape]") {
  CHECK(json("") == R"("")");
  CHECK(json("natgw-1") == R"("natgw-1")");
  CHECK(json(R"(a"b\c/d)") == R"("a\"b\\c/d")");
  CHECK(json("\n\r\t\0\x01\x1f\x7f"s) == R"("\n\r\t\u0000\u0001\u001f\u007f")");
  CHECK(json("é€😀") == "\"é€😀\"");
}

TEST_CASE("CSV values are quoted when they hold a comma, a quote or a control character",
          "[record][escape]") {
  CHECK(csv("").empty());
  CHECK(csv("a b=c\\d'") == "a b=c\\d'");
  CHECK(csv("a,b") == R"("a,b")");
  CHECK(csv(R"(say "hi")") == R"("say ""hi""")");
  CHECK(csv("a\nb") == "\"a\nb\"");
  CHECK(csv("a\r") == "\"a\r\"");
  CHECK(csv("a\0"s) == "\"a\0\""s);
  CHECK(csv("é€😀") == "é€😀");
  CHECK(csv("é,") == "\"é,\"");
}

TEST_CASE("logfmt values are quoted when they are empty or hold a space, =, quote or control character",
          "[record][escape]") {
  CHECK(logfmt("") == R"("")");
  CHECK(logfmt("natgw-1,b\\c") == "natgw-1,b\\c");
  CHECK(logfmt("a b") == R"("a b")");
  CHECK(logfmt("a=b") == R"("a=b")");
  CHECK(logfmt(R"(a"\b)") == R"("a\"\\b")");
  CHECK(logfmt("a\nb\x7f") == R"("a\nb\u007f")");
  CHECK(logfmt("é€😀") == "é€😀");
  CHECK(logfmt("é €") == "\"é €\"");
}

TEST_CASE("what is not UTF-8 becomes U+FFFD, once for each maximal part of a sequence", "[record][escape]") {
  struct Case {
    std::string_view bytes;
    std::size_t replacements;
    std::string_view rest;
  };
  const Case cases[] = {
      {"\xff", 1, ""},
      {"\xc3", 1, ""},
      {"\xe2\x82", 1, ""},
      {"\xe2\x82x", 1, "x"},
      {"\xf0\x9f\x98", 1, ""},
      {"\xed\xa0\x80", 3, ""},          // a surrogate
      {"\xc0\xaf", 2, ""},              // overlong
      {"\xe0\x9f\xbf", 3, ""},          // overlong
      {"\xf0\x8f\xbf\xbf", 4, ""},      // overlong
      {"\xf4\x90\x80\x80", 4, ""},      // above U+10FFFF
      {"\xf8\x88\x80\x80\x80", 5, ""},  // five bytes
      {"\x80\xbf", 2, ""},              // no beginning
  };
  for (const Case& one : cases) {
    std::string repaired;
    for (std::size_t i = 0; i < one.replacements; ++i) repaired += "\xEF\xBF\xBD";
    repaired += one.rest;
    CHECK(json(one.bytes) == "\"" + repaired + "\"");
    CHECK(csv(one.bytes) == repaired);
    CHECK(logfmt(one.bytes) == repaired);
  }
  // The edges of what is valid.
  for (const std::string_view valid : {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                                       "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(csv(valid) == valid);
  }
}

TEST_CASE("a record with any bytes in its texts is still one valid line in every format",
          "[record][escape]") {
  std::mt19937_64 random(17);
  const auto noise = [&] {
    std::string text(random() % 40, '\0');
    for (char& byte : text) byte = static_cast<char>(random());
    return text;
  };
  for (int i = 0; i < 5000; ++i) {
    const Origin origin{noise(), noise()};
    const std::string vpc_id = noise();
    SessionRecord record = i % 2 == 0 ? golden_tcp() : golden_gap();
    record.origin = &origin;
    record.vpc_id = vpc_id;

    EncoderOptions options{.with_netns = true};
    const std::string json_line = encode(record, options);
    REQUIRE(json_line.find('\n') == json_line.size() - 1);
    const auto json_members = read_json(json_line);
    REQUIRE(json_members);
    const std::string& repaired = json_members->front().text;

    options.format = RecordFormat::kLogfmt;
    const std::string logfmt_line = encode(record, options);
    REQUIRE(logfmt_line.find('\n') == logfmt_line.size() - 1);
    const auto pairs = read_logfmt(logfmt_line);
    REQUIRE(pairs);
    REQUIRE(pairs->front().second == repaired);

    options.format = RecordFormat::kCsv;
    const auto rows = read_csv(encode(record, options));
    REQUIRE(rows);
    REQUIRE(rows->size() == 1);
    REQUIRE(rows->front().size() == kFieldCount);
    REQUIRE(rows->front().front() == repaired);
  }
}

TEST_CASE("texts of nothing but the longest escapes fit, also when they are long", "[record][escape]") {
  const Origin origin{std::string(3000, '\x01'), std::string(3000, '\x02')};
  const std::string vpc_id(3000, '\xff');
  SessionRecord record = golden_ipv6();
  record.origin = &origin;
  record.vpc_id = vpc_id;
  const auto members = read_json(encode(record, {.with_netns = true}));
  REQUIRE(members);
  CHECK(members->front().text == origin.instance);
  CHECK(members->at(1).text.size() == 9000);
  CHECK(members->back().text == origin.netns);
}

}  // namespace
}  // namespace natsession::testing
