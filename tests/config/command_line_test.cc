#include <catch2/catch.hpp>

#include "parsing.h"

namespace natsession::testing {
namespace {

using Words = std::vector<std::string>;

Action action_of(const std::string& flag) {
  const auto parsed = parse({flag});
  return parsed ? parsed->action : Action::kRun;
}

TEST_CASE("no options at all are the defaults, with the host's name as the instance",
          "[config][command-line]") {
  const auto parsed = parse({});
  REQUIRE(parsed);
  CHECK(parsed->action == Action::kRun);
  CHECK(parsed->config == defaults());
  CHECK(parsed->config.sinks == Words{"stdout"});
  CHECK(parsed->config.window == std::chrono::minutes(10));
  CHECK(parsed->config.rcvbuf == ByteCount{64U << 20});
  CHECK(parsed->config.log_level == LogLevel::kInfo);
}

TEST_CASE("a program that was started with no name is given the defaults too", "[config][command-line]") {
  const char* const argv[] = {nullptr};
  const auto parsed = parse_command_line(0, argv, kHost);
  REQUIRE(parsed);
  CHECK(parsed->config == defaults());
}

TEST_CASE("every flag sets what its name says", "[config][command-line]") {
  const Config config =
      config_of({"--sink",        "journald",  "--sink",     "file:/var/log/nat.json?keep=3",
                 "--format",      "csv",       "--fields",   "cloud",
                 "--time-format", "rfc3339",   "--nat",      "any",
                 "--records",     "start-end", "--window",   "2s",
                 "--instance",    "gate",      "--vpc-id",   "10.0.0.0/8=blue",
                 "--vpc-id",      "rest",      "--events",   "new,destroy",
                 "--netns",       "nat",       "--rcvbuf",   "1M",
                 "--tune",        "--state",   "/run/state", "--log-level",
                 "debug"});
  CHECK(config.sinks == Words{"journald", "file:/var/log/nat.json?keep=3"});
  CHECK(config.format == RecordFormat::kCsv);
  CHECK(config.fields == FieldSet::kCloud);
  CHECK(config.time_format == TimeFormat::kRfc3339);
  CHECK(config.nat == NatSelection::kAny);
  CHECK(config.records == RecordMode::kStartEnd);
  CHECK(config.window == std::chrono::seconds(2));
  CHECK(config.instance == "gate");
  CHECK(config.vpc_ids == Words{"10.0.0.0/8=blue", "rest"});
  CHECK(config.events == EventGroups{true, false, true});
  CHECK(config.netns == Words{"nat"});
  CHECK(config.rcvbuf == ByteCount{1U << 20});
  CHECK(config.tune);
  CHECK(config.state_file == "/run/state");
  CHECK(config.log_level == LogLevel::kDebug);
}

TEST_CASE("with a ledger there need be no sink, and stdout is one only if it is asked for",
          "[config][command-line]") {
  CHECK(config_of({"--ledger", "/l"}).sinks.empty());
  CHECK(config_of({"--ledger", "/l", "--sink", "stdout"}).sinks == Words{"stdout"});
  CHECK(config_of({}).sinks == Words{"stdout"});
}

TEST_CASE("sync is a time, always or never", "[config][command-line]") {
  CHECK(config_of({"--sync", "200ms"}).sync == "200ms");
  CHECK(config_of({"--sync", "always"}).sync == "always");
  CHECK(message_of({"--sync", "sometimes"}).find("always, or never") != std::string::npos);
  CHECK(message_of({"--sync", "1ms"}).find("out of range: 10ms to 1m") != std::string::npos);
}

TEST_CASE("the address of the metrics has a port", "[config][command-line]") {
  CHECK(config_of({"--metrics", "[::1]:9469"}).metrics == "[::1]:9469");
  CHECK(message_of({"--metrics", "localhost"}).find("'localhost' is not HOST:PORT") != std::string::npos);
  CHECK(message_of({"--metrics", "localhost:70000"}).find("is not HOST:PORT") != std::string::npos);
}

TEST_CASE("a value may stand behind an equals sign", "[config][command-line]") {
  CHECK(config_of({"--window=30s"}).window == std::chrono::seconds(30));
  CHECK(config_of({"--vpc-id=10.0.0.0/8=blue"}).vpc_ids == Words{"10.0.0.0/8=blue"});
}

TEST_CASE("an empty value behind an equals sign does not swallow the next flag", "[config][command-line]") {
  const auto parsed = parse({"--state=", "--tune"});
  REQUIRE(parsed);
  CHECK(parsed->config.state_file.empty());
  CHECK(parsed->config.tune);
}

TEST_CASE("a value in brackets is one value", "[config][command-line]") {
  CHECK(config_of({"--vpc-id", "[a,b]"}).vpc_ids == Words{"[a,b]"});
  CHECK(config_of({"--instance", "{}"}).instance == "{}");
}

TEST_CASE("a switch that the file turns on can be turned off", "[config][command-line]") {
  const SettingsFolder folder("tune = true\n");
  CHECK(folder.config().tune);
  CHECK_FALSE(folder.config({"--tune=false"}).tune);
}

TEST_CASE("an unknown option is named, with the nearest one that there is", "[config][command-line]") {
  CHECK(message_of({"--windw", "5m"}) == "unknown option '--windw': did you mean --window?");
  CHECK(message_of({"--time_format=unix"}) == "unknown option '--time_format': did you mean --time-format?");
  CHECK(message_of({"--print"}) == "unknown option '--print': did you mean --print-config?");
  CHECK(message_of({"-h"}) == "unknown option '-h': did you mean --help?");
  CHECK(message_of({"--colour"}) == "unknown option '--colour'; 'natsessiond --help' lists the options");
}

TEST_CASE("an argument that is no option is refused by its name", "[config][command-line]") {
  CHECK(message_of({"stdout"}).starts_with("unexpected argument 'stdout'"));
  CHECK(message_of({"--tune", "yes"}).starts_with("unexpected argument 'yes'"));
  CHECK(message_of({"--", "stdout"}).starts_with("unexpected argument 'stdout'"));
  CHECK(message_of({"-"}).starts_with("unexpected argument '-'"));
}

TEST_CASE("an option without its value says so", "[config][command-line]") {
  CHECK(message_of({"--tune", "--window"}) ==
        "--window needs a value; 'natsessiond --help' lists the options");
}

TEST_CASE("a command that is given a value says that it takes none", "[config][command-line]") {
  CHECK(message_of({"--check=all"}) == "--check takes no value");
}

TEST_CASE("an option that is no list is refused the second time", "[config][command-line]") {
  CHECK(message_of({"--window", "5m", "--window", "6m"}) == "--window is given 2 times: once is enough");
  CHECK(message_of({"--config", "a", "--config", "b"}) == "--config is given 2 times: once is enough");
}

TEST_CASE("a bad value is told with its option, itself and what would do", "[config][command-line]") {
  CHECK(message_of({"--window", "5x"}) ==
        "--window 5x: '5x' is not a duration: a whole number and ms, s, m, h or d, such as 10m");
  CHECK(message_of({"--nat=both"}) == "--nat both: 'both' is not one of snat, dnat or any");
  CHECK(message_of({"--window", "-5m"}).starts_with("--window -5m: '-5m' is not a duration"));
  CHECK(message_of({"--window", ""}).starts_with("--window '': '' is not a duration"));
}

TEST_CASE("usage errors are of the kind that ends in exit status 2", "[config][command-line]") {
  for (const Words& words : {Words{"--windw"}, Words{"--window", "5x"}, Words{"--sink"}, Words{"x"},
                             Words{"--config", "/no/such/file"}}) {
    const auto parsed = parse(words);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().kind == ErrorKind::kUsage);
  }
}

TEST_CASE("each command is its action", "[config][command-line]") {
  CHECK(action_of("--check") == Action::kCheck);
  CHECK(action_of("--print-config") == Action::kPrintConfig);
  CHECK(action_of("--version") == Action::kVersion);
  CHECK(action_of("--help") == Action::kHelp);
  CHECK(message_of({"--check", "--print-config"}) ==
        "--check and --print-config cannot be asked for together");
}

TEST_CASE("help is given even when a value is bad or the file is missing", "[config][command-line]") {
  const auto parsed = parse({"--window", "5x", "--config", "/no/such/file", "--help"});
  REQUIRE(parsed);
  CHECK(parsed->action == Action::kHelp);
}

TEST_CASE("a host without a name must be given an instance", "[config][command-line]") {
  const Environment nameless;
  CHECK(message_of({}, nameless).starts_with("--instance: this host has no name"));
  CHECK(parse({"--instance", "gate"}, nameless));
}

}  // namespace
}  // namespace natsession::testing
