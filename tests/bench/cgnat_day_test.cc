#include "bench/cgnat_day.h"

#include <map>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

namespace natsession::bench {
namespace {

std::vector<SessionRecord> whole_day(CgnatDay& day, std::size_t at_once) {
  std::vector<SessionRecord> records;
  std::vector<SessionRecord> some(at_once);
  for (std::size_t count = 0; (count = day.next(some)) != 0;) {
    records.insert(records.end(), some.begin(), some.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return records;
}

struct Sums {
  std::uint32_t records = 0;
  std::uint64_t bytes = 0;
  bool ended = false;
};

}  // namespace

TEST_CASE("a generated day is in the order of ends, and every session's records hang together", "[bench]") {
  CgnatOptions options{.sessions = 30'000};
  CgnatDay day(options);
  const auto records = whole_day(day, 1000);
  CHECK(day.sessions_begun() == 30'000);
  CHECK(records.size() > 33'000);
  CHECK(records.size() < 42'000);

  const UnixMs end_of_day = options.midnight + std::chrono::hours(24);
  std::map<std::uint64_t, Sums> sessions;
  UnixMs before = options.midnight;
  std::size_t kept = 0;
  std::map<IpAddress, IpAddress> nat_of;
  for (const SessionRecord& record : records) {
    REQUIRE(record.end_time >= before);
    before = record.end_time;
    REQUIRE(record.start_time <= record.end_time);
    REQUIRE(record.end_time <= end_of_day);
    const auto since_midnight = record.start_time - options.midnight;
    REQUIRE(record.end_time <= record.start_time - since_midnight % options.window + options.window);
    REQUIRE(record.session_id == derive_session_id(record));
    REQUIRE(nat_of.try_emplace(record.pri_ip, record.nat_ip).first->second == record.nat_ip);
    Sums& sums = sessions[record.session_id];
    REQUIRE_FALSE(sums.ended);
    REQUIRE(record.seq == sums.records++);
    sums.ended = record.event == RecordEvent::kEnd;
    sums.bytes += record.bytes_from_vpc.value();
    kept += record.pri_port == record.nat_port ? 1U : 0U;
  }
  CHECK(sessions.size() == 30'000);
  CHECK(static_cast<double>(kept) / static_cast<double>(records.size()) == Approx(0.70).margin(0.02));
  for (const auto& [id, sums] : sessions) {
    REQUIRE((sums.ended || before == end_of_day));
    REQUIRE(sums.bytes > 0);
  }
}

TEST_CASE("the same options give the same day, however it is taken; another seed another", "[bench]") {
  const auto ids = [](std::uint64_t seed, std::size_t at_once) {
    CgnatDay day({.sessions = 3000, .seed = seed});
    std::vector<std::uint64_t> list;
    for (const SessionRecord& record : whole_day(day, at_once)) list.push_back(record.session_id);
    return list;
  };
  CHECK(ids(1, 7) == ids(1, 5000));
  CHECK(ids(1, 100) != ids(2, 100));
}

TEST_CASE("destinations are Zipf's: the first of 200,000 has a twelfth of the sessions", "[bench]") {
  CgnatDay day({.sessions = 50'000});
  std::map<IpAddress, std::size_t> counts;
  std::size_t total = 0;
  for (const SessionRecord& record : whole_day(day, 1000)) {
    if (record.seq != 0) continue;
    ++counts[record.pub_ip];
    ++total;
  }
  std::size_t most = 0;
  for (const auto& [address, count] : counts) most = std::max(most, count);
  CHECK(static_cast<double>(most) / static_cast<double>(total) == Approx(1 / 12.78).epsilon(0.05));
}

}  // namespace natsession::bench
