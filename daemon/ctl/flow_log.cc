// natsessionctl flow-log: the flow logs of the configuration: made, shown, turned on and off, renamed, tagged
// and deleted, in files that the daemon reads at its next start.
#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "command.h"
#include "config/text.h"
#include "control/status_json.h"
#include "control_client.h"
#include "flow_log_files.h"

namespace natsession::ctl {
namespace {

using FlowLogJson = nlohmann::ordered_json;

constexpr std::string_view kFlowLogActions[] = {"create", "list",   "show", "start",
                                                "stop",   "rename", "tag",  "delete"};

struct FlowLogCommand {
  std::string action, name;
  std::vector<std::string> words;
  std::string configuration = "/etc/natsessiond/natsessiond.toml";
  std::string resource, traffic, record, format, window, destination;
  std::vector<std::string> tags;
  std::vector<std::string> removed;
  bool off = false;

  // What cannot be edited, as it was given: the option, the key of the file, the value.
  struct Fixed {
    std::string_view option, key, value;
  };
  [[nodiscard]] std::array<Fixed, 6> fixed() const {
    return {Fixed{"--resource", "resource", resource}, Fixed{"--traffic", "traffic", traffic},
            Fixed{"--record", "record", record},       Fixed{"--format", "format", format},
            Fixed{"--window", "window", window},       Fixed{"--destination", "destination", destination}};
  }
};

// What the daemon that runs says of flow logs: by their names, or why it could not be asked.
using Running = Result<std::map<std::string, SinkReport>>;

Running ask_daemon(const Global& global) {
  const auto body = ControlClient(global.control).get("/status");
  if (!body) return body.error();
  const auto status = read_status_json(*body);
  if (!status) return status.error();
  constexpr std::string_view kSink = "flow_log ";
  std::map<std::string, SinkReport> running;
  for (const SinkReport& sink : status->sinks) {
    if (sink.name.starts_with(kSink)) running.emplace(sink.name.substr(kSink.size()), sink);
  }
  return running;
}

FlowLogJson json_of(const FoundFlowLog& found, const Running& running) {
  const FlowLogConfig& log = found.log;
  FlowLogJson told{{"name", log.name},
                   {"state", log.on ? "on" : "off"},
                   {"resource", log.resource.to_string()},
                   {"traffic", to_string(log.traffic)},
                   {"record", log.record.text},
                   {"format", log.format == FlowFormat::kJson ? "json" : "text"},
                   {"window", format_duration(log.window)},
                   {"destination", without_secrets(log.destination.url().text)},
                   {"tags", log.tags},
                   {"file", found.file},
                   {"editable", found.own},
                   {"running", nullptr},
                   {"delivery", nullptr},
                   {"delivered", nullptr},
                   {"waiting", nullptr}};
  if (!running) return told;
  const auto sink = running->find(log.name);
  told["running"] = sink != running->end();
  if (sink != running->end()) {
    told["delivery"] = to_string(sink->second.state);
    told["delivered"] = sink->second.delivered;
    told["waiting"] = sink->second.waiting;
  }
  return told;
}

std::string tags_text(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : " ") + word;
  return all;
}

// "on, restart needed": what the file says, and that the daemon does something else.
TextTable::Cell state_cell(const FoundFlowLog& found, const Running& running) {
  const std::string state = found.log.on ? "on" : "off";
  if (!running || running->contains(found.log.name) == found.log.on) return state;
  return {state + ", after a restart", Paint::kWarning};
}

TextTable::Cell delivery_cell(const FoundFlowLog& found, const Running& running) {
  if (!running) return "?";
  const auto sink = running->find(found.log.name);
  if (sink == running->end()) return "-";
  const DeliveryState state = sink->second.state;
  return {std::string(to_string(state)), state == DeliveryState::kSuccess ? Paint::kGood : Paint::kWarning};
}

std::string not_known(const Running& running) {
  return running ? "" : "what the daemon has is not known: " + running.error().message + "\n";
}

int list_flow_logs(const FlowLogFiles& files, const Global& global) {
  const Running running = ask_daemon(global);
  if (global.json) {
    FlowLogJson all = FlowLogJson::array();
    for (const FoundFlowLog& found : files.logs()) all.push_back(json_of(found, running));
    return print(all.dump(2, ' ', false, FlowLogJson::error_handler_t::replace) + "\n");
  }
  std::string text = "there is no flow log\n";
  TextTable table({{"NAME"},
                   {"STATE"},
                   {"RESOURCE"},
                   {"TRAFFIC"},
                   {"RECORD"},
                   {"WINDOW"},
                   {"DESTINATION"},
                   {"DELIVERY"}});
  for (const FoundFlowLog& found : files.logs()) {
    const FlowLogConfig& log = found.log;
    table.add_row({log.name, state_cell(found, running), printable(log.resource.to_string()),
                   std::string(to_string(log.traffic)), log.record.text, format_duration(log.window),
                   printable(log.destination.url().name()), delivery_cell(found, running)});
  }
  if (!files.logs().empty()) text = table.text(screen());
  if (running) {
    for (const auto& [name, sink] : *running) {
      if (!files.find(name))
        text += "the daemon has a flow log " + printable(name) + " until its next start\n";
    }
  }
  return print(text + not_known(running));
}

int show_flow_log(const FoundFlowLog& found, const Global& global) {
  const Running running = ask_daemon(global);
  const FlowLogJson told = json_of(found, running);
  if (global.json) return print(told.dump(2, ' ', false, FlowLogJson::error_handler_t::replace) + "\n");
  std::string text;
  const auto line = [&](std::string_view key, const std::string& value) {
    text += fmt::format("{:<12} {}\n", key, printable(value));
  };
  for (const char* const key :
       {"name", "state", "resource", "traffic", "record", "format", "window", "destination"})
    line(key, told[key].get<std::string>());
  line("tags", found.log.tags.empty() ? "-" : tags_text(found.log.tags));
  line("file", found.own ? found.file : found.where + ", to be changed there");
  if (!running) return print(text + not_known(running));
  const auto sink = running->find(found.log.name);
  if (sink == running->end()) {
    line("daemon", found.log.on ? "does not have it: a restart is needed" : "does not have it");
    return print(text);
  }
  line("daemon", found.log.on ? "has it" : "has it until its next start");
  line("delivery", fmt::format("{}, {} records taken, {} waiting", to_string(sink->second.state),
                               grouped(sink->second.delivered), grouped(sink->second.waiting)));
  if (sink->second.state == DeliveryState::kFailed) line("", sink->second.message);
  return print(text);
}

// What was done, and that it is for the next start.
int done(const Global& global, const std::string& name, const std::string& what, const std::string& file,
         const std::string& more = {}) {
  if (global.json) {
    const FlowLogJson told{{"name", name}, {"done", what}, {"file", file}, {"restart_needed", true}};
    return print(told.dump(2, ' ', false, FlowLogJson::error_handler_t::replace) + "\n");
  }
  std::string text = fmt::format("flow log {}: {}: {}\n", name, what, file);
  if (!more.empty()) text += more + "\n";
  return print(text + "natsessiond reads that at its next start: systemctl restart natsessiond\n");
}

Result<FlowLogConfig> asked_for(const FlowLogCommand& asked) {
  std::string text = "{name = " + toml_string(asked.name);
  for (const auto& [option, key, value] : asked.fixed()) {
    if (value.empty()) continue;
    if (auto fit = check_text(value); !fit)
      return usage_error(std::string(option) + ": it is not UTF-8, or has a control character");
    text += ", " + std::string(key) + " = " + toml_string(value);
  }
  if (auto fit = check_flow_log_name(asked.name); !fit) return fit.error();
  auto log = FlowLogConfig::parse(text + (asked.off ? R"(, state = "off"})" : "}"));
  if (!log) return log;
  if (auto tagged = edit_tags(log->tags, asked.tags, {}); !tagged) return tagged.error();
  return log;
}

Error edits_nothing(std::string_view option) {
  return natsession::usage_error(
      std::string(option) +
      ": what a flow log records, where it goes and how cannot be edited: delete the log and make another");
}

// What the words of the command line must be.
Result<void> check_asked(const FlowLogCommand& asked) {
  const std::string& action = asked.action;
  // First of all, whatever word for an edit was tried.
  if (action != "create") {
    for (const auto& [option, key, value] : asked.fixed()) {
      if (!value.empty()) return edits_nothing(option);
    }
  }
  if (std::find(std::begin(kFlowLogActions), std::end(kFlowLogActions), action) ==
      std::end(kFlowLogActions)) {
    std::vector<std::string> known(std::begin(kFlowLogActions), std::end(kFlowLogActions));
    const std::string_view meant = nearest(action, known);
    return usage_error("unknown action " + in_quotes(action) +
                       (meant.empty() ? "; there are " + fmt::format("{}", fmt::join(known, ", "))
                                      : ": did you mean " + std::string(meant) + "?"));
  }
  if (action == "list" ? !asked.name.empty() : asked.name.empty())
    return usage_error(action + (asked.name.empty() ? ": of which flow log? Give its name"
                                                    : " shows all: show NAME tells of one"));
  const bool takes_words = action == "rename" || action == "tag";
  if (!takes_words && !asked.words.empty())
    return usage_error(action + " does not take " + in_quotes(asked.words.front()));
  if (action == "rename" && asked.words.size() != 1)
    return usage_error("rename: give the old name and the new");
  if (action == "tag" && asked.words.empty() && asked.removed.empty())
    return usage_error("tag: which? Give KEY=VALUE, or --remove KEY");
  if (action != "create" && !asked.tags.empty())
    return usage_error("--tag: of create alone: use tag NAME KEY=VALUE");
  if (action != "tag" && !asked.removed.empty()) return usage_error("--remove: of tag alone");
  if (action != "create" && asked.off) return usage_error("--off: of create alone: use stop NAME");
  return {};
}

int change_flow_log(FlowLogFiles& files, const Global& global, const FlowLogCommand& asked) {
  const std::string& name = asked.name;
  std::string what, more, now = name;
  const auto edit = [&](FlowLogConfig& log) -> Result<void> {
    if (asked.action == "start" || asked.action == "stop") {
      what = log.on == (asked.action == "start") ? "was so already" : asked.action == "start" ? "on" : "off";
      log.on = asked.action == "start";
      if (!log.on) more = "No record that was written is deleted.";
    } else if (asked.action == "rename") {
      now = log.name = asked.words.front();
      what = "its name is now " + now;
      more =
          "Where the daemon has a ledger: how far it has come is kept by name, so it begins anew with what "
          "comes after the restart;\nstop the log before, and rename it when its delivery has nothing "
          "waiting, if nothing may be left out.";
      return check_flow_log_name(now);
    } else {
      what = "tags changed";
      return edit_tags(log.tags, asked.words, asked.removed);
    }
    return {};
  };
  const auto file = files.change(name, edit);
  if (!file) return fail("flow-log", file.error());
  return done(global, asked.action == "rename" ? asked.words.front() : name, what, *file, more);
}

int run_flow_log(const Global& global, const FlowLogCommand& asked) {
  if (auto fit = check_asked(asked); !fit) return fail("flow-log", fit.error());
  if (asked.action == "list" || asked.action == "show") {
    const auto files = FlowLogFiles::read(asked.configuration);
    if (!files) return fail("flow-log", files.error());
    if (asked.action == "list") return list_flow_logs(*files, global);
    const auto found = files->find(asked.name);
    return found ? show_flow_log(*found, global) : fail("flow-log", found.error());
  }
  // Before anything is touched: a log that is none.
  const auto log = asked.action == "create" ? asked_for(asked) : Result<FlowLogConfig>(usage_error(""));
  if (asked.action == "create" && !log) return fail("flow-log", log.error());
  auto files = FlowLogFiles::open(asked.configuration);
  if (!files) return fail("flow-log", files.error());
  if (asked.action == "create") {
    const auto file = files->create(*log);
    return file ? done(global, asked.name, "created", *file) : fail("flow-log", file.error());
  }
  if (asked.action != "delete") return change_flow_log(*files, global, asked);
  const auto file = files->remove(asked.name);
  if (!file) return fail("flow-log", file.error());
  return done(
      global, asked.name, "deleted", *file,
      "No record that was written is deleted. How far it has come stays in the ledger, by its name: a new "
      "log of this name goes on there.");
}

}  // namespace

