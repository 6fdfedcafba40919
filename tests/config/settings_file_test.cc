#include "config/settings_file.h"

#include <sys/stat.h>

#include <algorithm>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "config/manual.h"
#include "config/options.h"
#include "parsing.h"

namespace natsession::testing {
namespace {

using Words = std::vector<std::string>;
using Keys = std::vector<std::string>;

TEST_CASE("values may have the type that is natural to them", "[config][file]") {
  CHECK(told(SettingsFolder("sink = \"journald\"").config(), "sink") == Words{"journald"});
  CHECK(SettingsFolder("events = \"new,destroy\"").config().events == EventGroups{true, false, true});
  CHECK(told(SettingsFolder("vpc_id = \"10.0.0.0/8=blue\"").config(), "vpc_id") == Words{"10.0.0.0/8=blue"});
  CHECK(SettingsFolder("rcvbuf = 1_048_576").config().rcvbuf == ByteCount{1U << 20});
  CHECK(SettingsFolder("tune = false").config() == defaults());
}

TEST_CASE("a sink's URL may have a comma", "[config][file]") {
  CHECK(told(SettingsFolder("sink = \"file:/var/log/a,b\"").config(), "sink") == Words{"file:/var/log/a,b"});
}

TEST_CASE("an empty file is the defaults", "[config][file]") {
  CHECK(SettingsFolder("").config() == defaults());
  CHECK(SettingsFolder("\xef\xbb\xbf# only a comment\r\n").config() == defaults());
}

TEST_CASE("without --config no file is read", "[config][file]") {
  const SettingsFolder folder("window = \"1h\"\n");
  CHECK(config_of({}).window == std::chrono::minutes(10));
}

TEST_CASE("drop-ins are read in the order of their names, later wins, and flags win over all",
          "[config][file]") {
  SettingsFolder folder("window = \"1m\"\ninstance = \"file\"\nformat = \"csv\"\nrcvbuf = \"1M\"\n");
  folder.write("conf.d/20-b.toml", "window = \"3m\"\ninstance = \"b\"\n");
  folder.write("conf.d/10-a.toml", "window = \"2m\"\ninstance = \"a\"\nrecords = \"end\"\n");
  const Config config = folder.config({"--instance", "flag"});
  CHECK(config.window == std::chrono::minutes(3));
  CHECK(config.records == RecordMode::kEnd);
  CHECK(config.format == RecordFormat::kCsv);
  CHECK(config.rcvbuf == ByteCount{1U << 20});
  CHECK(config.instance == "flag");
}

TEST_CASE("a later list replaces an earlier one", "[config][file]") {
  SettingsFolder folder("sink = [\"journald\", \"file:/a\"]\nvpc_id = [\"a\"]\nevents = \"new\"\n");
  folder.write("conf.d/b.toml", "sink = [\"file:/b\"]\nvpc_id = []\n");
  CHECK(told(folder.config(), "sink") == Words{"file:/b"});
  CHECK(folder.config().vpc_rules.empty());
  CHECK(told(folder.config({"--sink", "journald"}), "sink") == Words{"journald"});
  CHECK(folder.config({"--events", "destroy"}).events == EventGroups{false, false, true});
  CHECK_FALSE(folder.config({"--events", "auto"}).events);
  CHECK(SettingsFolder("events = \"auto\"").config({"--events", "new"}).events ==
        EventGroups{true, false, false});
}

TEST_CASE("only visible files that end in .toml are drop-ins", "[config][file]") {
  SettingsFolder folder("window = \"1m\"\n");
  folder.write("conf.d/.#a.toml", "nonsense");
  folder.write("conf.d/a.toml.bak", "nonsense");
  folder.write("conf.d/README", "nonsense");
  CHECK(folder.message().empty());
  CHECK(folder.config().window == std::chrono::minutes(1));
}

TEST_CASE("a file that is named without a folder has its drop-ins in the current one", "[config][file]") {
  SettingsFolder folder("window = \"1m\"\n");
  folder.write("conf.d/a.toml", "window = \"2m\"\n");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(std::filesystem::path(folder.file()).parent_path());
  const Config config = config_of({"--config", "natsessiond.toml"});
  std::filesystem::current_path(before);
  CHECK(config.window == std::chrono::minutes(2));
}

TEST_CASE("an unknown key is told with file, line, column and the nearest key", "[config][file]") {
  CHECK(SettingsFolder("\nwindo = \"5m\"").message() ==
        "natsessiond.toml:2:1: unknown key 'windo': did you mean window?");
  CHECK(SettingsFolder("time-format = \"unix\"").message() ==
        "natsessiond.toml:1:1: unknown key 'time-format': did you mean time_format?");
  CHECK(SettingsFolder("colour = 1").message() == "natsessiond.toml:1:1: unknown key 'colour'");
  CHECK(SettingsFolder("[collector]\nwindow = \"5m\"").message() ==
        "natsessiond.toml:1:2: unknown key 'collector'; the only tables of this file are [[flow_log]], all "
        "other keys stand at "
        "its top");
  CHECK(SettingsFolder("[[sinks]]\nurl = \"stdout\"")
            .message()
            .starts_with("natsessiond.toml:1:3: unknown key 'sinks': did you mean sink?; the only tables"));
}

TEST_CASE("of several faults the first in the file is told", "[config][file]") {
  CHECK(SettingsFolder("zzz = 1\naaa = 2\n").message() == "natsessiond.toml:1:1: unknown key 'zzz'");
  CHECK(SettingsFolder("window = \"5x\"\nnat = \"x\"\n")
            .message()
            .starts_with("natsessiond.toml:1:10: window: "));
}

TEST_CASE("a flag that is no setting is no key either, and says so", "[config][file]") {
  CHECK(SettingsFolder("check = true").message() ==
        "natsessiond.toml:1:1: check is for the command line only: --check");
  CHECK(SettingsFolder("print_config = true").message() ==
        "natsessiond.toml:1:1: print_config is for the command line only: --print-config");
  CHECK(SettingsFolder("config = \"x\"")
            .message()
            .starts_with("natsessiond.toml:1:1: config is for the command line"));
}

TEST_CASE("a value of the wrong type is told with what would do", "[config][file]") {
  CHECK(SettingsFolder("window = 5").message() ==
        "natsessiond.toml:1:10: window: needs a string, such as \"10m\", not an integer");
  CHECK(SettingsFolder("tune = \"yes\"").message() ==
        "natsessiond.toml:1:8: tune: needs true or false, not a string");
  CHECK(SettingsFolder("rcvbuf = 1.5").message() ==
        "natsessiond.toml:1:10: rcvbuf: needs a string or a whole number of bytes, such as \"64M\", not a "
        "fraction");
  CHECK(SettingsFolder("sink = [\"stdout\",\n  5]").message() ==
        "natsessiond.toml:2:3: sink: needs a string or an array of strings, such as "
        "\"file:/var/log/natsession.json\", not an integer");
  CHECK(SettingsFolder("format = 2026-11-21").message().ends_with("not a date or time"));
  CHECK(SettingsFolder("window.length = \"5m\"").message().ends_with("not a table"));
  CHECK(SettingsFolder("instance = [\"a\"]").message().ends_with("not an array"));
  CHECK(SettingsFolder("instance = true").message().ends_with("not true or false"));
}

TEST_CASE("a bad value is told with file, line, column and key", "[config][file]") {
  CHECK(SettingsFolder("# a comment\n\nwindow = '5x'\n").message() ==
        "natsessiond.toml:3:10: window: '5x' is not a duration: a whole number and ms, s, m, h or d, such as "
        "10m");
  CHECK(SettingsFolder("sink = [\"stdout\",\n  \"journald\",\n  \"stdout\"]").message() ==
        "natsessiond.toml:3:3: sink: 'stdout' is given twice");
  CHECK(SettingsFolder("instance = \"a\\u0000b\"").message() ==
        "natsessiond.toml:1:12: instance: 'a\\x00b' has a control character");
  CHECK(SettingsFolder("rcvbuf = -1")
            .message()
            .starts_with("natsessiond.toml:1:10: rcvbuf: '-1' is not a size"));
}

TEST_CASE("a bad value is told although a later file or a flag would replace it", "[config][file]") {
  SettingsFolder folder("window = \"5x\"\n");
  folder.write("conf.d/a.toml", "window = \"5m\"\n");
  CHECK(folder.message({"--window", "6m"}).starts_with("natsessiond.toml:1:10: window: '5x'"));
}

TEST_CASE("a list that needs an element says so when it has none", "[config][file]") {
  CHECK(SettingsFolder("events = []").message() ==
        "natsessiond.toml:1:10: events: needs at least one, such as [\"new\", \"destroy\"]");
  CHECK(SettingsFolder("sink = []").message().starts_with("natsessiond.toml:1: sink: needs at least one"));
}

TEST_CASE("a syntax error is told with file, line and column", "[config][file]") {
  CHECK(SettingsFolder("window = \"5m\"\nnat = \n").message().starts_with("natsessiond.toml:2:7: "));
  CHECK(SettingsFolder("window = \"5m\"\nwindow = \"6m\"\n").message().starts_with("natsessiond.toml:2:"));
  CHECK(SettingsFolder("instance = \"\xff\"").message().starts_with("natsessiond.toml:1:"));
  CHECK(SettingsFolder("x = " + std::string(100'000, '[')).message().starts_with("natsessiond.toml:1:"));
}

TEST_CASE("nesting that would be too much for the parser's stack is refused before it", "[config][file]") {
  std::string dotted = "a", spaced = "a", arrays;
  for (int i = 0; i < 50'000; ++i) {
    dotted += ".a";
    spaced += " . \"a\"";
    arrays += "[";
  }
  const std::string dots = ": more than 64 dots in a line's keys: not a configuration file";
  CHECK(SettingsFolder("\n" + dotted + " = 1\n").message() == "natsessiond.toml:2" + dots);
  CHECK(SettingsFolder(spaced + " = 1\n").message() == "natsessiond.toml:1" + dots);
  CHECK(SettingsFolder("tune = true\n[" + dotted + "]\n").message() == "natsessiond.toml:2" + dots);
  CHECK(SettingsFolder("x = " + arrays).message() ==
        "natsessiond.toml:1: more than 64 brackets in one another: not a configuration file");
}

TEST_CASE("dots and brackets in strings and comments are no nesting", "[config][file]") {
  const std::string dots(70, '.');
  const std::string open(70, '[');
  const auto instance = [](const std::string& text) {
    return SettingsFolder("instance = " + text).config().instance;
  };
  CHECK(instance("\"" + dots + open + "\\\"" + dots + "\" # " + dots + open) == dots + open + "\"" + dots);
  CHECK(instance("'" + dots + "\\' # '" + dots + open) == dots + "\\");
  CHECK(instance("\"\"\"" + dots + "\"" + open + "\"\"\"\"\nwindow = \"5m\"") == dots + "\"" + open + "\"");
  CHECK(instance("'''" + dots + "'" + open + "'''\n") == dots + "'" + open);
  std::string sinks = "sink = [";
  for (int i = 0; i < 30; ++i) sinks += "'file:/var/log/a.b.c." + std::to_string(i) + "', ";
  CHECK(told(SettingsFolder(sinks + "]\n").config(), "sink").size() == 30);
}

TEST_CASE("a fault in a drop-in is told with the drop-in's name", "[config][file]") {
  SettingsFolder folder("");
  folder.write("conf.d/a.toml", "windo = \"5m\"\n");
  CHECK(folder.message() == "conf.d/a.toml:1:1: unknown key 'windo': did you mean window?");
}

TEST_CASE("a file that cannot be read is told with the reason", "[config][file]") {
  CHECK(message_of({"--config", "/no/such/file"}) ==
        "/no/such/file: cannot be opened: No such file or directory");
  CHECK(message_of({"--config", ""}) == "--config '': it needs the name of a file");

  SettingsFolder folder("");
  CHECK(message_of({"--config", std::filesystem::path(folder.file()).parent_path().string()})
            .ends_with(": cannot be read: Is a directory"));
  folder.write("conf.d", "not a folder");
  CHECK(folder.message() == "conf.d: cannot be read: Not a directory");
}

TEST_CASE("a file that may not be read is a missing permission, not wrong usage", "[config][file]") {
  const SettingsFolder folder("");
  std::filesystem::permissions(folder.file(), std::filesystem::perms::none);
  constexpr uid_t kNobody = 65534;
  const uid_t user = geteuid();
  if (user == 0) REQUIRE(seteuid(kNobody) == 0);  // root reads everything
  const auto parsed = parse(folder.arguments());
  if (user == 0) REQUIRE(seteuid(user) == 0);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().kind == ErrorKind::kPermission);
}

TEST_CASE("a file that somebody else may write is refused, and so is a folder of drop-ins",
          "[config][file]") {
  SettingsFolder folder("");
  folder.write("conf.d/a.toml", "window = \"5m\"\n");
  const std::filesystem::path file = folder.file(), conf_d = file.parent_path() / "conf.d";
  const auto message_with = [&](const std::filesystem::path& path, mode_t mode) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    const auto parsed = parse(folder.arguments());
    if (!parsed) CHECK(parsed.error().kind == ErrorKind::kPermission);
    const std::string message = folder.message();
    REQUIRE(::chmod(path.c_str(), 0700) == 0);
    return message;
  };
  CHECK(message_with(file, 0646) ==
        "natsessiond.toml: not read, because everybody may write it: chmod o-w natsessiond.toml");
  CHECK(message_with(conf_d / "a.toml", 0602) ==
        "conf.d/a.toml: not read, because everybody may write it: chmod o-w conf.d/a.toml");
  CHECK(message_with(conf_d, 01777) == "conf.d: not read, because everybody may write it: chmod o-w conf.d");
  CHECK(message_with(file, 0644).empty());
  CHECK(message_with(conf_d, 0755).empty());
  if (geteuid() != 0) return;
  constexpr uid_t kSomebody = 65534;
  CHECK(message_with(file, 0664).empty());  // root's own group
  REQUIRE(::chown(file.c_str(), 0, kSomebody) == 0);
  CHECK(message_with(file, 0664) ==
        "natsessiond.toml: not read, because its group may write it: chmod g-w natsessiond.toml");
  CHECK(message_with(file, 0640).empty());
  REQUIRE(::chown(file.c_str(), kSomebody, 0) == 0);
  CHECK(
      message_with(file, 0600) ==
      "natsessiond.toml: not read, because its owner, who is neither root nor this program's user, may write "
      "it: chown root: natsessiond.toml");
}

constexpr const char* kFlowLog =
    "[[flow_log]]\nname = \"edge\"\nresource = \"nat\"\nrecord = \"aws\"\ndestination = ";

TEST_CASE("the folder of flow logs has flow logs alone, none of which starts a program", "[config][file]") {
  SettingsFolder folder("");
  folder.write("conf.d/a.toml", std::string(kFlowLog).replace(21, 4, "hand") + "\"exec:/bin/cat\"\n");
  folder.write("flow-logs.d/flow-edge.toml", std::string(kFlowLog) + "\"file:/a\"\n");
  CHECK(folder.config().flow_logs.size() == 2);
  folder.write("flow-logs.d/b.toml", "user = \"root\"\n");
  CHECK(folder.message() ==
        "flow-logs.d/b.toml:1:8: user: in the folder flow-logs.d stand flow logs alone; conf.d is for all "
        "settings");
  folder.write("flow-logs.d/b.toml", std::string(kFlowLog).replace(21, 4, "more") + "\"exec:/bin/cat\"\n");
  CHECK(folder.message() ==
        "flow-logs.d/b.toml:1:1: flow_log: a flow log whose destination starts a program stands in conf.d, "
        "not in "
        "flow-logs.d");
  folder.write("flow-logs.d/b.toml", std::string(kFlowLog).replace(21, 4, "more") + "\"exce:/bin/cat\"\n");
  CHECK(folder.message().find("exce") != std::string::npos);
}

TEST_CASE("the folder of flow logs may be another user's, but nobody else may write there",
          "[config][file]") {
  SettingsFolder folder("");
  folder.write("flow-logs.d/flow-edge.toml", std::string(kFlowLog) + "\"file:/a\"\n");
  const std::filesystem::path flow_logs = std::filesystem::path(folder.file()).parent_path() / "flow-logs.d";
  const std::filesystem::path file = flow_logs / "flow-edge.toml";
  if (geteuid() == 0) {
    constexpr uid_t kSomebody = 65534;
    REQUIRE(::chown(flow_logs.c_str(), kSomebody, kSomebody) == 0);
    REQUIRE(::chown(file.c_str(), kSomebody, kSomebody) == 0);
    CHECK(folder.config().flow_logs.size() == 1);
    REQUIRE(::chmod(flow_logs.c_str(), 0775) == 0);
    CHECK(folder.message() == "flow-logs.d: not read, because its group may write it: chmod g-w flow-logs.d");
  }
  REQUIRE(::chmod(flow_logs.c_str(), 01777) == 0);
  CHECK(folder.message() == "flow-logs.d: not read, because everybody may write it: chmod o-w flow-logs.d");
  REQUIRE(::chmod(flow_logs.c_str(), 0755) == 0);
  REQUIRE(::chmod(file.c_str(), 0666) == 0);
  CHECK(folder.message() ==
        "flow-logs.d/flow-edge.toml: not read, because everybody may write it: chmod o-w "
        "flow-logs.d/flow-edge.toml");
  REQUIRE(std::filesystem::remove(file));
  std::filesystem::create_symlink("../natsessiond.toml", file);
  CHECK(folder.message().starts_with("flow-logs.d/flow-edge.toml: cannot be opened"));
  REQUIRE(std::filesystem::remove(file));
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  CHECK(folder.message() == "flow-logs.d/flow-edge.toml: it is no file");
}

TEST_CASE("a drop-in whose name could not be printed is refused", "[config][file]") {
  SettingsFolder folder("");
  folder.write("conf.d/a\nb.toml", "window = \"5m\"\n");
  CHECK(folder.message() == "conf.d: the file name 'a\\x0ab.toml' has a control character");
}

TEST_CASE("a file of more than a mebibyte is no configuration", "[config][file]") {
  CHECK(SettingsFolder(std::string(kMaxSettingsFile.bytes, '#')).message().empty());
  CHECK(SettingsFolder(std::string(kMaxSettingsFile.bytes + 1, '#')).message() ==
        "natsessiond.toml: is larger than 1M: not a configuration file");
}

TEST_CASE("drop-ins are not without number", "[config][file]") {
  SettingsFolder folder("");
  for (std::size_t i = 0; i <= kMaxDropIns; ++i) folder.write("conf.d/" + std::to_string(i) + ".toml", "");
  CHECK(folder.message() == "conf.d: has more than 256 files");
}

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
  for (const Flag& flag : flags()) {
    if (!flag.is_setting()) continue;
    const std::string& range = flag.value.range;
    Keys values(flag.value.words.begin(), flag.value.words.end());
    values.push_back(range.substr(0, range.find(' ')));
    values.push_back(range.substr(range.rfind(' ') + 1));
    std::erase(values.emplace_back(flag.example), '"');
    if (flag.value.form == OptionForm::kTables)
      values = {std::string(flag.example.substr(1, flag.example.size() - 2))};
    CAPTURE(flag.name, values);  // one of these is not the default
    CHECK(std::any_of(values.begin(), values.end(), [&](const std::string& value) {
      std::vector<std::string> arguments{flag.flag() + "=" + value};
      if (flag.name == "handover" || flag.name == "identity")
        arguments.emplace_back("--ledger=/var/lib/natsessiond/ledger");
      const Keys keys = settings_that_differ(defaults(), config_of(arguments));
      return std::find(keys.begin(), keys.end(), flag.key()) != keys.end();  // a ledger needs no sink, too
    }));
  }
}

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
