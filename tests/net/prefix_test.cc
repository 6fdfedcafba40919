#include <catch2/catch.hpp>

#include "net/ip_address.h"

namespace natsession {
namespace {

using namespace std::string_literals;

bool contains(std::string_view prefix, std::string_view address) {
  const auto parsed_prefix = Prefix::parse(prefix);
  const auto parsed_address = IpAddress::parse(address);
  REQUIRE(parsed_prefix);
  REQUIRE(parsed_address);
  return parsed_prefix->contains(*parsed_address);
}

TEST_CASE("prefixes are read and written, an address alone as its full length", "[net][prefix]") {
  CHECK(Prefix::parse("10.0.0.0/8")->to_string() == "10.0.0.0/8");
  CHECK(Prefix::parse("0.0.0.0/0")->to_string() == "0.0.0.0/0");
  CHECK(Prefix::parse("192.0.2.33")->to_string() == "192.0.2.33/32");
  CHECK(Prefix::parse("FD00::/8")->to_string() == "fd00::/8");
  CHECK(Prefix::parse("::/0")->to_string() == "::/0");
  CHECK(Prefix::parse("2001:db8::1")->to_string() == "2001:db8::1/128");
  CHECK(Prefix::parse("10.0.0.0/8")->length() == 8);
  CHECK(Prefix::parse("fd00::/8")->length() == 8);
}

TEST_CASE("a prefix contains its first and last address and not their neighbours", "[net][prefix]") {
  CHECK(contains("10.0.0.0/8", "10.0.0.0"));
  CHECK(contains("10.0.0.0/8", "10.255.255.255"));
  CHECK_FALSE(contains("10.0.0.0/8", "9.255.255.255"));
  CHECK_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  CHECK(contains("192.168.8.0/21", "192.168.15.255"));
  CHECK_FALSE(contains("192.168.8.0/21", "192.168.16.0"));
  CHECK(contains("192.0.2.33", "192.0.2.33"));
  CHECK_FALSE(contains("192.0.2.33", "192.0.2.32"));
  CHECK(contains("2001:db8:8000::/33", "2001:db8:ffff::1"));
  CHECK_FALSE(contains("2001:db8:8000::/33", "2001:db8:7fff::1"));
}

TEST_CASE("a prefix contains no address of the other family, not even the empty prefix", "[net][prefix]") {
  CHECK(contains("0.0.0.0/0", "255.1.2.3"));
  CHECK_FALSE(contains("0.0.0.0/0", "2001:db8::1"));
  CHECK(contains("::/0", "2001:db8::1"));
  CHECK_FALSE(contains("::/0", "10.0.0.1"));
}

TEST_CASE("what is no prefix is refused with what is wrong", "[net][prefix]") {
  const auto message = [](const std::string& text) {
    const auto prefix = Prefix::parse(text);
    if (!prefix) CHECK(prefix.error().kind == ErrorKind::kUsage);
    return prefix ? "accepted" : prefix.error().message;
  };
  CHECK(message("") == "'' is not an address prefix such as 10.0.0.0/8");
  CHECK(message("10/8") == "'10/8' is not an address prefix such as 10.0.0.0/8");
  CHECK(message("/8") == "'/8' is not an address prefix such as 10.0.0.0/8");
  for (const std::string& text :
       {"10.0.0.0/"s, "10.0.0.0/33"s, "10.0.0.0/-1"s, "10.0.0.0/+8"s, "10.0.0.0/8 "s, "10.0.0.0/8/8"s,
        "10.0.0.0/255.0.0.0"s, "10.0.0.0/99999999999"s, "10.0.0.0/8\0"s}) {
    CHECK(message(text) == "'" + text + "' has a bad prefix length: 0 to 32");
  }
  CHECK(message("fd00::/129") == "'fd00::/129' has a bad prefix length: 0 to 128");
  CHECK(message("10.0.0.1/8") == "'10.0.0.1/8' has bits set behind its length");
  CHECK(message("192.168.9.0/22") == "'192.168.9.0/22' has bits set behind its length");
  CHECK(message("fd00::1/127") == "'fd00::1/127' has bits set behind its length");
}

}  // namespace
}  // namespace natsession
