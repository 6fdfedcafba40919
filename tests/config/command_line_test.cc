#include <algorithm>

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
  CHECK(told(parsed->config, "sink") == Words{"stdout"});
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

TEST_CASE("every setting sets what its name says, as a flag and in a file", "[config][command-line]") {
  const SettingsFolder folder{std::string(kEverySetting)};
  CHECK(folder.message().empty());
  const Config config = folder.config();
  CHECK(config_of(flags_of(config)) == config);

  CHECK(told(config, "sink") == Words{"file:/var/log/nat.json?keep=3&rotate_time=1d", "journald"});
  CHECK(config.format == RecordFormat::kLogfmt);
  CHECK(config.time_format == TimeFormat::kUnixMs);
  CHECK(config.fields == FieldSet::kCloud);
  CHECK(config.nat == NatSelection::kDnat);
  CHECK(config.records == RecordMode::kEnd);
  CHECK(config.window == std::chrono::hours(1));
  CHECK(config.instance == "gate");
  CHECK(told(config, "vpc_id") == Words{"10.0.0.0/8=blue", "rest"});
  CHECK(config.events == EventGroups{true, false, true});
  CHECK(config.netns == Words{"nat"});
  CHECK(config.rcvbuf == ByteCount{8U << 20});
  CHECK(config.reliable == ReliableMode::kOn);
  CHECK(config.guard_percent == 70);
  CHECK(config.tune);
  CHECK(config.ledger == "/l");
  CHECK(config.retention == std::chrono::hours(24));
  CHECK(config.ledger_max == ByteCount{1U << 30});
  CHECK(config.sync == Sync{.mode = Sync::Mode::kNever});
  CHECK(config.batch == 10);
  CHECK(config.batch_bytes == ByteCount{8U << 10});
  CHECK(config.linger == std::chrono::seconds(2));
  CHECK(config.suspend == std::chrono::minutes(1));
  CHECK(config.control == "/c");
  CHECK(config.metrics == HostPort{"::1", 9469});
  CHECK(config.log_level == LogLevel::kWarning);
}

TEST_CASE("with a ledger there need be no sink, and stdout is one only if it is asked for",
          "[config][command-line]") {
  CHECK(config_of({"--ledger", "/l"}).sinks.empty());
  CHECK(told(config_of({"--ledger", "/l", "--sink", "stdout"}), "sink") == Words{"stdout"});
  CHECK(told(config_of({}), "sink") == Words{"stdout"});
}

TEST_CASE("sync is a time, always or never", "[config][command-line]") {
  CHECK(config_of({"--sync", "200ms"}).sync == Sync{.interval = std::chrono::milliseconds(200)});
  CHECK(config_of({"--sync", "always"}).sync == Sync{.mode = Sync::Mode::kAlways});
  CHECK(message_of({"--sync", "sometimes"}).find("always, or never") != std::string::npos);
  CHECK(message_of({"--sync", "1ms"}).find("out of range: 10ms to 1m") != std::string::npos);
}

TEST_CASE("the address of the metrics has a port", "[config][command-line]") {
  CHECK(config_of({"--metrics", "[::1]:9469"}).metrics == HostPort{"::1", 9469});
  CHECK(config_of({"--metrics", "localhost:1"}).metrics == HostPort{"localhost", 1});
  CHECK(config_of({"--metrics", ":9469"}).metrics == HostPort{"", 9469});
  CHECK_FALSE(config_of({"--metrics", ""}).metrics);
  CHECK(message_of({"--metrics", "localhost"}).find("'localhost' is not HOST:PORT") != std::string::npos);
  CHECK(message_of({"--metrics", "localhost:70000"}).find("is not HOST:PORT") != std::string::npos);
  CHECK(message_of({"--metrics", "localhost:0"}).find("is not a port") != std::string::npos);
  CHECK(message_of({"--metrics", "::1:9469"}).ends_with("an IPv6 address stands in brackets"));
  CHECK(message_of({"--metrics", "::1"}).ends_with("an IPv6 address stands in brackets"));
}

TEST_CASE("batches have one range, for all sinks and for one", "[config][command-line]") {
  const auto both = [](const std::string& flag, const std::string& value) {
    std::string key = flag;
    std::replace(key.begin(), key.end(), '-', '_');
    const std::string one = message_of({"--" + flag, value});
    const std::string url = message_of({"--sink", "stdout?" + key + "=" + value});
    CHECK(one.empty() == url.empty());
    if (!one.empty()) CHECK(one.substr(one.find("is out of")) == url.substr(url.find("is out of")));
    return one.empty();
  };
  CHECK(both("batch", "100000"));
  CHECK_FALSE(both("batch", "100001"));
  CHECK_FALSE(both("batch", "0"));
  CHECK(both("batch-bytes", "1K"));
  CHECK_FALSE(both("batch-bytes", "1023"));
  CHECK(both("linger", "1h"));
  CHECK_FALSE(both("linger", "61m"));
  CHECK(both("suspend", "1d"));
  CHECK_FALSE(both("suspend", "999ms"));
}

TEST_CASE("a value may stand behind an equals sign", "[config][command-line]") {
  CHECK(config_of({"--window=30s"}).window == std::chrono::seconds(30));
  CHECK(told(config_of({"--vpc-id=10.0.0.0/8=blue"}), "vpc_id") == Words{"10.0.0.0/8=blue"});
}

TEST_CASE("an empty value behind an equals sign does not swallow the next flag", "[config][command-line]") {
  const auto parsed = parse({"--control=", "--tune"});
  REQUIRE(parsed);
  CHECK(parsed->config.control.empty());
  CHECK(parsed->config.tune);
}

TEST_CASE("a value in brackets is one value", "[config][command-line]") {
  CHECK(told(config_of({"--vpc-id", "[a,b]"}), "vpc_id") == Words{"[a,b]"});
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
  const std::string nameless;
  CHECK(message_of({}, nameless).starts_with("--instance: this host has no name"));
  CHECK(parse({"--instance", "gate"}, nameless));
}

}  // namespace
}  // namespace natsession::testing