void add_flow_log(Commands& commands) {
  Command command = commands.add("flow-log", "Make, show, turn on and off, rename, tag and delete flow logs");
  const auto asked = std::make_shared<FlowLogCommand>();
  command.argument("action", asked->action, "ACTION",
                   "create, list, show, start, stop, rename, tag or delete", true);
  command.argument("name", asked->name, "NAME", "The flow log; list shows all", false);
  command.arguments("words", asked->words, "WORD", "The new name (rename), or KEY=VALUE... (tag)");
  command.option("--resource", asked->resource, "RESOURCE",
                 "What to log: an interface, a subnet, vpc:ID or nat (all that is translated)");
  command.option("--traffic", asked->traffic, "TRAFFIC", "all, accept or reject; default all");
  command.option("--record", asked->record, "RECORD",
                 "alibaba, tencent, huawei-v1, huawei-v2, aws, or names of fields with commas between");
  command.option("--format", asked->format, "FORM", "text or json; default text");
  command.option("--window", asked->window, "LENGTH", "Length of a capture window; default 10m");
  command.option("--destination", asked->destination, "URL",
                 "Where entries go: a sink, as natsessiond(8) has them");
  command.option("--tag", asked->tags, "KEY=VALUE",
                 "A tag of a log that is created; may be given several times");
  command.flag("--off", asked->off, "Create it turned off");
  command.option("--remove", asked->removed, "KEY", "A tag to take away (tag); may be given several times");
  command.option("--config", asked->configuration, "FILE",
                 "The daemon's configuration; default " + asked->configuration);
  command.footer(
      "A flow log is a file flow-NAME.toml in the folder conf.d beside the configuration, which natsessiond "
      "reads at its next start. All is checked before, as it will be then. Who may write in conf.d may "
      "change "
      "flow logs. What a log records, where it goes and how cannot be edited: delete it and make another.\n\n"
      "Examples:\n"
      "  natsessionctl flow-log create edge --resource eth1 --record aws --destination "
      "file:/var/log/flow.log\n"
      "  natsessionctl flow-log list\n"
      "  natsessionctl flow-log show edge\n"
      "  natsessionctl flow-log tag edge team=net\n"
      "  natsessionctl flow-log tag edge --remove team\n"
      "  natsessionctl flow-log stop edge\n"
      "  natsessionctl flow-log start edge\n"
      "  natsessionctl flow-log rename edge border\n"
      "  natsessionctl flow-log delete border");
  command.run([asked](const Global& global) { return run_flow_log(global, *asked); });
}

}  // namespace natsession::ctl
