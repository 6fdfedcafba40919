#include "control/session_filter.h"

#include <catch2/catch.hpp>

#include "control/rate_meter.h"
#include "control/sample_status.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: the tests' own language

bool matches(const QueryArguments& arguments) {
  const auto filter = parse_session_filter(arguments);
  REQUIRE(filter);
  return filter->matches(sample_session());
}

std::string refused(const QueryArguments& arguments) {
  const auto filter = parse_session_filter(arguments);
  REQUIRE_FALSE(filter);
  CHECK(filter.error().kind == ErrorKind::kUsage);
  return filter.error().message;
}

TEST_CASE("no argument lets every session through, up to the default limit", "[control][filter]") {
  CHECK(matches({}));
  CHECK(parse_session_filter({})->limit == 1000);
}

TEST_CASE("each condition alone lets through what it names, and nothing else", "[control][filter]") {
  CHECK(matches({{"protocol", "tcp"}}));
  CHECK(matches({{"protocol", "6"}}));
  CHECK_FALSE(matches({{"protocol", "udp"}}));
  CHECK(matches({{"pri_ip", "10.0.0.5"}}));
  CHECK(matches({{"pri_ip", "10.0.0.0/8"}}));
  CHECK_FALSE(matches({{"pri_ip", "10.0.0.6"}}));
  CHECK_FALSE(matches({{"pri_ip", "::/0"}}));
  CHECK(matches({{"nat_ip", "203.0.113.1"}}));
  CHECK_FALSE(matches({{"nat_ip", "10.0.0.5"}}));
  CHECK(matches({{"pub_ip", "198.51.100.0/24"}}));
  CHECK_FALSE(matches({{"pub_ip", "203.0.113.1"}}));
  CHECK(matches({{"pri_port", "40000"}}));
  CHECK_FALSE(matches({{"pri_port", "1024"}}));
  CHECK(matches({{"nat_port", "1024"}}));
  CHECK_FALSE(matches({{"nat_port", "443"}}));
  CHECK(matches({{"pub_port", "443"}}));
  CHECK_FALSE(matches({{"pub_port", "40000"}}));
  CHECK(matches({{"netns", ""}}));
  CHECK_FALSE(matches({{"netns", "blue"}}));
}

TEST_CASE("all conditions must hold together", "[control][filter]") {
  CHECK(matches({{"nat_ip", "203.0.113.1"}, {"nat_port", "1024"}, {"limit", "1"}}));
  CHECK_FALSE(matches({{"nat_ip", "203.0.113.1"}, {"nat_port", "1025"}}));
}

TEST_CASE("an argument that cannot be is refused with its name, its value and what would do",
          "[control][filter]") {
  CHECK(refused({{"protocol", "tpc"}}) ==
        "argument 'protocol': 'tpc' is not a protocol: icmp, tcp, udp, dccp, gre, icmpv6, sctp, udplite, or "
        "a number up to 255");
  CHECK(refused({{"protocol", "256"}}).find("'256'") != std::string::npos);
  CHECK(refused({{"pri_port", "65536"}}) == "argument 'pri_port': '65536' is not a port: 0 to 65535");
  CHECK(refused({{"nat_port", ""}}).find("''") != std::string::npos);
  CHECK(refused({{"pub_port", "80 "}}).find("'80 '") != std::string::npos);
  CHECK(refused({{"pri_ip", "10.0.0.1/8"}}).find("10.0.0.1/8") != std::string::npos);
  CHECK(refused({{"recorded", "no"}}) == "argument 'recorded': 'no' is not yes");
  CHECK(refused({{"limit", "0"}}).find("1 to 100000") != std::string::npos);
  CHECK(refused({{"limit", "100001"}}).find("1 to 100000") != std::string::npos);
  CHECK(refused({{"limit", "-1"}}).find("'-1'") != std::string::npos);
  CHECK(refused({{"colour", "red"}}).find("unknown argument 'colour'; there are netns, protocol") !=
        std::string::npos);
  CHECK(refused({{"limit", "1"}, {"limit", "2"}}) == "argument 'limit' is given twice");
}

TEST_CASE("a rate is that of the last ten seconds", "[control][rate]") {
  using std::chrono::milliseconds;
  RateMeter meter;
  CHECK(meter.per_second() == 0);
  meter.sample(milliseconds(0), 1000);
  CHECK(meter.per_second() == 0);
  meter.sample(milliseconds(500), 1100);
  CHECK(meter.per_second() == Approx(200));
  for (int second = 1; second <= 60; ++second)
    meter.sample(milliseconds(second * 1000), 2000 + static_cast<std::uint64_t>(second) * 10);
  CHECK(meter.per_second() == Approx(10));
  meter.sample(milliseconds(60'000), 0);  // a counter that goes back is no rate
  CHECK(meter.per_second() == 0);
}

}  // namespace
}  // namespace natsession
