#include "flow/flow_resource.h"

#include <catch2/catch.hpp>

#include "support/session_between.h"

using namespace natsession;
using namespace natsession::testing;

TEST_CASE("a resource is an interface, a subnet, a vpc, or all that is translated", "[flow][resource]") {
  for (const std::string_view text : {"eth1", "10.0.0.0/24", "fd00::/64", "vpc:blue", "nat", "br-lan.7"}) {
    const auto resource = FlowResource::parse(text);
    REQUIRE(resource);
    CHECK(resource->to_string() == text);
  }
  for (const std::string_view text :
       {"", "vpc:", "a/b", "an interface", "sixteen-letters-", "..", "10.0.0.1/8"}) {
    const auto wrong = FlowResource::parse(text);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().kind == ErrorKind::kUsage);
    CHECK(wrong.error().message.find("'" + std::string(text) + "'") != std::string::npos);
  }
}

TEST_CASE("a subnet and a vpc cover the interfaces that have addresses in them", "[flow][resource]") {
  const KnownInterface eth1{"eth1", {ip("10.0.0.1"), ip("fd00::1")}, {"blue"}};
  const KnownInterface eth2{"eth2", {ip("10.0.1.1")}, {"red"}};
  CHECK(FlowResource::parse("10.0.0.0/24")->covers(eth1));
  CHECK_FALSE(FlowResource::parse("10.0.0.0/24")->covers(eth2));
  CHECK(FlowResource::parse("fd00::/64")->covers(eth1));
  CHECK(FlowResource::parse("vpc:blue")->covers(eth1));
  CHECK_FALSE(FlowResource::parse("vpc:blue")->covers(eth2));
  CHECK(FlowResource::parse("eth2")->covers(eth2));
  CHECK_FALSE(FlowResource::parse("eth2")->covers(eth1));
}

TEST_CASE("a directory tells what there is now, and that it changed", "[flow][resource]") {
  InterfaceDirectory directory;
  const std::uint64_t before = directory.generation();
  CHECK(directory.of("")->empty());
  directory.set("", {{"eth1", {ip("10.0.0.1")}, {}}});
  CHECK(directory.generation() != before);
  REQUIRE(directory.of("")->size() == 1);
  CHECK(directory.of("other")->empty());
}
