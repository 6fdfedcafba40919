#include "base/time.h"

#include <catch2/catch.hpp>

namespace natsession {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST_CASE("durations are read in every unit", "[base][time]") {
  CHECK(*parse_duration("0s") == milliseconds(0));
  CHECK(*parse_duration("500ms") == milliseconds(500));
  CHECK(*parse_duration("2s") == milliseconds(2000));
  CHECK(*parse_duration("10m") == milliseconds(600'000));
  CHECK(*parse_duration("24h") == milliseconds(86'400'000));
  CHECK(*parse_duration("30d") == milliseconds(2'592'000'000));
}

TEST_CASE("the longest duration is one that nanoseconds can hold", "[base][time]") {
  REQUIRE(parse_duration("106751d"));
  CHECK(nanoseconds(*parse_duration("106751d")).count() == 106'751LL * 86'400'000'000'000);
  CHECK_FALSE(parse_duration("106752d"));
  CHECK(*parse_duration("9223372036854ms") == milliseconds(9'223'372'036'854));
  CHECK_FALSE(parse_duration("9223372036855ms"));
}

TEST_CASE("a text that is no duration is refused by name", "[base][time]") {
  for (const std::string_view text : {"", "10", "m", "-1s", "-0s", "+1s", " 1s", "1 s", "1s ", "1.5h", "1w",
                                      "1S", "1ns", "1h30m", "99999999999999999999s"}) {
    const auto result = parse_duration(text);
    INFO(text);
    REQUIRE_FALSE(result);
    CHECK(result.error().kind == ErrorKind::kUsage);
    CHECK_THAT(result.error().message, Catch::StartsWith("'" + std::string(text) + "' is not a duration"));
  }
}

TEST_CASE("durations are written in the largest unit that divides them, and read back", "[base][time]") {
  CHECK(format_duration(milliseconds(0)) == "0s");
  CHECK(format_duration(milliseconds(1)) == "1ms");
  CHECK(format_duration(milliseconds(1500)) == "1500ms");
  CHECK(format_duration(milliseconds(90'000)) == "90s");
  CHECK(format_duration(milliseconds(600'000)) == "10m");
  CHECK(format_duration(milliseconds(86'400'000)) == "1d");
  for (const std::int64_t count :
       {std::int64_t{0}, std::int64_t{999}, std::int64_t{61'000}, std::int64_t{9'223'372'036'854}}) {
    const auto back = parse_duration(format_duration(milliseconds(count)));
    REQUIRE(back);
    CHECK(back->count() == count);
  }
}

TEST_CASE("nanoseconds become milliseconds by rounding down, before 1970 too", "[base][time]") {
  const auto ms_of = [](std::int64_t ns) {
    return to_ms(UnixNs(nanoseconds(ns))).time_since_epoch().count();
  };
  CHECK(ms_of(0) == 0);
  CHECK(ms_of(999'999) == 0);
  CHECK(ms_of(1'000'000) == 1);
  CHECK(ms_of(-1) == -1);
  CHECK(ms_of(-1'000'000) == -1);
  CHECK(ms_of(-1'000'001) == -2);
}

}  // namespace
}  // namespace natsession
