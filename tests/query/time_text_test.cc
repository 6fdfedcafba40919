#include "query/time_text.h"

#include <cstdlib>
#include <ctime>

#include <catch2/catch.hpp>

#include "query/local_time.h"
#include "query/query_fixture.h"
#include "query/time_zone.h"

namespace natsession::testing {
namespace {

class Zone {
 public:
  explicit Zone(const char* name) {
    if (const char* const before = std::getenv("TZ")) before_ = before;
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;
  ~Zone() {
    if (before_.empty()) {
      ::unsetenv("TZ");
    } else {
      ::setenv("TZ", before_.c_str(), 1);
    }
    ::tzset();
  }

 private:
  std::string before_;
};

// The zone database need not be there: rules say the same.
constexpr const char* kBerlin = "CET-1CEST,M3.5.0,M10.5.0/3";
constexpr std::int64_t kNoon = 1'795'262'400'000;  // 2026-11-21T12:00:00Z: `date -u -d @1795262400`

TimeReading read(const std::string& text, std::int64_t now = kNoon) {
  const auto reading = parse_time_text(text, at_ms(now));
  if (!reading) throw std::runtime_error(reading.error().message);
  return *reading;
}
std::int64_t ms(const std::string& text, std::int64_t now = kNoon) {
  return read(text, now).time.time_since_epoch().count();
}

TEST_CASE("times with a zone mean the same everywhere", "[query][time]") {
  for (const char* zone : {"UTC0", kBerlin, "EST5EDT", "<+0530>-5:30"}) {
    const Zone local(zone);
    CHECK(ms("2026-11-21T12:00:00Z") == kNoon);
    CHECK(ms("2026-11-21T12:00:00.125Z") == kNoon + 125);
    CHECK(ms("2026-11-21T13:00:00+01:00") == kNoon);
    CHECK(ms("2026-11-21 13:00+0100") == kNoon);
    CHECK(ms("2026-11-21 09:00 -03") == kNoon);
    CHECK(ms("2026-11-21t12:00:00z") == kNoon);
    CHECK(ms("2026-11-21 12:00 UTC") == kNoon);
    CHECK(ms("1795262400") == kNoon);
    CHECK(ms("1795262400.5") == kNoon + 500);
    CHECK(ms("1795262400.123456789") == kNoon + 123);
    CHECK(ms("1795262400123") == kNoon + 123);
    CHECK(ms("99999999999") == 99'999'999'999'000);  // eleven digits are seconds
    CHECK(ms("100000000000") == 100'000'000'000);    // twelve are milliseconds
    CHECK(ms("  1795262400 ") == kNoon);
    CHECK(read("1795262400").zone == ZoneSource::kGiven);
    CHECK(read("2026-11-21T13:00:00+01:00").zone_name == "+01:00");
    CHECK(read("2026-11-21T12:00:00Z").zone_name == "UTC");
  }
}

TEST_CASE("times without a zone are local, and say so", "[query][time]") {
  const Zone local(kBerlin);
  CHECK(ms("2026-11-21 13:00") == kNoon);
  CHECK(ms("2026-11-21T13:00:00.5") == kNoon + 500);
  CHECK(ms("2026-11-21") == kNoon - 13 * 3'600'000);
  CHECK(ms("2026-07-21 14:00") == 1'784'635'200'000);  // summer: date -u -d 2026-07-21T12:00Z +%s
  CHECK(ms("12:30") == kNoon - 1'800'000);
  CHECK(ms("12:30:15") == kNoon - 1'800'000 + 15'000);
  CHECK(ms("13:00") == kNoon);
  CHECK(ms("13:01") == kNoon + 60'000 - 86'400'000);  // still to come today: yesterday's
  CHECK(ms("today 13:01") == kNoon + 60'000);
  CHECK(ms("yesterday 13:00") == kNoon - 86'400'000);
  CHECK(ms("yesterday") == kNoon - 13 * 3'600'000 - 86'400'000);
  CHECK(ms("today") == kNoon - 13 * 3'600'000);
  const TimeReading reading = read("2026-11-21 13:00");
  CHECK(reading.zone == ZoneSource::kLocal);
  CHECK(reading.zone_name == "CET");
  CHECK(reading.utc_offset == std::chrono::hours(1));
  CHECK_FALSE(reading.again);
  CHECK_FALSE(reading.skipped);
  CHECK(describe(reading) == "2026-11-21 13:00:00.000 CET (UTC+01:00, this machine's zone)");
}

TEST_CASE("times before now", "[query][time]") {
  CHECK(ms("now") == kNoon);
  CHECK(ms("-2h") == kNoon - 7'200'000);
  CHECK(ms("-1d12h30m5s250ms") == kNoon - (((36 * 60 + 30) * 60) + 5) * 1000 - 250);
  CHECK(ms("90s ago") == kNoon - 90'000);
  CHECK(read("-2h").zone == ZoneSource::kNone);
}

TEST_CASE("a text says how exact it is", "[query][time]") {
  using std::chrono::milliseconds;
  CHECK(read("2026-11-21").precision == std::chrono::hours(24));
  CHECK(read("14:57").precision == std::chrono::minutes(1));
  CHECK(read("2026-11-21 14:57:03").precision == std::chrono::seconds(1));
  CHECK(read("2026-11-21 14:57:03.1").precision == milliseconds(100));
  CHECK(read("2026-11-21 14:57:03.12").precision == milliseconds(10));
  CHECK(read("1795262400").precision == std::chrono::seconds(1));
  CHECK(read("1795262400000").precision == milliseconds(1));
  CHECK(read("-2h").precision == milliseconds(1));
  CHECK(read("14:57").last() == read("14:57").time + milliseconds(59'999));
}

TEST_CASE("a time that the clocks showed twice is told", "[query][time]") {
  const Zone local(kBerlin);
  const TimeReading reading = read("2026-10-25 02:30");
  CHECK(reading.time == at_ms(1'792'888'200'000));  // 00:30Z
  REQUIRE(reading.again);
  CHECK(*reading.again == at_ms(1'792'891'800'000));  // 01:30Z
  CHECK(reading.zone_name == "CEST");
  CHECK(describe(reading).find("twice") != std::string::npos);
  CHECK_FALSE(read("2026-10-25 03:00").again);
  CHECK_FALSE(read("2026-10-25 01:59").again);
  CHECK(read("2026-10-25 02:00").again);
  CHECK(read("2026-10-25 02:59:59.999").again);
}

TEST_CASE("a time that the clocks never showed is told", "[query][time]") {
  const Zone local(kBerlin);
  const TimeReading reading = read("2026-03-29 02:30");
  CHECK(reading.skipped);
  CHECK(reading.time == at_ms(1'774'747'800'000));  // 01:30Z, 03:30 CEST
  CHECK_FALSE(read("2026-03-29 03:00").skipped);
  CHECK_FALSE(read("2026-03-29 01:59:59").skipped);
  CHECK(describe(reading).find("never") != std::string::npos);
}

TEST_CASE("times are shown in the local zone, with its name", "[query][time]") {
  const UnixMs noon = at_ms(kNoon + 7);
  {
    const Zone local(kBerlin);
    CHECK(format_local_time(noon) == "2026-11-21 13:00:00.007 CET");
    CHECK(format_local_rfc3339(noon) == "2026-11-21T13:00:00.007+01:00");
    CHECK(local_zone_text(noon) == std::string(kBerlin) + " (UTC+01:00)");
  }
  const Zone utc("UTC0");
  CHECK(format_local_rfc3339(noon) == "2026-11-21T12:00:00.007Z");
  const Zone india("<+0530>-5:30");
  CHECK(format_local_time(noon) == "2026-11-21 17:30:00.007 +05:30");
}

TEST_CASE("what is no time is refused with what would do", "[query][time]") {
  for (const char* text : {"",
                           " ",
                           "tomorrow",
                           "2026",
                           "2026-13-01",
                           "2026-02-29",
                           "25:00",
                           "12:60",
                           "12",
                           "2026-11-21T",
                           "-2",
                           "2h",
                           "-2y",
                           "-",
                           "ago",
                           "2026-11-21 12:00:00+25:00",
                           "2026-11-21 12:00:61",
                           "12345678",
                           "1795262400.",
                           "99999999999999999999",
                           "now-2h",
                           "-99999999999999999h",
                           "yesterday12:00"}) {
    CAPTURE(text);
    const auto reading = parse_time_text(text, at_ms(kNoon));
    REQUIRE_FALSE(reading);
    CHECK(reading.error().kind == ErrorKind::kUsage);
    CHECK(reading.error().message.find("2026-11-21T14:57:03Z") != std::string::npos);
  }
}

constexpr std::int64_t kThen = 1'795'269'423'000;  // 2026-11-21T13:57:03Z

// What `date -u -d TEXT +%s`, and the like, says of it.
TEST_CASE("times as mails about abuse and logs have them", "[query][time]") {
  const Zone local(kBerlin);
  const auto [text, expected] = GENERATE(table<std::string, std::int64_t>({
      {"Sat, 21 Nov 2026 14:57:03 +0100", kThen},
      {"Sat, 21 Nov 2026 14:57:03 +0100 (CET)", kThen},
      {"Sat,21 Nov 2026 08:57:03 EST", kThen},
      {"21 Nov 2026 13:57:03 GMT", kThen},
      {"21 november 2026 13:57:03 utc", kThen},
      {"21/Nov/2026:14:57:03 +0100", kThen},
      {"[21/Nov/2026:14:57:03 +0100]", kThen},
      {"21-Nov-2026 14:57:03", kThen},
      {"Nov 21 14:57:03", kThen},
      {"Nov  1 14:57:03", kThen - 20LL * 86'400'000},
      {"Dec 21 14:57:03", kThen - 335LL * 86'400'000},  // to come this year
      {"Feb 29 2024 14:57:03", 1'709'215'023'000},
      {"Feb 29 14:57:03", 1'709'215'023'000},  // the last one that there was
      {"Sat Nov 21 14:57:03 CET 2026", kThen},
      {"Sat Nov 21 14:57:03 2026", kThen},
      {"Nov 21, 2026 2:57:03 PM", kThen},
      {"Nov 21, 2026, 2:57:03pm", kThen},
      {"Nov 21, 2026 at 2:57:03 PM CET", kThen},
      {"2026-11-21 12:30 AM", kThen - 52'023'000},
      {"2026/11/21 14:57:03", kThen},
      {"2026-11-21  14:57:03", kThen},
      {"2026-11-21, 14:57:03", kThen},
      {"21.11.2026 14:57:03", kThen},
      {"21.11.2026, 14:57:03", kThen},
      {"1.11.2026 14:57:03", kThen - 20LL * 86'400'000},
      {"2026-11-21 14:57:03,500", kThen + 500},
      {"2026-11-21 14:57:03.500 CET", kThen + 500},
      {"2026-11-21 15:57:03 EET", kThen},
      {"2026-11-21 14:57:03 UTC+1", kThen},
      {"2026-11-21 14:57:03 GMT+0100", kThen},
      {"2026-11-21 08:57:03 America/New_York", kThen},
      {"2026-11-21 19:27:03 Asia/Kolkata", kThen},
      {"2026-11-21 19:27:03 asia/kolkata", kThen},
      {"2026-07-21 15:57:03 Europe/Berlin", 1'784'642'223'000},
      {"9:05", kThen - 21'123'000},
      {"13:57:03 Z", kThen},
      {"yesterday 09:05 UTC", kThen - 103'923'000},
      {"2 hours ago", kThen + 86'400'000 - 7'200'000},
      {"1 week ago", kThen + 86'400'000 - 604'800'000},
      {"1 hour 30 minutes ago", kThen + 86'400'000 - 5'400'000},
      {"-1w", kThen + 86'400'000 - 604'800'000},
      {"-90 min", kThen + 86'400'000 - 5'400'000},
      {"@1795269423", kThen},
      {"1795269423000000", kThen},
      {"1795269423000000000", kThen},
      {"@0", 0},
      {"0", 0},
      {"@1000", 1'000'000},
  }));
  CAPTURE(text);
  // Times of day are asked on that day in the evening, what is relative a day later.
  const bool relative = text.find("ago") != std::string::npos || text[0] == '-';
  CHECK(ms(text, relative ? kThen + 86'400'000 : kThen + 3'600'000) == expected);
}

TEST_CASE("a zone that is named is told, with both times where its clocks showed one twice",
          "[query][time]") {
  const Zone local("UTC0");
  CHECK(describe(read("2026-11-21 14:57 CET")) == "2026-11-21 14:57:00.000 CET (UTC+01:00)");
  const TimeReading reading = read("2026-10-25 02:30 Europe/Berlin");
  CHECK(reading.time == at_ms(1'792'888'200'000));
  REQUIRE(reading.again);
  CHECK(*reading.again == at_ms(1'792'891'800'000));
  CHECK(describe(reading) ==
        "2026-10-25 02:30:00.000 CEST (UTC+02:00); the clocks showed this time twice: this is the first, the "
        "second is 2026-10-25 02:30:00.000 +01:00");
  CHECK(read("2026-03-29 02:30 Europe/Berlin").skipped);
}

TEST_CASE("what may mean two things is refused with what would do", "[query][time]") {
  const auto why = [](const char* text) { return parse_time_text(text, at_ms(kNoon)).error().message; };
  CHECK(why("03/04/2026 14:57").find("which is the month?") != std::string::npos);
  CHECK(why("2026-11-21 14:57 IST").find("'IST' is no time zone that is known here") != std::string::npos);
  CHECK(why("14:57 Europe/Berln").find("'Europe/Berln' is no time zone") != std::string::npos);
  CHECK(why("2026-11-21T12:00:00Zjunk").find("'Zjunk' is no time zone") != std::string::npos);
  CHECK(why("14:57 ../../etc/passwd").find("is no time") != std::string::npos);
}

TEST_CASE("a time of day that is still to come is yesterday's, or today's where that is asked",
          "[query][time]") {
  const Zone local(kBerlin);
  const auto until = parse_time_text("18:00", at_ms(kNoon), ClockDay::kToday);
  REQUIRE(until);
  CHECK(until->time == at_ms(kNoon + 5 * 3'600'000));
  CHECK(ms("18:00") == kNoon - 19 * 3'600'000);
}

TEST_CASE("a TZ that names no zone is told", "[query][time]") {
  for (const char* fine : {"UTC0", kBerlin, "Europe/Berlin", ":Europe/Berlin", "<+0530>-5:30", "UTC", ""}) {
    const Zone local(fine);
    CHECK(trouble_with_local_zone().empty());
  }
  const Zone local("Europe/Berln");
  CHECK(trouble_with_local_zone().find("'Europe/Berln'") != std::string::npos);
}

TEST_CASE("local times go there and back in every hour of a year", "[query][time]") {
  for (const char* zone :
       {"UTC0", kBerlin, "EST5EDT,M3.2.0,M11.1.0", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"}) {
    const Zone local(zone);
    for (std::int64_t hour = 0; hour < 366 * 24; ++hour) {
      const UnixMs time = at_ms(1'767'225'600'000 + hour * 3'600'000 + 1'800'000);
      const LocalReading reading = from_local(to_local(time).civil);
      REQUIRE((reading.time == time || reading.again == time));
      REQUIRE_FALSE(reading.skipped);
    }
  }
}

}  // namespace
}  // namespace natsession::testing
