// FlowLogFiles: files of flow logs that natsessionctl writes, and the daemon's own reading of them.
#include "config/flow_log_files.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "config/command_line.h"
#include "support/temp_dir.h"

namespace natsession {
namespace {

class Configured {
 public:
  explicit Configured(const std::string& text = "sink = [\"stdout\"]\n") { write("natsessiond.toml", text); }

  void write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  [[nodiscard]] std::string path() const { return folder_.file("natsessiond.toml"); }
  [[nodiscard]] std::string file(const std::string& name) const { return folder_.file("conf.d/" + name); }
  [[nodiscard]] std::string text(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(file(name)).rdbuf();
    return text.str();
  }

  // What `change` made of it: "done", or why not, without this folder's name.
  template <typename Change>
  std::string after(Change&& change) const {
    auto files = FlowLogFiles::open(path());
    if (!files) return shortened(files.error().message);
    const Result<std::string> file = change(*files);
    return file ? "done" : shortened(file.error().message);
  }
  [[nodiscard]] std::string create(const std::string& name, const std::string& more = "") const {
    const auto log = FlowLogConfig::parse("{name = \"" + name + "\", resource = \"eth1\", record = \"aws\"" +
                                          (more.find("destination") == std::string::npos
                                               ? ", destination = \"file:/var/log/" + name + "\""
                                               : "") +
                                          more + "}");
    if (!log) return log.error().message;
    return after([&](FlowLogFiles& files) { return files.create(*log); });
  }
  [[nodiscard]] std::string change(const std::string& name,
                                   const std::function<void(FlowLogConfig&)>& edit) const {
    return after([&](FlowLogFiles& files) {
      return files.change(name, [&](FlowLogConfig& log) -> Result<void> {
        edit(log);
        return {};
      });
    });
  }
  [[nodiscard]] std::string remove(const std::string& name) const {
    return after([&](FlowLogFiles& files) { return files.remove(name); });
  }

  // The flow logs with which a daemon starts, or why it does not.
  [[nodiscard]] std::string daemon() const {
    const char* const arguments[] = {"natsessiond", "--config", nullptr};
    std::vector<const char*> argv(std::begin(arguments), std::end(arguments));
    const std::string file = path();
    argv[2] = file.c_str();
    const auto parsed = parse_command_line(3, argv.data(), "nat-7");
    if (!parsed) return shortened(parsed.error().message);
    std::string all;
    for (const FlowLogConfig& log : parsed->config.flow_logs) {
      all += (all.empty() ? "" : " ") + log.name + (log.on ? "" : ":off");
      for (const std::string& tag : log.tags) all += "," + tag;
    }
    return all;
  }

 private:
  [[nodiscard]] std::string shortened(std::string text) const {
    const std::string prefix = folder_.path().string() + "/";
    for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix))
      text.erase(at, prefix.size());
    return text;
  }

  testing::TempDir folder_;
};

}  // namespace

TEST_CASE("a flow log that was created is one that the daemon starts with", "[config][flow_log]") {
  const Configured box;
  CHECK(box.create("edge", R"(, tags = ["team=net"], traffic = "accept", window = "1m", format = "json")") ==
        "done");
  CHECK(box.create("core", R"(, state = "off")") == "done");
  CHECK(box.daemon() == "core:off edge,team=net");
  const auto files = FlowLogFiles::read(box.path());
  REQUIRE(files);
  const auto found = files->find("edge");
  REQUIRE(found);
  CHECK(found->own);
  CHECK(found->file == box.file("flow-edge.toml"));
  CHECK(found->log.window == std::chrono::minutes(1));
  CHECK(found->log.format == FlowFormat::kJson);
}

TEST_CASE("a flow log with which the daemon would not start is refused, and nothing is written",
          "[config][flow_log]") {
  const Configured box(
      "sink = [\"file:/var/log/nat\"]\nflow_log_max = \"2\"\n[[flow_log]]\nname = \"hand\"\nresource = "
      "\"nat\"\nrecord = \"aws\"\ndestination = \"file:/var/log/hand\"\n");
  CHECK(box.create("hand") == "name: there is a flow log hand already");
  CHECK(box.create("x", R"(, destination = "file:/var/log/hand")") ==
        "flow log x: destination: the flow log hand has the same");
  CHECK(box.create("x", R"(, destination = "file:/var/log/nat")") ==
        "flow log x: destination: 'file:/var/log/nat' is a sink of the session log already");
  CHECK(box.create("x", R"(, traffic = "reject")") ==
        "flow log x: traffic: of rejected packets nothing is known without reject_group");
  CHECK(box.create("one") == "done");
  CHECK(box.create("two") == "flow_log: there are 3, and flow_log_max is 2");
  CHECK(box.daemon() == "hand one");
  CHECK_FALSE(std::filesystem::exists(box.file("flow-two.toml")));
  CHECK_FALSE(std::filesystem::exists(box.file("flow-x.toml")));
}

