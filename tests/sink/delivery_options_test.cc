#include "sink/delivery_options.h"

#include <catch2/catch.hpp>

#include "sink/registry.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

TEST_CASE("a URL without options leaves its service to the defaults of its kind", "[sink][options]") {
  const auto [url, remote] = GENERATE(table<std::string, bool>({
      {"stdout", false},
      {"file:/a", false},
      {"journald", false},
      {"syslog:", true},
      {"syslog+udp://host", true},
      {"syslog+tcp://host", true},
      {"exec:cat", true},
  }));
  CAPTURE(url);
  const auto options = delivery_options(url);
  REQUIRE(options);
  CHECK_FALSE(options->batch);
  CHECK_FALSE(options->batch_bytes);
  CHECK_FALSE(options->linger);
  CHECK_FALSE(options->suspend);
  CHECK_FALSE(options->from_start);
  CHECK(options->remote == remote);
  CHECK(options->linger_or_default() == (remote ? 1s : 0s));
}

TEST_CASE("a URL says how its sink is served", "[sink][options]") {
  const auto options = delivery_options(
      "file:/a?keep=1&rotate_time=1h&batch=500&batch_bytes=2M&linger=250ms&suspend=90s&from=start");
  REQUIRE(options);
  CHECK(options->batch == 500);
  CHECK(options->batch_bytes == ByteCount{2 << 20});
  CHECK(options->linger == 250ms);
  CHECK(options->linger_or_default() == 250ms);
  CHECK(options->suspend == 90s);
  CHECK(options->from_start);
  CHECK_FALSE(delivery_options("stdout?from=end")->from_start);
  CHECK(delivery_options("exec:cat?linger=0s")->linger_or_default() == 0s);
}

TEST_CASE("a URL that is no sink's has no options either", "[sink][options]") {
  for (const std::string_view url : {"nothing:", "stdout?batch=none", "stdout?bach=1", "file:"}) {
    const auto options = delivery_options(url);
    REQUIRE_FALSE(options);
    CHECK(options.error().message == check_sink_url(url).error().message);
  }
}

TEST_CASE("every kind of sink can be checked, tried and opened, and has a scheme of its own",
          "[sink][registry]") {
  const auto kinds = sink_kinds();
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    CHECK(kinds[i].check != nullptr);
    CHECK(kinds[i].probe != nullptr);
    CHECK(kinds[i].open != nullptr);
    CHECK_THAT(std::string(kinds[i].usage), Catch::Matchers::StartsWith(std::string(kinds[i].scheme)));
    for (std::size_t j = 0; j < i; ++j) CHECK(kinds[i].scheme != kinds[j].scheme);
  }
}
