#include <catch2/catch.hpp>

#include "parsing.h"

namespace natsession::testing {
namespace {

using Keys = std::vector<std::string>;

Result<Config> reload_with(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv{"natsessiond"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return reload(static_cast<int>(argv.size()), argv.data(), kHost);
}

TEST_CASE("a reload takes what the files say now, under the same flags", "[config][reload]") {
  SettingsFolder folder("window = \"5m\"\ninstance = \"file\"\n");
  const auto arguments = folder.arguments({"--instance", "flag"});
  const Config before = config_of(arguments);

  folder.write("natsessiond.toml", "window = \"6m\"\ninstance = \"other\"\n");
  folder.write("conf.d/a.toml", "format = \"csv\"\n");
  const auto after = reload_with(arguments);
  REQUIRE(after);
  CHECK(after->window == std::chrono::minutes(6));
  CHECK(after->instance == "flag");
  CHECK(settings_that_differ(before, *after) == Keys{"format", "window"});
}

TEST_CASE("a reload with a fault in the file is an error that says where", "[config][reload]") {
  SettingsFolder folder("window = \"5m\"\n");
  folder.write("natsessiond.toml", "window = \"5x\"\n");
  const auto after = reload_with(folder.arguments());
  REQUIRE_FALSE(after);
  CHECK(after.error().message.starts_with(folder.file() + ":1:10: window: '5x'"));
}

TEST_CASE("a configuration does not differ from itself", "[config][reload]") {
  CHECK(settings_that_differ(defaults(), defaults()).empty());
}

TEST_CASE("every setting is seen when it differs", "[config][reload]") {
  Keys all;
  for (const Flag& flag : flags()) {
    if (flag.is_setting()) all.push_back(flag.key());
  }
  CHECK(settings_that_differ(defaults(), SettingsFolder{std::string(kEverySetting)}.config()) == all);
}

}  // namespace
}  // namespace natsession::testing
