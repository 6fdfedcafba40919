#include "conntrack/network_namespace.h"

#include <catch2/catch.hpp>

namespace natsession::testing {

TEST_CASE("a namespace that cannot be named is refused before anything is tried", "[conntrack][namespace]") {
  const std::string name = GENERATE("..", ".", "a/b", "pid:", "pid:x", "pid:1/2", "pid:-1");
  CAPTURE(name);
  const auto entered = NetworkNamespace::enter(name);
  REQUIRE_FALSE(entered);
  CHECK(entered.error().kind == ErrorKind::kUsage);
  CHECK_THAT(entered.error().message,
             Catch::Contains("\"" + name + "\"") && Catch::Contains("neither a name"));
}

TEST_CASE("a namespace that does not exist is a specific error", "[conntrack][namespace]") {
  const auto message = [](std::string_view name) {
    const auto entered = NetworkNamespace::enter(name);
    REQUIRE_FALSE(entered);
    CHECK(entered.error().kind == ErrorKind::kUsage);
    return entered.error().message;
  };
  CHECK_THAT(message("natsession-no-such"), Catch::Contains("/run/netns"));
  CHECK_THAT(message("/natsession/no-such"), Catch::Contains("no such file"));
  CHECK_THAT(message("pid:4194305"), Catch::Contains("no such process"));  // beyond the largest pid
}

}  // namespace natsession::testing
