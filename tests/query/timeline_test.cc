#include "query/timeline.h"

#include <numeric>
#include <random>
#include <set>
#include <tuple>

#include <catch2/catch.hpp>

#include "query/port_counter.h"
#include "query/port_usage.h"
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

// Different ports in use at a time, counted slowly: a port is in use while a record says that its session had
// begun and had not ended.
std::size_t slow_count(const std::vector<SessionRecord>& all, UnixMs time,
                       const std::function<bool(const SessionRecord&)>& wanted) {
  std::set<std::uint16_t> ports;
  for (const SessionRecord& record : all) {
    if (record.event == RecordEvent::kGap) continue;
    const UnixMs begin = record.session_start.value_or(record.start_time);
    if (wanted(record) && begin <= time && time < record.end_time) ports.insert(record.nat_port);
  }
  return ports.size();
}

TEST_CASE("ports in use are those that a slow count finds, at every point of time", "[query][ports]") {
  TrafficDice dice(41);
  QueryLedger ledger;
  ledger.fill(dice.traffic(3000, at_minute(0), at_minute(180), 5), 100, 5);
  PortQuestion question;
  question.from = at_minute(20);
  question.until = at_minute(160);
  question.step = std::chrono::seconds(60);
  question.destinations = 5;
  const auto result = find_ports(ledger.view(), question, with_threads(3));
  REQUIRE(result);
  REQUIRE(result->points == 141);
  REQUIRE(result->addresses.size() >= 6);
  for (const PortKeyUse& use : result->addresses) {
    for (std::size_t point = 0; point < result->points; ++point) {
      const UnixMs time = question.from + point * question.step;
      const auto expected = slow_count(ledger.all, time, [&](const SessionRecord& record) {
        return record.nat_ip == use.nat_ip && record.protocol == use.protocol;
      });
      REQUIRE(use.ports.in_use[point] == expected);
    }
    CHECK(use.ports.now == use.ports.in_use.back());
  }
  REQUIRE(result->destinations.size() == 5);
  for (const DestinationUse& use : result->destinations) {
    for (std::size_t point = 0; point < result->points; point += 7) {
      const UnixMs time = question.from + point * question.step;
      const auto expected = slow_count(ledger.all, time, [&](const SessionRecord& record) {
        return record.nat_ip == use.nat_ip && record.protocol == use.protocol &&
               record.pub_ip == use.pub_ip && record.pub_port == use.pub_port;
      });
      REQUIRE(use.ports.in_use[point] == expected);
    }
  }
}

TEST_CASE("the peak is the most ports at any time, whatever the step is", "[query][ports]") {
  TrafficDice dice(43);
  QueryLedger ledger;
  ledger.fill(dice.traffic(1500, at_minute(0), at_minute(180), 5), 100, 5);
  PortQuestion question;
  question.from = at_minute(20);
  question.until = at_minute(160);
  question.destinations = 0;
  const auto step =
      GENERATE(std::chrono::seconds(10), std::chrono::seconds(7 * 60), std::chrono::seconds(3600));
  question.step = step;
  const auto result = find_ports(ledger.view(), question, with_threads(2));
  REQUIRE(result);
  REQUIRE(result->addresses.size() >= 6);
  for (const PortKeyUse& use : result->addresses) {
    const auto of_key = [&](const SessionRecord& record) {
      return record.event != RecordEvent::kGap && record.nat_ip == use.nat_ip &&
             record.protocol == use.protocol;
    };
    // More come into use only when one begins.
    std::set<UnixMs> times{question.from};
    for (const SessionRecord& record : ledger.all) {
      const UnixMs begin = record.session_start.value_or(record.start_time);
      if (of_key(record) && begin > question.from && begin <= question.until) times.insert(begin);
    }
    std::size_t peak = 0;
    UnixMs peak_at;
    for (const UnixMs time : times) {
      const std::size_t count = slow_count(ledger.all, time, of_key);
      if (count > peak) peak_at = time;
      peak = std::max(peak, count);
    }
    CHECK(use.ports.peak == peak);
    CHECK(use.ports.peak_at == peak_at);
    CHECK(use.ports.peak_share == Approx(static_cast<double>(peak) / result->range));
  }
}

