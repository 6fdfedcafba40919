#include "net/ip_address.h"

#include <arpa/inet.h>

#include <catch2/catch.hpp>

namespace natsession {
namespace {

using namespace std::string_literals;

std::string canonical(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? address->to_string() : "refused: " + address.error().message;
}

TEST_CASE("IPv4 addresses are read and written", "[net][address]") {
  for (const std::string_view text :
       {"0.0.0.0", "1.2.3.4", "10.20.30.40", "192.168.100.99", "255.255.255.255"}) {
    CHECK(canonical(text) == text);
  }
}

TEST_CASE("an IPv4 address is what the kernel has in network byte order", "[net][address]") {
  const auto parsed = IpAddress::parse("192.0.2.33");
  REQUIRE(parsed);
  CHECK(parsed->is_v4());
  CHECK(parsed->v4() == htonl(0xc000'0221));
  CHECK(*parsed == IpAddress::from_v4(htonl(0xc000'0221)));
  const std::array<std::uint8_t, 16> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 33};
  CHECK(parsed->bytes() == mapped);
}

TEST_CASE("an IPv4-mapped address is the IPv4 address", "[net][address]") {
  CHECK(canonical("::ffff:192.0.2.33") == "192.0.2.33");
  CHECK(canonical("::ffff:c000:221") == "192.0.2.33");
  CHECK(IpAddress::parse("::ffff:10.0.0.1")->is_v4());
  CHECK_FALSE(IpAddress::parse("::fffe:10.0.0.1")->is_v4());
  CHECK_FALSE(IpAddress::parse("::10.0.0.1")->is_v4());
  CHECK_FALSE(IpAddress::parse("1::ffff:10.0.0.1")->is_v4());
}

TEST_CASE("IPv6 addresses are written as RFC 5952 recommends", "[net][address]") {
  // Sections 4.1 to 4.3 and 5; the first four are the RFC's own examples.
  CHECK(canonical("2001:0db8::0001") == "2001:db8::1");
  CHECK(canonical("2001:db8:0:0:0:0:2:1") == "2001:db8::2:1");
  CHECK(canonical("2001:db8::1:1:1:1:1") == "2001:db8:0:1:1:1:1:1");
  CHECK(canonical("2001:0:0:1:0:0:0:1") == "2001:0:0:1::1");
  CHECK(canonical("2001:db8:0:0:1:0:0:1") == "2001:db8::1:0:0:1");
  CHECK(canonical("2001:DB8::ABCD") == "2001:db8::abcd");
  CHECK(canonical("0:0:0:0:0:0:0:0") == "::");
  CHECK(canonical("0:0:0:0:0:0:0:1") == "::1");
  CHECK(canonical("fe80:0:0:0:0:0:0:0") == "fe80::");
  CHECK(canonical("64:ff9b::192.0.2.33") == "64:ff9b::c000:221");
}

TEST_CASE("the longest text fits kMaxTextLength", "[net][address]") {
  const std::string longest = "abcd:abcd:abcd:abcd:abcd:abcd:abcd:abcd";
  CHECK(canonical(longest) == longest);
  CHECK(longest.size() <= IpAddress::kMaxTextLength);
}

TEST_CASE("write() puts no NUL behind the text", "[net][address]") {
  for (const std::string_view text : {"1.2.3.4", "2001:db8::1"}) {
    std::string buffer(IpAddress::kMaxTextLength + 1, '#');
    char* const end = IpAddress::parse(text)->write(buffer.data());
    CHECK(std::string_view(buffer.data(), static_cast<std::size_t>(end - buffer.data())) == text);
    CHECK(*end == '#');
  }
}

TEST_CASE("what is no address is refused by name", "[net][address]") {
  for (const std::string& text : {""s,           "1.2.3"s,       "1.2.3.4.5"s,     "1.2.3.256"s,
                                  "01.2.3.4"s,   "1.2.3.4 "s,    " 1.2.3.4"s,      "1.2.3.-4"s,
                                  "0x7f.0.0.1"s, "1.2.3.4/8"s,   "localhost"s,     ":"s,
                                  ":::"s,        "1::2::3"s,     "1:2:3:4:5:6:7"s, "1:2:3:4:5:6:7:8:9"s,
                                  "12345::"s,    "g::"s,         "fe80::1%eth0"s,  "[::1]"s,
                                  "1.2.3.4\0"s,  "1.2.3.4\0.5"s, "::1\0x"s}) {
    const auto address = IpAddress::parse(text);
    INFO(text);
    REQUIRE_FALSE(address);
    CHECK(address.error().kind == ErrorKind::kUsage);
    CHECK(address.error().message == "'" + text + "' is not an IPv4 or IPv6 address");
  }
}

TEST_CASE("addresses compare by their bytes, IPv4 by the number it stands for", "[net][address]") {
  CHECK(*IpAddress::parse("9.0.0.0") < *IpAddress::parse("10.0.0.0"));
  CHECK(*IpAddress::parse("10.0.0.255") < *IpAddress::parse("10.0.1.0"));
  CHECK(*IpAddress::parse("255.255.255.255") < *IpAddress::parse("2001:db8::"));
  CHECK(*IpAddress::parse("2001:DB8::") == *IpAddress::parse("2001:db8:0::0"));
  CHECK(IpAddress() == *IpAddress::parse("::"));
}

}  // namespace
}  // namespace natsession
