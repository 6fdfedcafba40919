// Oracle: IpAddress::to_string(), which asks inet_ntop().
#include "record/address_text.h"

#include <random>

#include <catch2/catch.hpp>

#include "record/golden.h"

namespace natsession::testing {
namespace {

std::string written(const IpAddress& address) {
  std::array<char, IpAddress::kMaxTextLength + 4> buffer{};
  buffer.fill('#');
  const std::size_t length = static_cast<std::size_t>(write_address(buffer.data(), address) - buffer.data());
  REQUIRE(length <= IpAddress::kMaxTextLength);
  REQUIRE(std::string(buffer.end() - 4, buffer.end()) == "####");
  return {buffer.data(), length};
}

TEST_CASE("every octet is written right at every place", "[record][address]") {
  for (unsigned octet = 0; octet < 256; ++octet) {
    for (unsigned place = 0; place < 4; ++place) {
      std::array<std::uint8_t, 4> octets{7, 42, 255, 0};
      octets[place] = static_cast<std::uint8_t>(octet);
      std::uint32_t v4 = 0;
      std::memcpy(&v4, octets.data(), octets.size());
      const IpAddress address = IpAddress::from_v4(v4);
      if (written(address) != address.to_string()) FAIL(address.to_string());
    }
  }
}

TEST_CASE("IPv6 addresses with every pattern of zero groups are written as inet_ntop writes them",
          "[record][address]") {
  // One bit a group says whether it is zero; the other groups have one to four digits.
  for (unsigned pattern = 0; pattern < 256; ++pattern) {
    for (const unsigned digits : {0x1U, 0x9aU, 0xabcU, 0xffffU, 0x1000U}) {
      std::array<std::uint8_t, 16> bytes{};
      for (std::size_t group = 0; group < 8; ++group) {
        if ((pattern >> group & 1) == 0) continue;
        bytes[2 * group] = static_cast<std::uint8_t>(digits >> 8);
        bytes[2 * group + 1] = static_cast<std::uint8_t>(digits);
      }
      const IpAddress address = IpAddress::from_v6(bytes);
      if (written(address) != address.to_string()) FAIL(address.to_string());
    }
  }
}

TEST_CASE("any IPv6 address is written as inet_ntop writes it", "[record][address]") {
  std::mt19937_64 random(13);
  for (int i = 0; i < 100'000; ++i) {
    std::array<std::uint8_t, 16> bytes{};
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> (random() % 64));
    const IpAddress address = IpAddress::from_v6(bytes);
    if (written(address) != address.to_string()) FAIL(address.to_string());
  }
}

TEST_CASE("the examples of RFC 5952 come out in its canonical form", "[record][address]") {
  CHECK(written(address("2001:0db8::0001")) == "2001:db8::1");
  CHECK(written(address("2001:db8:0:0:0:0:2:1")) == "2001:db8::2:1");
  CHECK(written(address("2001:db8:0:1:1:1:1:1")) == "2001:db8:0:1:1:1:1:1");
  CHECK(written(address("2001:0:0:1:0:0:0:1")) == "2001:0:0:1::1");
  CHECK(written(address("2001:db8:0:0:1:0:0:1")) == "2001:db8::1:0:0:1");
  CHECK(written(address("2001:DB8::AAAA")) == "2001:db8::aaaa");
  CHECK(written(address("::")) == "::");
  CHECK(written(address("::1")) == "::1");
  CHECK(written(address("1::")) == "1::");
  CHECK(written(address("::192.0.2.33")) == "::192.0.2.33");
  CHECK(written(address("64:ff9b::192.0.2.33")) == "64:ff9b::c000:221");
}

}  // namespace
}  // namespace natsession::testing
