#include "query/time_text.h"

#include <cstdlib>
#include <ctime>

#include <catch2/catch.hpp>

#include "query/local_time.h"
#include "query/query_fixture.h"

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
                           "1:30",
                           "2026-11-21T",
                           "-2",
                           "2h",
                           "-2y",
                           "-",
                           "ago",
                           "yesterday  12:00",
                           "2026-11-21 12:00:00+25:00",
                           "2026-11-21 12:00:61",
                           "12345678",
                           "1795262400.",
                           "99999999999999999999",
                           "2026-11-21T12:00:00Zjunk",
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
