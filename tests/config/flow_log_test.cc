// Flow logs in the configuration: what a table may say, how several add up, and what is shown of them.
#include <catch2/catch.hpp>

#include "config/flow_log_config.h"
#include "config/parsing.h"

namespace natsession {

using namespace testing;

namespace {

// A flow log of which one key is another, or one key more.
std::string with(const std::string& key, const std::string& value) {
  std::string text;
  bool there = false;
  for (const auto& [name, usual] : {std::pair{"name", "\"edge\""},
                                    {"resource", "\"eth1\""},
                                    {"record", "\"aws\""},
                                    {"destination", "\"file:/var/log/flow.log\""}}) {
    there = there || key == name;
    const std::string said = key == name ? value : usual;
    if (!said.empty()) text += (text.empty() ? "" : ", ") + std::string(name) + " = " + said;
  }
  if (!there) text += ", " + key + " = " + value;
  return "{" + text + "}";
}

std::string why_not(const std::string& key, const std::string& value) {
  const auto log = FlowLogConfig::parse(with(key, value));
  return log ? "" : log.error().message;
}

std::string table(const std::string& name, const std::string& more = "") {
  return "[[flow_log]]\nname = \"" + name +
         "\"\nresource = \"eth1\"\nrecord = \"aws\"\ndestination = \"file:/l/" + name + "\"\n" + more;
}

std::vector<std::string> names(const Config& config) {
  std::vector<std::string> all;
  for (const FlowLogConfig& log : config.flow_logs) all.push_back(log.name);
  return all;
}

}  // namespace

TEST_CASE("each key of a flow log that cannot be is named with its value and what would do",
          "[config][flow]") {
  CHECK(why_not("name", R"("a b")") ==
        "name: 'a b' is no name of a flow log: letters, digits, -, _ and ., at most 63");
  CHECK(why_not("name", "\"" + std::string(64, 'x') + "\"").starts_with("name: 'xxx"));
  CHECK(why_not("name", R"("../x")").starts_with("name: '../x' is no name"));
  CHECK(why_not("name", "") == R"(name: a flow log needs one, such as name = "edge")");
  CHECK(why_not("resource", R"("a/b c")") ==
        "resource 'a/b c': an interface (eth1), a subnet (10.0.0.0/24), a vpc (vpc:blue) or nat");
  CHECK(why_not("resource", "") ==
        "flow log edge: resource: needs one: an interface, a subnet, vpc:ID or nat");
  CHECK(why_not("traffic", R"("some")") == "traffic: 'some' is none of all, accept, reject");
  CHECK(why_not("record", R"("awz")").starts_with("record 'awz': there is no 'awz': alibaba, tencent,"));
  CHECK(why_not("record", R"(["srcaddr", "srcaddr"])") ==
        "record 'srcaddr,srcaddr': 'srcaddr' stands there twice");
  CHECK(why_not("record", "").starts_with("flow log edge: record: needs one: alibaba, tencent,"));
  CHECK(why_not("format", R"("csv")") == "format: 'csv' is none of text, json");
  CHECK(why_not("window", R"("1500ms")") == "window: '1500ms' is no whole number of seconds");
  CHECK(why_not("window", R"("soon")").starts_with("window: 'soon'"));
  CHECK(why_not("window", R"("2d")").starts_with("window: '2d'"));
  CHECK(why_not("destination", R"("nowhere:/x")").starts_with("destination: sink 'nowhere:/x'"));
  CHECK(
      why_not("destination", R"("ipfix://c")").find("it is to be a sink of text, JSON or names and values") !=
      std::string::npos);
  CHECK(why_not("destination", R"("file:/l?format=csv")").find("without format,") != std::string::npos);
  CHECK(why_not("destination", "") ==
        R"(flow log edge: destination: needs one, such as "file:/var/log/flow.log")");
  CHECK(why_not("state", R"("paused")") == "state: 'paused' is none of on, off");
  CHECK(why_not("tags", R"(["team"])") == "tags: 'team' is not KEY=VALUE, such as team=edge");
  CHECK(why_not("windw", R"("1m")") == "unknown key 'windw': did you mean window?");
  CHECK(why_not("window", "60") == "window: needs a text");
  CHECK(why_not("window", R"(["1m"])") == "window: needs a text, not an array");
  CHECK(why_not("name", R"("a\u0007")").starts_with("name: it is not UTF-8, or has a control character"));
}

TEST_CASE("what of a flow log does not go together is refused", "[config][flow]") {
  CHECK(FlowLogConfig::parse(
            R"({name = "n", resource = "nat", traffic = "reject", record = "aws", destination = "stdout"})")
            .error()
            .message ==
        "flow log n: traffic: nothing that was refused is translated: of nat it is all or accept");
  CHECK(message_of({"--flow-log", with("traffic", R"("reject")")}) ==
        "flow log edge: traffic: of rejected packets nothing is known without reject_group");
  CHECK(message_of({"--flow-log", with("traffic", R"("reject")"), "--reject-group", "100"}).empty());
  CHECK(message_of({"--flow-log", with("state", R"("off")"), "--sink", "file:/var/log/flow.log"}) ==
        "flow log edge: destination: 'file:/var/log/flow.log' is a sink of the session log already");
}

TEST_CASE("flow logs of several files and of the command line add up", "[config][flow]") {
  SettingsFolder folder("window = \"5m\"\n" + table("one") + table("two"));
  folder.write("conf.d/a.toml", table("three"));
  folder.write("conf.d/b.toml", "flow_log = []\n");
  CHECK(names(folder.config({"--flow-log", with("name", R"("four")")})) ==
        std::vector<std::string>{"one", "two", "three", "four"});

  folder.write("conf.d/c.toml", table("two"));
  CHECK(folder.message() == "conf.d/c.toml:1:1: flow_log: name: there is a flow log two already");
  folder.write("conf.d/c.toml", "\n" + table("six", "windw = \"1m\"\n"));
  CHECK(folder.message() == "conf.d/c.toml:2:1: flow_log: unknown key 'windw': did you mean window?");
  folder.write("conf.d/c.toml",
               "[[flow_log]]\nname = \"x\"\nresource = \"nat\"\nrecord = \"aws\"\ndestination = "
               "\"file:/l/one\"\n");
  CHECK(folder.message() ==
        "conf.d/c.toml:1:1: flow_log: flow log x: destination: the flow log one has the same");
  folder.write("conf.d/c.toml", "flow_log = \"one\"\n");
  CHECK(folder.message() == "conf.d/c.toml:1:12: flow_log: needs tables [[flow_log]], not a string");
}

TEST_CASE("there are no more flow logs than the limit says, also of those that are off", "[config][flow]") {
  std::string text = "flow_log_max = \"2\"\n";
  for (const char* name : {"a", "b", "c"}) text += table(name, "state = \"off\"\n");
  CHECK(SettingsFolder(text).message() == "flow_log: there are 3, and flow_log_max is 2");
  std::string usual, most;
  for (int i = 0; i < 31; ++i) {
    if (i < 11) usual += table("n" + std::to_string(i));
    most += table("n" + std::to_string(i));
  }
  CHECK(SettingsFolder(usual).message() == "flow_log: there are 11, and flow_log_max is 10");
  CHECK(SettingsFolder("flow_log_max = \"30\"\n" + most).message() ==
        "natsessiond.toml:152:1: flow_log: more than 30 flow logs");
}

TEST_CASE("a flow log that is printed is read back as it was", "[config][flow]") {
  const std::vector<std::string> logs{
      with("tags", R"(["team=a \"b\"", "x=\\"])"),
      R"({name = "own", resource = "vpc:blue", traffic = "accept", record = ["srcaddr", "seq"], format = "json", window = "90s", destination = "https://h/x?compress=gzip", state = "off"})",
      R"({name = "net", resource = "10.0.0.0/24", record = "huawei-v2", destination = "exec:cat"})"};
  for (const std::string& text : logs) {
    const auto log = FlowLogConfig::parse(text);
    CAPTURE(text, log ? "" : log.error().message);
    REQUIRE(log);
    const auto again = FlowLogConfig::parse(log->text());
    REQUIRE(again);
    CHECK(*again == *log);
    // As lines of a file, and as --print-config tells a value.
    const Config config = SettingsFolder("[[flow_log]]\n" + log->lines()).config();
    CHECK(config.flow_logs == std::vector<FlowLogConfig>{*log});
    const Flag& flag = *find_setting("flow_log");
    CHECK(SettingsFolder("flow_log = " + flag.toml_value(config) + "\n").config().flow_logs ==
          config.flow_logs);
  }
}

TEST_CASE("a reload sees that flow logs have changed", "[config][flow][reload]") {
  SettingsFolder folder(table("one"));
  const Config before = folder.config();
  folder.write("conf.d/flow-two.toml", table("two"));
  CHECK(settings_that_differ(before, folder.config()) == std::vector<std::string>{"flow_log"});
}

TEST_CASE("no message shows a secret of a flow log's destination", "[config][flow]") {
  const auto shows = [](const std::string& message) {
    CAPTURE(message);
    CHECK_FALSE(message.empty());
    return message.find("hunter2") != std::string::npos;
  };
  for (const std::string destination : {R"("https://u:hunter2@h/x")", R"("https://h/x?token=hunter2")",
                                        R"("kafka://u:hunter2@h/x?format=csv")"}) {
    const std::string text = with("destination", destination);
    CHECK_FALSE(shows(message_of({"--flow-log", text})));
    CHECK_FALSE(shows(message_of({"--flow-log", text.substr(0, text.size() - 2)})));  // no end: no table
    CHECK_FALSE(shows(message_of({"--flow-log", text + "}"})));
    CHECK_FALSE(shows(message_of({"--flow-log", text.substr(1, text.size() - 2)})));
    CHECK_FALSE(shows(SettingsFolder("flow_log = [" + text + "]\n").message()));
    CHECK_FALSE(shows(SettingsFolder("flow_log = [" + text.substr(0, text.size() - 2) + "]\n").message()));
  }
}

TEST_CASE("ids and interfaces of flow logs are pairs", "[config][flow]") {
  CHECK(message_of({"--interface", "eth1"}) ==
        "--interface eth1: 'eth1' is not of the form INTERFACE=PREFIX, such as eth1=10.0.0.0/8");
  CHECK(message_of({"--interface", "10.0.0.0/8=eth1"}) ==
        "--interface 10.0.0.0/8=eth1: '10.0.0.0/8=eth1': '10.0.0.0/8' names no interface");
  CHECK_FALSE(message_of({"--interface", "eth1=10.0.0.300"}).empty());
  CHECK(message_of({"--interface", "eth1=10.0.0.0/8", "--interface", "eth2=10.0.0.0/8"})
            .ends_with("eth1 has this prefix already"));
  CHECK(
      message_of({"--interface-id", "=x"}).ends_with("is not of the form INTERFACE=ID, such as eth1=eni-1"));
  CHECK(message_of({"--network-id", "10.0.0.0/24="})
            .ends_with("is not of the form PREFIX=ID, such as 10.0.0.0/24=vsw-1"));
  CHECK_FALSE(message_of({"--vm-id", "x=i-1"}).empty());
  CHECK_FALSE(message_of({"--reject-group", "0"}).empty());
  CHECK_FALSE(message_of({"--reject-group", "65536"}).empty());
  CHECK(message_of({"--reject-group", "7", "--reject-group", "7"}).ends_with("is given twice"));
}

}  // namespace natsession
