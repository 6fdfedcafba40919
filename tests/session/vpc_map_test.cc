#include "session/vpc_map.h"

#include <catch2/catch.hpp>

#include "support/flow.h"

namespace natsession {
namespace {

using testing::ip;

VpcMap map_of(std::initializer_list<std::string_view> texts) {
  std::vector<VpcRule> rules;
  for (const std::string_view text : texts) {
    auto rule = VpcRule::parse(text);
    REQUIRE(rule);
    rules.push_back(*rule);
  }
  return VpcMap(std::move(rules));
}

TEST_CASE("the longest prefix that contains the private address gives the vpc id", "[session][vpc]") {
  const VpcMap map = map_of({"10.0.0.0/8=wide", "10.1.0.0/16=narrow", "rest", "fd00::/8=six"});
  CHECK(map.find(ip("10.1.2.3"), 0, 0) == "narrow");
  CHECK(map.find(ip("10.2.2.3"), 0, 0) == "wide");
  CHECK(map.find(ip("192.168.0.1"), 0, 0) == "rest");
  CHECK(map.find(ip("fd00::1"), 0, 0) == "six");
}

TEST_CASE("a prefix goes before a zone, a zone before a mark, a mark before the default", "[session][vpc]") {
  const VpcMap map = map_of({"rest", "mark:0x10/0xf0=marked", "zone:7=zoned", "10.0.0.0/8=prefixed"});
  CHECK(map.find(ip("10.1.2.3"), 7, 0x10) == "prefixed");
  CHECK(map.find(ip("192.0.2.1"), 7, 0x10) == "zoned");
  CHECK(map.find(ip("192.0.2.1"), 1, 0x1f) == "marked");
  CHECK(map.find(ip("192.0.2.1"), 1, 0x20) == "rest");
}

TEST_CASE("without a rule that matches the vpc id is empty", "[session][vpc]") {
  CHECK(map_of({}).find(ip("10.0.0.1"), 0, 0).empty());
  CHECK(map_of({"10.0.0.0/8=a"}).find(ip("::ffff:0:1"), 0, 0).empty());
}

TEST_CASE("a rule that cannot be meant is refused and quoted", "[session][vpc]") {
  for (const std::string_view text : {"", "10.0.0.0/8=", "10.0.0.0/33=a", "10.0.0.1/8=a", "zone:70000=a",
                                      "zone:=a", "mark:1/zz=a", "mark:3/1=a", "=a", "a\nb"}) {
    const auto rule = VpcRule::parse(text);
    INFO(text);
    REQUIRE_FALSE(rule);
    CHECK(rule.error().kind == ErrorKind::kUsage);
    CHECK(rule.error().message.find(text) != std::string::npos);
  }
  CHECK_FALSE(VpcRule::parse(std::string(256, 'x')));
}

}  // namespace
}  // namespace natsession
