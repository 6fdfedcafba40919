#include "query/timeline.h"

#include <catch2/catch.hpp>

#include "query/query_dice.h"

namespace natsession::testing {
namespace {

// One record of one host.
SessionRecord slice(TrafficDice& dice, std::int64_t start_ms, std::int64_t end_ms, std::uint64_t bytes,
                    const std::string& host = "10.0.0.1") {
  SessionRecord record;
  record.origin = &dice.origin();
  record.pri_ip = ip(host);
  record.pub_ip = ip("198.51.100.1");
  record.nat_ip = ip("203.0.113.1");
  record.protocol = 6;
  record.start_time = at_ms(kDayBegin + start_ms);
  record.end_time = at_ms(kDayBegin + end_ms);
  record.session_start = record.start_time;
  record.bytes_from_vpc = Count(bytes);
  record.bytes_from_pub = Count(0);
  record.pkts_from_vpc = Count(1);
  record.pkts_from_pub = Count(1);
  record.session_id = derive_session_id(record);
  record.reason = RecordReason::kDestroyed;
  return record;
}

std::vector<std::uint64_t> bytes_of(const TimelineSeries& series) {
  std::vector<std::uint64_t> bytes;
  for (const Sums& bucket : series.buckets) bytes.push_back(bucket.bytes_from_vpc);
  return bytes;
}

TimelineQuestion five_minutes() {
  TimelineQuestion question;
  question.from = at_minute(0);
  question.until = at_minute(5);
  return question;
}

TEST_CASE("traffic is spread over the buckets that its slice touches", "[query][timeline]") {
  TrafficDice dice(31);
  QueryLedger ledger;
  const std::vector<SessionRecord> records = {slice(dice, 30'000, 150'000, 1200),
                                              slice(dice, 60'000, 60'000, 7)};
  ledger.frame(records);
  TimelineQuestion question = five_minutes();
  const auto spread = find_timeline(ledger.view(), question, with_threads(1));
  REQUIRE(spread);
  REQUIRE(spread->series.size() == 1);
  CHECK(bytes_of(spread->series[0]) == std::vector<std::uint64_t>{300, 607, 300, 0, 0});
  CHECK(spread->series[0].total.bytes_from_vpc == 1207);
  CHECK(spread->series[0].buckets[0].sessions == 1);
  CHECK(spread->series[0].buckets[1].sessions == 1);
  CHECK(spread->series[0].buckets[2].records == 1);

  question.spread = Spread::kAtEnd;
  const auto at_end = find_timeline(ledger.view(), question, with_threads(1));
  REQUIRE(at_end);
  CHECK(bytes_of(at_end->series[0]) == std::vector<std::uint64_t>{0, 7, 1200, 0, 0});
}

TEST_CASE("what lies outside the time is not counted, and nothing is lost to rounding", "[query][timeline]") {
  TrafficDice dice(32);
  QueryLedger ledger;
  const std::vector<SessionRecord> records = {slice(dice, -60'000, 60'000, 1001),
                                              slice(dice, 100'000, 220'001, 7'777'777'777'777'777'777)};
  ledger.frame(records);
  const auto result = find_timeline(ledger.view(), five_minutes(), with_threads(1));
  REQUIRE(result);
  const auto bytes = bytes_of(result->series[0]);
  CHECK(bytes[0] == 501);
  CHECK(bytes[1] + bytes[2] + bytes[3] == 7'777'777'777'777'777'777);
  CHECK(result->series[0].buckets[0].sessions == 0);
}

TEST_CASE("the largest have a series each, and the others are the rest", "[query][timeline]") {
  TrafficDice dice(33);
  QueryLedger ledger;
  const auto records = dice.traffic(2000, at_minute(0), at_minute(120), 5);
  ledger.fill(records, 200, 4);
  TimelineQuestion question;
  question.from = at_minute(10);
  question.until = at_minute(100);
  question.by = Field::kPriIp;
  question.series = 3;
  question.bucket = std::chrono::minutes(10);
  const auto by_host = find_timeline(ledger.view(), question, with_threads(3));
  REQUIRE(by_host);
  REQUIRE(by_host->series.size() == 4);
  CHECK(by_host->series[3].rest);
  question.by.reset();
  const auto together = find_timeline(ledger.view(), question, with_threads(2));
  REQUIRE(together);
  for (std::size_t bucket = 0; bucket < together->buckets; ++bucket) {
    Sums sum;
    for (const TimelineSeries& series : by_host->series) sum.add(series.buckets[bucket]);
    CHECK(sum == together->series[0].buckets[bucket]);
  }
  // Each by itself, and none of the others larger.
  for (const IpAddress& host : dice.hosts()) {
    question.where = {FieldTest::address(Field::kPriIp, host)};
    const auto alone = find_timeline(ledger.view(), question, with_threads(1));
    REQUIRE(alone);
    const auto shown =
        std::find_if(by_host->series.begin(), by_host->series.end() - 1,
                     [&](const TimelineSeries& series) { return series.key == GroupValue(host); });
    if (shown != by_host->series.end() - 1) {
      CHECK(shown->buckets == alone->series[0].buckets);
    } else {
      CHECK(alone->series[0].total.bytes_from_vpc <= by_host->series[2].total.bytes_from_vpc);
    }
  }
}

TEST_CASE("a timeline that cannot be is refused", "[query][timeline]") {
  const QueryLedger ledger;
  TimelineQuestion question = five_minutes();
  question.bucket = std::chrono::milliseconds(1);
  CHECK(find_timeline(ledger.view(), question, {}).error().kind == ErrorKind::kUsage);
  question.bucket = std::chrono::milliseconds(0);
  CHECK_FALSE(find_timeline(ledger.view(), question, {}));
  question = five_minutes();
  question.until = question.from;
  CHECK_FALSE(find_timeline(ledger.view(), question, {}));
  question = five_minutes();
  question.by = Field::kStartTime;
  CHECK_FALSE(find_timeline(ledger.view(), question, {}));
  question = five_minutes();
  question.until = UnixMs::max();
  CHECK_FALSE(find_timeline(ledger.view(), question, {}));
  const auto empty = find_timeline(ledger.view(), five_minutes(), {});
  REQUIRE(empty);
  CHECK(empty->buckets == 5);
}

}  // namespace
}  // namespace natsession::testing