TEST_CASE("a sweep counts a port once, however its uses overlap", "[query][ports]") {
  const PointGrid grid(at_ms(0), std::chrono::milliseconds(10), 10);
  PortSweep<std::uint32_t> sweep(grid, 100);
  sweep.add_user();
  const std::uint16_t user = sweep.add_user();
  sweep.add(user, 1, 60, 90);
  sweep.add(user, 1, 70, 80);  // within
  sweep.add(user, 1, 40, 70);  // overlaps
  sweep.add(user, 2, 45, 55);
  sweep.add(user, 1, 10, 20);  // apart
  sweep.finish();
  CHECK(sweep.in_use(user) == std::vector<std::uint32_t>{0, 1, 0, 0, 1, 2, 1, 1, 1, 0});
  CHECK(sweep.in_use(0) == std::vector<std::uint32_t>(10));
  CHECK(sweep.peak(user) == 2);
  CHECK(sweep.peak_at(user) == 45);
  CHECK(sweep.peak(0) == 0);
  const PortSeries series = port_series(sweep.in_use(user), grid, 100);
  CHECK(series.peak == 2);
  CHECK(series.peak_at == at_ms(50));
  CHECK(series.peak_share == Approx(0.02));
}

TEST_CASE("a sweep finds the peak and when it was reached first, as a slow count does", "[query][ports]") {
  struct Use {
    std::uint64_t begin, end;
    std::uint16_t port;
  };
  std::mt19937_64 random(46);
  for (const std::uint64_t length : {50ULL, 3'000'000ULL, 6'000'000'000ULL}) {
    std::vector<Use> uses;
    for (int i = 0; i < 400; ++i) {
      const std::uint64_t begin = random() % length;
      uses.push_back({begin, std::min(length, begin + random() % (length / 8)),
                      static_cast<std::uint16_t>(random() % 40)});
    }
    std::sort(uses.begin(), uses.end(), [](const Use& a, const Use& b) { return a.end > b.end; });
    const PointGrid grid(at_ms(7), std::chrono::milliseconds(static_cast<std::int64_t>(length / 9)), 9);
    PortSweep<std::uint64_t> sweep(grid, length);
    const std::uint16_t user = sweep.add_user();
    for (const Use& use : uses) sweep.add(user, use.port, use.begin, use.end);
    sweep.finish();
    const auto count = [&](std::uint64_t time) {
      std::set<std::uint16_t> ports;
      for (const Use& use : uses) {
        if (use.begin <= time && time < use.end) ports.insert(use.port);
      }
      return static_cast<std::uint32_t>(ports.size());
    };
    std::uint32_t peak = 0;
    std::uint64_t peak_at = 0;
    for (const Use& use : uses) {
      const std::uint32_t now = count(use.begin);
      if (now > peak || (now == peak && use.begin < peak_at))
        std::tie(peak, peak_at) = std::pair(now, use.begin);
    }
    PortCounter<std::uint64_t> counter(grid, length, /*apart=*/true);
    for (std::size_t begin = 0; begin < uses.size(); begin += 30) {
      std::vector<PortCounter<std::uint64_t>::Use> batch;
      for (std::size_t i = std::min(begin + 30, uses.size()); i > begin; --i)
        batch.push_back({uses[i - 1].begin, uses[i - 1].end, uses[i - 1].port, 1, 0});
      counter.give(batch, 2);
      CHECK(batch.empty());
    }
    counter.finish();
    for (const std::uint16_t each : {std::uint16_t{0}, user}) {
      CHECK(counter.sweep().peak(each) == peak);
      CHECK(counter.sweep().peak_at(each) == peak_at);
    }
    CHECK(sweep.peak(user) == peak);
    CHECK(sweep.peak_at(user) == peak_at);
    for (std::size_t point = 0; point < grid.points(); ++point) {
      const auto time = (grid.time_of(point) - grid.time_of(0)).count();
      CHECK(sweep.in_use(user)[point] == count(static_cast<std::uint64_t>(time)));
    }
  }
}

TEST_CASE("points of time are at or behind a time", "[query][ports]") {
  const PointGrid grid(at_ms(1000), std::chrono::milliseconds(10), 5);
  CHECK(grid.first_at(0) == 0);
  CHECK(grid.first_at(1000) == 0);
  CHECK(grid.first_at(1001) == 1);
  CHECK(grid.first_at(1010) == 1);
  CHECK(grid.first_at(1041) == 5);
  CHECK(grid.first_at(std::numeric_limits<std::int64_t>::min()) == 0);
  CHECK(grid.first_at(std::numeric_limits<std::int64_t>::max()) == 5);
}

TEST_CASE("a rising trend says when the range is full", "[query][ports]") {
  const PointGrid grid(at_minute(0), std::chrono::minutes(1), 60);
  std::vector<std::uint32_t> rising(60);
  std::iota(rising.begin(), rising.end(), 1U);
  const PortSeries series = port_series(rising, grid, 120);
  CHECK(series.now == 60);
  CHECK(series.per_hour == Approx(60));
  REQUIRE(series.full_at);
  CHECK(*series.full_at == at_minute(119));

  CHECK_FALSE(port_series({rising.rbegin(), rising.rend()}, grid, 120).full_at);
}

TEST_CASE("sessions that the daemon knows are in use", "[query][ports]") {
  TrafficDice dice(42);
  const QueryLedger ledger;
  PortQuestion question;
  question.from = at_minute(0);
  question.until = at_minute(10);
  SessionRecord live;
  live.nat_ip = ip("203.0.113.9");
  live.pub_ip = ip("198.51.100.1");
  live.nat_port = 40'000;
  live.pub_port = 443;
  live.protocol = 6;
  live.start_time = at_minute(9);
  question.live.push_back(live);
  live.pub_ip = ip("198.51.100.2");
  live.start_time = at_minute(8);
  question.live.push_back(live);
  const auto result = find_ports(ledger.view(), question, with_threads(1));
  REQUIRE(result);
  REQUIRE(result->addresses.size() == 1);
  CHECK(result->addresses[0].ports.now == 1);
  REQUIRE(result->destinations.size() == 2);
  CHECK(result->destinations[0].ports.now == 1);

  // Of more sessions than it tells it has the count.
  question.counted = {{ip("203.0.113.9"), 6, 70}, {ip("203.0.113.8"), 17, 5}, {ip("203.0.113.9"), 17, 0}};
  const auto counted = find_ports(ledger.view(), question, with_threads(1));
  REQUIRE(counted);
  REQUIRE(counted->addresses.size() == 3);
  CHECK(counted->addresses[0].ports.now == 5);
  CHECK(counted->addresses[1].ports.now == 70);
  CHECK(counted->addresses[1].ports.peak == 70);
  CHECK(counted->addresses[1].ports.peak_at == question.until);
  CHECK(counted->addresses[1].ports.in_use.front() == 0);
  CHECK(counted->addresses[1].ports.in_use.back() == 70);
  CHECK(counted->addresses[2].ports.now == 0);
  question.counted[0].ports = 0;  // counted a moment before
  const auto fewer = find_ports(ledger.view(), question, with_threads(1));
  REQUIRE(fewer);
  CHECK(fewer->addresses[1].ports.now == 1);

  question.step = std::chrono::milliseconds(1);
  CHECK(find_ports(ledger.view(), question, {}).error().kind == ErrorKind::kUsage);
}

TEST_CASE("the port of a session that was silent since nobody knows when is said not to be counted",
          "[query][ports]") {
  TrafficDice dice(45);
  QueryLedger ledger;
  SessionRecord record = dice.session(at_minute(30)).front();
  record.session_start.reset();
  record.start_time = at_minute(30);
  record.end_time = at_minute(40);
  record.event = RecordEvent::kInterim;
  const bool known = GENERATE(true, false);
  if (known) record.session_start = at_minute(30);
  ledger.frame(std::vector<SessionRecord>{record});
  ledger.prove(at_minute(0), at_minute(3'000), false);
  PortQuestion question;
  question.from = at_minute(10);
  question.until = at_minute(20);
  const auto result = find_ports(ledger.view(), question, with_threads(1));
  REQUIRE(result);
  CHECK(result->report.missing.empty() == known);
}

}  // namespace
}  // namespace natsession::testing
