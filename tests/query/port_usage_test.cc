#include "query/port_usage.h"

#include <set>

#include <catch2/catch.hpp>

#include "query/query_dice.h"

namespace natsession::testing {
namespace {

// Different ports in use at a time, counted slowly: a port is in use while a record says that its session had
// begun and had not ended.
std::size_t slow_count(const std::vector<SessionRecord>& all, const PortQuestion& question, UnixMs time,
                       const std::function<bool(const SessionRecord&)>& wanted) {
  std::set<std::uint16_t> ports;
  for (const SessionRecord& record : all) {
    if (record.event == RecordEvent::kGap || record.end_time < question.from ||
        record.start_time > question.until)
      continue;
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
    std::uint32_t peak = 0;
    for (std::size_t point = 0; point < result->points; ++point) {
      const UnixMs time = question.from + point * question.step;
      const auto expected = slow_count(ledger.all, question, time, [&](const SessionRecord& record) {
        return record.nat_ip == use.nat_ip && record.protocol == use.protocol;
      });
      REQUIRE(use.ports.in_use[point] == expected);
      peak = std::max(peak, use.ports.in_use[point]);
    }
    CHECK(use.ports.peak == peak);
    CHECK(use.ports.now == use.ports.in_use.back());
  }
  REQUIRE(result->destinations.size() == 5);
  for (const DestinationUse& use : result->destinations) {
    for (std::size_t point = 0; point < result->points; point += 7) {
      const UnixMs time = question.from + point * question.step;
      const auto expected = slow_count(ledger.all, question, time, [&](const SessionRecord& record) {
        return record.nat_ip == use.nat_ip && record.protocol == use.protocol &&
               record.pub_ip == use.pub_ip && record.pub_port == use.pub_port;
      });
      REQUIRE(use.ports.in_use[point] == expected);
    }
  }
}

TEST_CASE("a sweep counts a port once, however its uses overlap", "[query][ports]") {
  const PointGrid grid(at_ms(0), std::chrono::milliseconds(10), 10);
  PortSweep sweep(10);
  sweep.add(1, 6, 9);
  sweep.add(1, 7, 8);  // within
  sweep.add(1, 4, 7);  // overlaps
  sweep.add(1, 1, 2);  // apart
  sweep.add(2, 5, 6);
  CHECK(sweep.series(grid, 100).in_use == std::vector<std::uint32_t>{0, 1, 0, 0, 1, 2, 1, 1, 1, 0});
  CHECK(sweep.series(grid, 100).peak == 2);
  CHECK(sweep.series(grid, 100).peak_at == at_ms(50));
  CHECK(sweep.series(grid, 100).peak_share == Approx(0.02));
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
  PortSweep sweep(60);
  for (std::uint16_t port = 0; port < 60; ++port) sweep.add(port, port, 60);
  const PortSeries series = sweep.series(grid, 120);
  CHECK(series.now == 60);
  CHECK(series.per_hour == Approx(60));
  REQUIRE(series.full_at);
  CHECK(*series.full_at == at_minute(119));

  PortSweep falling(60);
  for (std::uint16_t port = 0; port < 60; ++port) falling.add(port, 0, static_cast<std::uint16_t>(60 - port));
  CHECK_FALSE(falling.series(grid, 120).full_at);
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

  question.step = std::chrono::milliseconds(1);
  CHECK(find_ports(ledger.view(), question, {}).error().kind == ErrorKind::kUsage);
}

}  // namespace
}  // namespace natsession::testing
