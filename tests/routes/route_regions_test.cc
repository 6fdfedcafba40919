#include "routes/route_regions.h"

#include <algorithm>
#include <vector>

#include <catch2/catch.hpp>

namespace natsession::testing {
namespace {

IpAddress parsed(const std::string& text) {
  return *IpAddress::parse(text);
}

// Numbers that are always the same.
class Numbers {
 public:
  std::uint32_t next() { return state_ = state_ * 1664525 + 1013904223; }
  // Close to others: few prefixes of chance would meet.
  IpAddress v4() { return IpAddress::from_v4(next() & 0xff03'030aU); }
  IpAddress v6() {
    std::array<std::uint8_t, 16> bytes{0x20, 1};
    bytes[7] = static_cast<std::uint8_t>(next() >> 30U);
    bytes[8] = static_cast<std::uint8_t>(next() >> 30U);
    bytes[15] = static_cast<std::uint8_t>(next() >> 29U);
    return IpAddress::from_v6(bytes);
  }

 private:
  std::uint32_t state_ = 7;
};

}  // namespace

TEST_CASE("a region is told by its first address", "[routes][regions]") {
  RouteRegions regions;
  regions.add(*Prefix::parse("10.0.0.0/8"));
  regions.add(*Prefix::parse("10.1.0.0/16"));
  regions.add(*Prefix::parse("2001:db8::/32"));
  regions.finish();
  CHECK(regions.prefixes() == 3);
  const auto first = [&](const std::string& text) { return regions.first_of(parsed(text)).to_string(); };
  CHECK(first("10.0.5.5") == "10.0.0.0");
  CHECK(first("10.1.255.255") == "10.1.0.0");
  CHECK(first("10.2.0.0") == "10.2.0.0");
  CHECK(first("10.255.0.1") == "10.2.0.0");
  CHECK(first("11.0.0.1") == "11.0.0.0");
  CHECK(first("126.9.9.9") == "11.0.0.0");
  CHECK(first("224.0.0.5") == "224.0.0.0");
  CHECK(first("255.255.255.254") == "240.0.0.0");
  CHECK(first("255.255.255.255") == "255.255.255.255");
  CHECK(first("2001:db8::1") == "2001:db8::");
  CHECK(first("2001:db9::1") == "2001:db9::");
  CHECK(first("::1") == "::1");
  CHECK(first("::2") == "::2");
  CHECK(first("ffff::") == "ff00::");
}

TEST_CASE("all addresses of a region lie in the same prefixes", "[routes][regions]") {
  Numbers numbers;
  for (int round = 0; round < 20; ++round) {
    RouteRegions regions;
    std::vector<Prefix> prefixes;
    for (int i = 0; i < 30; ++i) {
      prefixes.push_back(Prefix::of(numbers.v4(), numbers.next() >> 27U));
      prefixes.push_back(Prefix::of(numbers.v6(), 40 + (numbers.next() >> 25U)));
    }
    for (const Prefix& prefix : prefixes) regions.add(prefix);
    regions.finish();
    for (int i = 0; i < 300; ++i) {
      const IpAddress address = i % 2 == 0 ? numbers.v4() : numbers.v6();
      const IpAddress first = regions.first_of(address);
      INFO(address.to_string() << " in the region of " << first.to_string());
      CHECK(first <= address);
      CHECK(regions.first_of(first) == first);
      CHECK(std::all_of(prefixes.begin(), prefixes.end(), [&](const Prefix& prefix) {
        return prefix.contains(first) == prefix.contains(address);
      }));
    }
  }
}

}  // namespace natsession::testing
