// natsessionctl flow-log: the flow logs of the configuration: made, shown, turned on and off, renamed, tagged
// and deleted, in files that the daemon reads at its next start. Root writes them itself; of all others the
// daemon asks who they are, and writes.
#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "command.h"
#include "config/flow_log_files.h"
#include "config/text.h"
#include "control/status_json.h"
#include "control_client.h"

namespace natsession::ctl {
namespace {

using FlowLogJson = nlohmann::ordered_json;

constexpr std::string_view kFlowLogActions[] = {"create", "list",   "show", "start",
                                                "stop",   "rename", "tag",  "delete"};

constexpr std::string_view kUsualConfiguration = "/etc/natsessiond/natsessiond.toml";

struct FlowLogCommand {
  std::string action, name;
  std::vector<std::string> words;
  std::string configuration;  // as it was given; empty: kUsualConfiguration
  std::string resource, traffic, record, format, window, destination;
  std::vector<std::string> tags;
  std::vector<std::string> removed;
  bool off = false;
  bool by_daemon = false;

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

FlowLogJson json_of(const FlowLogFacts& log, const Running& running) {
  FlowLogJson told{{"name", log.name},         {"state", log.state},
                   {"resource", log.resource}, {"traffic", log.traffic},
                   {"record", log.record},     {"format", log.format},
                   {"window", log.window},     {"destination", log.destination},
                   {"tags", log.tags},         {"file", log.file},
                   {"editable", log.editable}, {"running", nullptr},
                   {"delivery", nullptr},      {"delivered", nullptr},
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
TextTable::Cell state_cell(const FlowLogFacts& log, const Running& running) {
  if (!running || running->contains(log.name) == (log.state == "on")) return log.state;
  return {log.state + ", after a restart", Paint::kWarning};
}

TextTable::Cell delivery_cell(const FlowLogFacts& log, const Running& running) {
  if (!running) return "?";
  const auto sink = running->find(log.name);
  if (sink == running->end()) return "-";
  const DeliveryState state = sink->second.state;
  return {std::string(to_string(state)), state == DeliveryState::kSuccess ? Paint::kGood : Paint::kWarning};
}

std::string not_known(const Running& running) {
  return running ? "" : "what the daemon has is not known: " + running.error().message + "\n";
}

int list_flow_logs(const std::vector<FlowLogFacts>& logs, const Global& global) {
  const Running running = ask_daemon(global);
  if (global.json) {
    FlowLogJson all = FlowLogJson::array();
    for (const FlowLogFacts& log : logs) all.push_back(json_of(log, running));
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
  for (const FlowLogFacts& log : logs) {
    table.add_row({log.name, state_cell(log, running), printable(log.resource), log.traffic, log.record,
                   log.window, printable(log.target), delivery_cell(log, running)});
  }
  if (!logs.empty()) text = table.text(screen());
  if (running) {
    for (const auto& one : *running) {
      const bool there = std::any_of(logs.begin(), logs.end(),
                                     [&](const FlowLogFacts& log) { return log.name == one.first; });
      if (!there) text += "the daemon has a flow log " + printable(one.first) + " until its next start\n";
    }
  }
  return print(text + not_known(running));
}

int show_flow_log(const FlowLogFacts& log, const Global& global) {
  const Running running = ask_daemon(global);
  const FlowLogJson told = json_of(log, running);
  if (global.json) return print(told.dump(2, ' ', false, FlowLogJson::error_handler_t::replace) + "\n");
  std::string text;
  const auto line = [&](std::string_view key, const std::string& value) {
    text += fmt::format("{:<12} {}\n", key, printable(value));
  };
  for (const char* const key :
       {"name", "state", "resource", "traffic", "record", "format", "window", "destination"})
    line(key, told[key].get<std::string>());
  line("tags", log.tags.empty() ? "-" : tags_text(log.tags));
  line("file", log.editable ? log.file : log.where + ", to be changed there");
  if (!running) return print(text + not_known(running));
  const auto sink = running->find(log.name);
  const bool on = log.state == "on";
  if (sink == running->end()) {
    line("daemon", on ? "does not have it: a restart is needed" : "does not have it");
    return print(text);
  }
  line("daemon", on ? "has it" : "has it until its next start");
  line("delivery", fmt::format("{}, {} records taken, {} waiting", to_string(sink->second.state),
                               grouped(sink->second.delivered), grouped(sink->second.waiting)));
  if (sink->second.state == DeliveryState::kFailed) line("", sink->second.message);
  return print(text);
}

// What was done, and that it is for the next start.
int done(const Global& global, const FlowLogCommand& asked, const FlowLogChanged& changed) {
  if (global.json) {
    const FlowLogJson told{{"name", changed.name},
                           {"done", changed.done},
                           {"file", changed.file},
                           {"restart_needed", changed.restart_needed}};
    return print(told.dump(2, ' ', false, FlowLogJson::error_handler_t::replace) + "\n");
  }
  std::string_view more;
  if (asked.action == "stop" && changed.done == "off") more = "No record that was written is deleted.\n";
  if (asked.action == "rename") {
    more =
        "Where the daemon has a ledger: how far it has come is kept by name, so it begins anew with what "
        "comes after the restart;\nstop the log before, and rename it when its delivery has nothing "
        "waiting, if nothing may be left out.\n";
  }
  if (asked.action == "delete") {
    more =
        "No record that was written is deleted. How far it has come stays in the ledger, by its name: a new "
        "log of this name goes on there.\n";
  }
  return print(fmt::format("flow log {}: {}: {}\n{}", printable(asked.name), printable(changed.done),
                           printable(changed.file), more) +
               "natsessiond reads that at its next start: systemctl restart natsessiond\n");
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
  if (asked.by_daemon && !asked.configuration.empty())
    return usage_error("--by-daemon and --config: one of them says where flow logs are");
  if (action != "create" && asked.off) return usage_error("--off: of create alone: use stop NAME");
  return {};
}

// Whether this process looks at the files itself. Root may write them, and who names a configuration means
// that file; of all others the daemon says whether they may. Who wants the daemon's may mean another
// machine's.
bool goes_to_files(const FlowLogCommand& asked) {
  return !asked.by_daemon && (::geteuid() == 0 || !asked.configuration.empty());
}

std::string configuration_of(const FlowLogCommand& asked) {
  return asked.configuration.empty() ? std::string(kUsualConfiguration) : asked.configuration;
}

// `by_daemon`, or, where there is no daemon or it is not to be asked, `by_files`.
template <typename Answer>
Result<Answer> ask_or_do(const FlowLogCommand& asked, const auto& by_daemon, const auto& by_files) {
  if (goes_to_files(asked)) return by_files();
  Result<Answer> answer = by_daemon();
  const bool answered = answer || answer.error().kind != ErrorKind::kUnavailable;
  return answered || asked.by_daemon ? std::move(answer) : by_files();
}

Result<FlowLogsAnswer> flow_logs_there(const Global& global, const FlowLogCommand& asked) {
  return ask_or_do<FlowLogsAnswer>(
      asked,
      [&]() -> Result<FlowLogsAnswer> {
        const auto body = ControlClient(global.control).get("/flow-logs");
        return body ? read_flow_logs_json(*body) : Result<FlowLogsAnswer>(body.error());
      },
      [&] { return flow_logs_of(configuration_of(asked)); });
}

Result<FlowLogChanged> make_change(const Global& global, const FlowLogCommand& asked,
                                   const FlowLogChange& change) {
  return ask_or_do<FlowLogChanged>(
      asked,
      [&]() -> Result<FlowLogChanged> {
        QueryArguments query{{"action", change.action}, {"name", change.name}};
        if (!change.log.empty()) query.emplace_back("log", change.log);
        for (const std::string& word : change.words) query.emplace_back("word", word);
        for (const std::string& key : change.removed) query.emplace_back("remove", key);
        const auto body = ControlClient(global.control).post("/flow-log", query);
        return body ? read_flow_log_changed_json(*body) : Result<FlowLogChanged>(body.error());
      },
      [&] { return change_flow_logs(configuration_of(asked), change); });
}

int run_flow_log(const Global& global, const FlowLogCommand& asked) {
  if (auto fit = check_asked(asked); !fit) return fail("flow-log", fit.error());
  if (asked.action == "list" || asked.action == "show") {
    const auto there = flow_logs_there(global, asked);
    if (!there) return fail("flow-log", there.error());
    if (asked.action == "list") return list_flow_logs(there->logs, global);
    std::vector<std::string> known;
    for (const FlowLogFacts& log : there->logs) {
      if (log.name == asked.name) return show_flow_log(log, global);
      known.push_back(log.name);
    }
    return fail("flow-log", no_such_flow_log(asked.name, known));
  }
  FlowLogChange change{asked.action, asked.name, {}, asked.words, asked.removed};
  if (asked.action == "create") {
    const auto log = asked_for(asked);
    if (!log) return fail("flow-log", log.error());
    change.log = log->text();
  }
  const auto changed = make_change(global, asked, change);
  return changed ? done(global, asked, *changed) : fail("flow-log", changed.error());
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
                 "The daemon's configuration; default " + std::string(kUsualConfiguration));
  command.flag("--by-daemon", asked->by_daemon,
               "Only what the daemon behind --control has, and by it; never files of this machine");
  command.footer(
      "A flow log is a file flow-NAME.toml beside the configuration, in the folder flow-logs.d where there "
      "is "
      "one, else in conf.d. natsessiond reads it at its next start; all is checked before, as it will be "
      "then. "
      "Who may change one: root; and, as with enable and disable, the daemon's own user and members of its "
      "--steer-group, for whom the daemon writes the file. With --config FILE, or where no daemon runs, who "
      "may write there. What a log records, where it goes and how cannot be edited: delete it and make "
      "another.\n\n"
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