TEST_CASE("windows of more lengths than the daemon follows are refused", "[config][flow_log]") {
  const Configured box;
  for (const std::string window : {"1m", "2m", "3m", "4m"})
    CHECK(box.create("w" + window, ", window = \"" + window + "\"") == "done");
  CHECK(box.create("more", R"(, window = "5m")") ==
        "flow_log: windows of 5 different lengths: at most 4 at once");
  CHECK(box.create("off", R"(, window = "5m", state = "off")") == "done");
  CHECK(box.change("off", [](FlowLogConfig& log) { log.on = true; }) ==
        "flow_log: windows of 5 different lengths: at most 4 at once");
  CHECK(box.change("w1m", [](FlowLogConfig& log) { log.on = false; }) == "done");
  CHECK(box.change("off", [](FlowLogConfig& log) { log.on = true; }) == "done");
  CHECK(box.daemon() == "off w1m:off w2m w3m w4m");
}

TEST_CASE("a flow log is renamed in one file", "[config][flow_log]") {
  const Configured box;
  REQUIRE(box.create("edge") == "done");
  REQUIRE(box.create("core") == "done");
  const auto name = [](const std::string& to) { return [to](FlowLogConfig& log) { log.name = to; }; };
  CHECK(box.change("edge", name("core")) == "name: there is a flow log core already");
  CHECK(box.change("edge", name("border")) == "done");
  CHECK(box.daemon() == "border core");
  CHECK_FALSE(std::filesystem::exists(box.file("flow-edge.toml")));
  CHECK(box.change("edge", name("x")) == "there is no flow log 'edge'");
  box.write("conf.d/flow-x.toml", "window = \"10m\"\n");
  CHECK(box.change("border", name("x")) == "conf.d/flow-x.toml is there already, and is not of a flow log x");
  CHECK(box.create("x") == "conf.d/flow-x.toml is there already, and is not of a flow log x");
  CHECK(box.text("flow-x.toml") == "window = \"10m\"\n");
}

TEST_CASE("a flow log that stands in another file is changed there", "[config][flow_log]") {
  const std::string log =
      "[[flow_log]]\nname = \"hand\"\nresource = \"nat\"\nrecord = \"aws\"\ndestination = \"stdout\"\n";
  const Configured box("sink = [\"file:/var/log/nat\"]\n" + log);
  CHECK(box.remove("hand") ==
        "flow log hand stands in natsessiond.toml:2, not alone in a file that natsessionctl has made: change "
        "it there");
  const Configured mixed;
  mixed.write("conf.d/flow-edge.toml", "window = \"20m\"\n" + std::string(log).replace(21, 4, "edge"));
  CHECK(mixed.remove("edge").starts_with("flow log edge stands in conf.d/flow-edge.toml:2, not alone"));
  CHECK(box.daemon() == "hand");
}

TEST_CASE("comments in a flow log's file stay where they are", "[config][flow_log]") {
  const Configured box;
  const std::string text =
      "# of the edge\n\n[[flow_log]]\nname = 'edge' # its name\nresource = \"eth1\"\n"
      "tags = [ # two\n  \"team=net\",\n  \"tier=1\" ]\nrecord = \"aws\"   # as readers know it\n"
      "destination = \"file:/var/log/edge\"\n# the end";
  box.write("conf.d/flow-edge.toml", text);
  CHECK(box.change("edge", [](FlowLogConfig& log) { log.on = false; }) == "done");
  std::string expected = text;
  expected.replace(expected.find(" # its name"), 11, " # its name\nstate = \"off\"");
  CHECK(box.text("flow-edge.toml") == expected);
  CHECK(box.change("edge", [](FlowLogConfig& log) { log.on = true; }) == "done");
  expected.replace(expected.find("off"), 3, "on");
  CHECK(box.text("flow-edge.toml") == expected);
  CHECK(box.change("edge", [](FlowLogConfig& log) { log.tags = {"a=b"}; }) == "done");
  const std::size_t tags = expected.find("[ #");
  expected.replace(tags, expected.find(']', tags) + 1 - tags, "[\"a=b\"]");
  CHECK(box.text("flow-edge.toml") == expected);
  CHECK(box.change("edge", [](FlowLogConfig& log) { log.name = "border"; }) == "done");
  expected.replace(expected.find("'edge'"), 6, "\"border\"");
  CHECK(box.text("flow-border.toml") == expected);
  CHECK(box.daemon() == "border,a=b");
}

