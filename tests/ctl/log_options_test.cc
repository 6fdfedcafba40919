#include "ask/log_options.h"

#include <catch2/catch.hpp>

#include "ctl/in_utc.h"
#include "query/query_dice.h"

namespace natsession::ctl {
namespace {

struct Said : testing::InUtc {
  LogOptions options;
};

TEST_CASE_METHOD(Said, "a range ends now and begins as long before as its command wants", "[ctl][options]") {
  const auto time = read_times("top", options, std::chrono::hours(1));
  REQUIRE(time);
  CHECK(time->until - time->from == std::chrono::hours(1));
  CHECK(std::chrono::abs(time->until - now_ms()) < std::chrono::minutes(1));
}

TEST_CASE_METHOD(Said, "the beginning counts from the end that was given", "[ctl][options]") {
  options.until = "2026-11-21 14:00";
  const auto time = read_times("top", options, std::chrono::hours(1));
  REQUIRE(time);
  CHECK(range_text(*time) ==
        "2026-11-21 13:00:00.000 UTC to 2026-11-21 14:00:00.000 UTC, zone UTC (UTC+00:00)");
  options.since = "2026-11-21 14:00";
  const auto empty = read_times("top", options, std::chrono::hours(1));
  REQUIRE_FALSE(empty);
  CHECK(empty.error().kind == ErrorKind::kUsage);
}

TEST_CASE_METHOD(Said, "of a ledger at rest the end is asked about where no time was given",
                 "[ctl][options]") {
  testing::TrafficDice dice{3};
  testing::QueryLedger ledger;
  ledger.fill(dice.traffic(50, testing::at_minute(0), testing::at_minute(10), 0), 20, 2);
  const UnixMs end = ledger.view().span()->newest_end;
  const std::chrono::milliseconds hour = std::chrono::hours(1);
  const auto rest = within_ledger({end + hour * 2, end + hour * 3, true}, ledger.view());
  REQUIRE(rest);
  CHECK(rest->until == end + std::chrono::milliseconds(1));
  CHECK(rest->until - rest->from == hour);
  const auto alive = within_ledger({end - hour, end, true}, ledger.view());
  CHECK(alive->until == end);
  const auto said = within_ledger({end + hour * 2, end + hour * 3, false}, ledger.view());
  CHECK(said->until == end + hour * 3);
}

TEST_CASE_METHOD(Said, "fields are named one by one or with commas between them", "[ctl][options]") {
  const auto fields = read_fields("--by", {"pri_ip,pub_port"});
  REQUIRE(fields);
  CHECK(*fields == std::vector<Field>{Field::kPriIp, Field::kPubPort});
  for (const char* const wrong : {"", "pri_ip,", "pri_ip,,pub_ip", "host"}) {
    const auto refused = read_fields("--by", {wrong});
    INFO(wrong);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.starts_with("--by: "));
  }
}

TEST_CASE_METHOD(Said, "an answer has one shape", "[ctl][options]") {
  Global global;
  CHECK(*shape_of(global, options) == Shape::kTable);
  options.csv = true;
  CHECK(*shape_of(global, options) == Shape::kCsv);
  global.json = true;
  CHECK_FALSE(shape_of(global, options));
  options.csv = false;
  CHECK(*shape_of(global, options) == Shape::kJson);
}

}  // namespace
}  // namespace natsession::ctl
