#include <catch2/catch.hpp>

#include "config/manual.h"
#include "config/options.h"
#include "parsing.h"

namespace natsession::testing {
namespace {

// Prints what `arguments` come to, and what a file with that text comes to.
Config printed_and_read_back(const std::vector<std::string>& arguments) {
  const auto parsed = parse(arguments);
  REQUIRE(parsed);
  const SettingsFolder folder(print_config(*parsed));
  CHECK(folder.message().empty());
  return folder.config();
}

TEST_CASE("the printed configuration is read back to the same", "[config][print]") {
  const std::vector<std::vector<std::string>> command_lines{
      {},
      {"--sink", "journald", "--sink", R"(file:/var/log/"quoted"\back 'x' # no comment.json?mode=0600)"},
      flags_of(SettingsFolder{std::string(kEverySetting)}.config()),
      {"--window", "1500ms", "--rcvbuf", "4097"},
      {"--instance", "Zürich [1] = \"a\\b\"", "--control", "/var/lib/x y", "--netns", "/proc/1/ns/net"},
      {"--vpc-id", "10.0.0.0/8=a long name for a network", "--vpc-id", "fd00::/8=another name that is long",
       "--vpc-id", "zone:7=so that the array does not fit on a line", "--vpc-id", "rest"},
  };
  for (const auto& arguments : command_lines) {
    CHECK(printed_and_read_back(arguments) == config_of(arguments));
  }
}

TEST_CASE("the printed configuration has every setting, its default and where it comes from",
          "[config][print]") {
  SettingsFolder folder("\nwindow = \"5m\"\nsink = \"journald\"\n");
  folder.write("conf.d/a.toml", "format = \"csv\"\n");
  const auto parsed = parse(folder.arguments({"--instance", "gate", "--sink", "stdout"}));
  REQUIRE(parsed);
  const std::string text = print_config(*parsed);
  CAPTURE(text);

  const auto has = [&](const std::string& lines) {
    return text.find("\n" + lines + "\n") != std::string::npos;
  };
  CHECK(has("# default: \"10m\"; from: " + folder.file() + ":2\nwindow = \"5m\""));
  CHECK(has("# default: \"json\"; from: " + folder.file("conf.d/a.toml") + ":1\nformat = \"csv\""));
  CHECK(has("# default: the host's name; from: command line\ninstance = \"gate\""));
  CHECK(has("# default: [\"stdout\"]; from: command line\nsink = [\"stdout\"]"));
  CHECK(has("# default: false; from: default\ntune = false"));
  for (const Flag& option : flags()) {
    if (option.is_setting()) CHECK(text.find("\n" + option.key() + " = ") != std::string::npos);
  }
}

TEST_CASE("a default that nobody gave is the host's name, and printed so", "[config][print]") {
  const auto parsed = parse({});
  REQUIRE(parsed);
  CHECK(print_config(*parsed).find("from: default\ninstance = \"nat-7\"\n") != std::string::npos);
}

TEST_CASE("a file's name that could not stand in a comment is refused", "[config][print]") {
  CHECK(message_of({"--config", "a\nwindow = 5"}) == "--config: 'a\\x0awindow = 5' has a control character");
}

}  // namespace
}  // namespace natsession::testing