TEST_CASE("a file in which a change cannot be made with care is written anew", "[config][flow_log]") {
  const Configured box;
  box.write("conf.d/flow-edge.toml",
            "[[flow_log]]\n\"st\\u0061te\" = \"\\u006fn\"\nresource = \"eth1\"\nrecord = \"aws\"\n"
            "destination = \"file:/var/log/edge\"\nname = \"edge\" # \u00fc\n");
  CHECK(box.change("edge", [](FlowLogConfig& log) { log.on = false; }) == "done");
  CHECK(box.daemon() == "edge:off");
  box.write(
      "conf.d/flow-a.toml",
      "flow_log = [{name = \"a\", resource = \"eth1\", record = \"aws\", destination = \"file:/a\"}]\n");
  CHECK(box.change("a", [](FlowLogConfig& log) { log.on = false; }) == "done");
  CHECK(box.daemon() == "a:off edge:off");
}

TEST_CASE("where there is a folder of flow logs new ones go there, and are its owner's",
          "[config][flow_log]") {
  const Configured box;
  REQUIRE(box.create("old") == "done");
  box.write("flow-logs.d/README", "");
  const std::filesystem::path folder = std::filesystem::path(box.path()).parent_path() / "flow-logs.d";
  if (::geteuid() == 0) REQUIRE(::chown(folder.c_str(), 65534, 65533) == 0);
  CHECK(box.create("edge") == "done");
  struct stat status {};
  REQUIRE(::stat((folder / "flow-edge.toml").c_str(), &status) == 0);
  if (::geteuid() == 0) CHECK((status.st_uid == 65534 && status.st_gid == 65533));
  REQUIRE(::stat((folder / ".flow-log.lock").c_str(), &status) == 0);
  if (::geteuid() == 0) CHECK(status.st_uid == 65534);
  // One from before is where it was.
  CHECK(box.change("old", [](FlowLogConfig& log) { log.on = false; }) == "done");
  CHECK(box.change("edge", [](FlowLogConfig& log) { log.name = "border"; }) == "done");
  CHECK(std::filesystem::exists(folder / "flow-border.toml"));
  CHECK(box.text("flow-old.toml").find("\"off\"") != std::string::npos);
  CHECK(box.daemon() == "old:off border");
  CHECK(box.remove("border") == "done");
  CHECK(box.daemon() == "old:off");
}

TEST_CASE("a flow log that is deleted leaves the others", "[config][flow_log]") {
  const Configured box;
  REQUIRE(box.create("edge") == "done");
  REQUIRE(box.create("core") == "done");
  CHECK(box.remove("edg") == "there is no flow log 'edg': did you mean edge?");
  CHECK(box.remove("edge") == "done");
  CHECK(box.daemon() == "core");
}

TEST_CASE("who may read natsessiond.toml may read a flow log's file, and nobody more", "[config][flow_log]") {
  const Configured box;
  for (const unsigned mode : {0600U, 0640U, 0644U, 0755U}) {
    ::chmod(box.path().c_str(), mode);
    const std::string name = "m" + std::to_string(mode);
    REQUIRE(box.create(name) == "done");
    struct stat status {};
    REQUIRE(::stat(box.file("flow-" + name + ".toml").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == (mode & 0644U));
  }
}

TEST_CASE("a configuration with which the daemon would not start gets no flow log", "[config][flow_log]") {
  CHECK(Configured("windw = \"1m\"\n").create("edge") ==
        "natsessiond.toml:1:1: unknown key 'windw': did you mean window?");
  const Configured box("flow_log_max = \"1\"\n");
  REQUIRE(box.create("one") == "done");
  box.write("conf.d/flow-two.toml",
            "[[flow_log]]\nname = \"two\"\nresource = \"nat\"\nrecord = \"aws\"\ndestination = \"stdout\"\n");
  CHECK(box.change("one", [](FlowLogConfig& log) { log.tags = {"a=b"}; }) ==
        "flow_log: there are 2, and flow_log_max is 1");
  CHECK(box.remove("two") == "done");  // the way out
  CHECK(box.daemon() == "one");
}

TEST_CASE("the configuration folder takes no more files than the daemon reads", "[config][flow_log]") {
  const Configured box;
  for (int i = 0; i < 256; ++i) box.write("conf.d/" + std::to_string(i) + ".toml", "");
  CHECK(box.create("edge") == "conf.d has 256 files: the daemon reads no more");
  CHECK(box.daemon() == "");
}

TEST_CASE("what is asked for over the control socket is one flow log or nothing", "[config][flow_log]") {
  const Configured box;
  const auto asked = [&](const std::string& log) {
    const auto changed = change_flow_logs(box.path(), {"create", "", log, {}, {}});
    return changed ? "done" : changed.error().message;
  };
  const std::string edge = R"({name = "edge", resource = "nat", record = "aws", destination = "file:/a"})";
  CHECK(asked("").find("one table") != std::string::npos);
  CHECK(asked("{}").find("name: a flow log needs one") != std::string::npos);
  CHECK(asked(edge + ", " + edge).find("one table") != std::string::npos);
  CHECK(asked(edge + "]\nuser = [\"root\"").find("user") != std::string::npos);
  CHECK(asked(edge + "]\nsink = [\"exec:/bin/sh\"").find("one table") != std::string::npos);
  CHECK(asked(std::string(16'000, '[')).find("brackets in one another") != std::string::npos);
  std::string dots = "{a";
  for (int i = 0; i < 8'000; ++i) dots += ".a";
  CHECK(asked(dots + " = 1}").find("dots") != std::string::npos);
  CHECK(asked("{name = \"../../x\", resource = \"nat\", record = \"aws\", destination = \"file:/a\"}")
            .find("is no name of a flow log") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(std::filesystem::path(box.path()).parent_path() / "conf.d"));
  CHECK(asked(edge) == "done");
  for (const char* const action : {"", "drop", "creat"})
    CHECK_FALSE(change_flow_logs(box.path(), {action, "edge", {}, {}, {}}));
  CHECK_FALSE(change_flow_logs(box.path(), {"rename", "edge", {}, {"../x"}, {}}));
  CHECK_FALSE(change_flow_logs(box.path(), {"rename", "edge", {}, {}, {}}));
  CHECK_FALSE(change_flow_logs(box.path(), {"tag", "edge", {}, {"a=\x01"}, {}}));
  const auto all = flow_logs_of(box.path());
  REQUIRE(all);
  REQUIRE(all->logs.size() == 1);
  CHECK(all->logs[0].editable);
  CHECK(all->logs[0].destination == "file:/a");
}

TEST_CASE("what somebody linked in the place of the lock stays whose it is", "[config][flow_log]") {
  const Configured box;
  box.write("flow-logs.d/README", "");
  const std::filesystem::path folder = std::filesystem::path(box.path()).parent_path() / "flow-logs.d";
  if (::geteuid() == 0) REQUIRE(::chown(folder.c_str(), 65534, 65534) == 0);
  std::filesystem::create_hard_link(box.path(), folder / ".flow-log.lock");
  CHECK(box.create("edge") == "flow-logs.d/.flow-log.lock: it is no file of its own");
  struct stat status {};
  REQUIRE(::stat(box.path().c_str(), &status) == 0);
  CHECK(status.st_uid == ::geteuid());
  std::filesystem::remove(folder / ".flow-log.lock");
  std::filesystem::create_symlink("../natsessiond.toml", folder / ".flow-log.lock");
  CHECK(box.create("edge").find("Too many levels of symbolic links") != std::string::npos);
}

TEST_CASE("who changes flow logs does not wait for ever for another one", "[config][flow_log]") {
  const Configured box;
  const auto first = FlowLogFiles::open(box.path());
  REQUIRE(first);
  CHECK(box.create("edge") == "conf.d/.flow-log.lock: somebody else changes flow logs, and does not finish");
}

TEST_CASE("tags are set and taken away by their keys", "[config][flow_log]") {
  std::vector<std::string> tags{"team=net", "tier=1"};
  REQUIRE(edit_tags(tags, {"+tier=2", "new=x=y"}, {"team"}));
  CHECK(tags == std::vector<std::string>{"tier=2", "new=x=y"});
  CHECK(edit_tags(tags, {"nothing"}, {}).error().message ==
        "tags: 'nothing' is not KEY=VALUE, such as team=edge");
  CHECK(edit_tags(tags, {}, {"team"}).error().message == "there is no tag 'team'");
  std::vector<std::string> many;
  for (int i = 0; i < 21; ++i) many.push_back("k" + std::to_string(i) + "=v");
  CHECK(edit_tags(tags, many, {}).error().message == "tags: more than 20");
  CHECK(tags.size() == 2);
}

}  // namespace natsession
