#include "config/command_line.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>

#include <getopt.h>

#include "config/options.h"
#include "config/settings_file.h"
#include "config/text.h"
#include "session/flow_trackers.h"

namespace natsession {
namespace {

constexpr std::string_view kTryHelp = "'natsessiond --help' lists the options";

// The flags of a command line, with their values in order; what they mean is not looked at.
using GivenFlags = std::map<std::size_t, std::vector<std::string>>;  // by the place in flags()

// What stands where it does not belong may be a URL with a password in it.
std::string shown(const std::string& argument) {
  if (argument.find('@') == std::string::npos) return in_quotes(argument);
  return in_quotes(argument.substr(0, argument.find_first_of(":@")) + "***");
}

Error unexpected(const std::string& argument) {
  return usage_error("unexpected argument " + shown(argument) + ": all options begin with --; " +
                     std::string(kTryHelp));
}

Error unknown(const std::string& argument) {
  const std::string flag = argument.substr(0, argument.find('='));
  std::vector<std::string> known;
  for (const Flag& one : flags()) known.push_back(one.flag());
  const std::string_view meant = flag == "-h" ? "--help" : nearest(flag, known);
  return usage_error(
      "unknown option " + shown(flag) +
      (meant.empty() ? "; " + std::string(kTryHelp) : ": did you mean " + std::string(meant) + "?"));
}

std::vector<option> long_options() {
  std::vector<option> options;
  for (const Flag& flag : flags()) {
    const int argument = flag.takes_value()  ? required_argument
                         : flag.is_setting() ? optional_argument  // --tune, --tune=false
                                             : no_argument;
    options.push_back({flag.name.data(), argument, nullptr, 0});
  }
  options.push_back({});
  return options;
}

// Errors: kUsage for a flag that is unknown or lacks a value, and for arguments that are no flags.
Result<GivenFlags> split(int argc, const char* const* argv) {
  std::vector<std::string> words(argv, argv + argc);
  if (words.empty()) words.emplace_back();
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const std::vector<option> options = long_options();

  GivenFlags given;
  ::optind = 0;  // glibc: begins anew
  ::opterr = 0;
  while (true) {
    const auto at = static_cast<std::size_t>(std::max(::optind, 1));
    int place = 0;
    // The first '-' asks for all arguments in their order, the ':' for another answer when a value is
    // missing.
    const int found =
        ::getopt_long(static_cast<int>(words.size()), pointers.data(), "-:", options.data(), &place);
    if (found == -1) break;
    const std::string& word = words[at];
    if (found == 1) return unexpected(word);
    if (found == ':') return usage_error(word + " needs a value; " + std::string(kTryHelp));
    const std::string name = word.substr(0, word.find('='));
    if (found == '?' && name != word) {
      for (const Flag& flag : flags()) {
        if (flag.flag() == name) return usage_error(name + " takes no value");
      }
    }
    // getopt_long() takes the beginning of a flag for the flag, until there is another one that begins so.
    if (found == '?' || flags()[static_cast<std::size_t>(place)].flag() != name) return unknown(word);
    given[static_cast<std::size_t>(place)].emplace_back(::optarg != nullptr ? ::optarg : "true");
  }
  if (static_cast<std::size_t>(::optind) < words.size()) {
    return unexpected(words[static_cast<std::size_t>(::optind)]);  // behind --
  }
  return given;
}

// The values of one setting.
Assignment assignment_of(const Flag& flag, const std::vector<std::string>& texts) {
  Assignment assignment{&flag, "command line", flag.flag(), {}};
  for (const std::string& text : texts) {
    const std::string whole = flag.flag() + (flag.takes_value() ? " " : "=") + (text.empty() ? "''" : text);
    assignment.values.push_back({text, !flag.may_be_secret && check_text(text) ? whole : flag.flag()});
  }
  return assignment;
}

Result<Action> action_of(const GivenFlags& given) {
  const auto has = [&](std::string_view name) {
    for (const auto& [place, texts] : given) {
      if (flags()[place].name == name) return true;
    }
    return false;
  };
  if (has("help")) return Action::kHelp;
  if (has("version")) return Action::kVersion;
  if (has("default-config")) return Action::kDefaultConfig;
  if (has("list-options")) return Action::kListOptions;
  if (has("check") && has("print-config")) {
    return usage_error("--check and --print-config cannot be asked for together");
  }
  if (has("check")) return Action::kCheck;
  if (has("guard-only") && !has("print-config")) return Action::kGuardOnly;
  return has("print-config") ? Action::kPrintConfig : Action::kRun;
}

Error at(const std::string& where, const Error& error) {
  return {error.kind, where + ": " + error.message};
}

Result<void> put_all(const std::vector<Assignment>& assignments, Invocation& result) {
  for (const Assignment& assignment : assignments) {
    const Flag& flag = *assignment.flag;
    if (flag.needs_one && assignment.values.empty()) {
      return usage_error(assignment.where + ": needs at least one, such as " + std::string(flag.example));
    }
    if (flag.value.clear) flag.value.clear(result.config);
    for (const GivenValue& value : assignment.values) {
      if (auto fit = check_text(value.text); !fit) {
        if (flag.may_be_secret) fit = usage_error("it is not UTF-8, or has a control character");
        return at(value.where, fit.error());
      }
      if (auto put = flag.value.put(result.config, value.text); !put) return at(value.where, put.error());
    }
    result.sources[static_cast<std::size_t>(&flag - flags().data())] = assignment.source;
  }
  return {};
}

// The default sink is for who has no ledger.
// Errors: kUsage if records would go nowhere.
Result<void> default_sinks(Invocation& result) {
  Config& config = result.config;
  const Flag& sink = *find_setting("sink");
  const std::string& source = result.sources[static_cast<std::size_t>(&sink - flags().data())];
  if (!config.ledger.empty() && source.empty()) config.sinks.clear();
  if (!config.sinks.empty() || !config.ledger.empty()) return {};
  return usage_error(source + ": sink: needs at least one, such as " + std::string(sink.example) +
                     ", where there is no ledger");
}

// Errors: kUsage for flow logs that cannot be together, or not with the rest.
Result<void> check_flow_logs(const Config& config) {
  if (config.flow_logs.size() > config.flow_log_max) {
    return usage_error("flow_log: there are " + std::to_string(config.flow_logs.size()) +
                       ", and flow_log_max is " + std::to_string(config.flow_log_max));
  }
  for (const FlowLogConfig& log : config.flow_logs) {
    if (log.on && log.traffic == FlowTraffic::kReject && config.reject_groups.empty())
      return usage_error("flow log " + log.name +
                         ": traffic: of rejected packets nothing is known without reject_group");
    for (const SinkConfig& sink : config.sinks) {
      if (sink.destination() == log.destination.destination())
        return usage_error("flow log " + log.name + ": destination: '" + without_secrets(sink.url().text) +
                           "' is a sink of the session log already");
    }
  }
  if (const auto windows = flow_windows(config); windows.size() > FlowTrackers::kMaxWindows) {
    return usage_error("flow_log: windows of " + std::to_string(windows.size()) +
                       " different lengths: at most " + std::to_string(FlowTrackers::kMaxWindows) +
                       " at once");
  }
  return {};
}

// Errors: kUsage for sinks that ask for what nobody tells, and for sources without a place for what they tell.
Result<void> check_identity(const Config& config) {
  if (!config.identity.empty() && config.ledger.empty())
    return usage_error("identity: needs --ledger DIR, where it is kept whose an address was");
  for (const FlowLogConfig& log : config.flow_logs) {
    if (log.on && log.destination.tells_identity() && config.identity.empty())
      return usage_error("flow log " + log.name +
                         ": identity=on: needs --identity URL, which tells whose an address is");
  }
  for (const SinkConfig& sink : config.sinks) {
    const std::string name = "sink '" + without_secrets(sink.url().text) + "': ";
    if (sink.tells_identity() && config.identity.empty())
      return usage_error(name + "identity=on: needs --identity URL, which tells whose an address is");
    if (sink.tells_pseudonyms() && config.pseudonyms.empty())
      return usage_error(name + "pseudonyms=on: needs --pseudonyms FILE, the key");
  }
  return {};
}

// Errors: kUsage for an option that another one has to come with.
Result<void> check_together(const Invocation& result) {
  for (const SinkConfig& sink : result.config.sinks) {
    if (sink.tells_blocks() && result.config.records != RecordMode::kWindow) {
      return usage_error(
          "sink '" + without_secrets(sink.url().text) +
          "': blocks: needs --records window: else nobody tells that a session goes on, and a block "
          "would be told free that is not");
    }
  }
  if (auto fit = check_identity(result.config); !fit) return fit;
  if (auto fit = check_flow_logs(result.config); !fit) return fit;
  if (result.config.handover.empty() || !result.config.ledger.empty() || result.action == Action::kGuardOnly)
    return {};
  return usage_error("handover: needs --ledger DIR: without one it is not known what of a run is written");
}

// Checks the name of the file before it stands in messages.
Result<std::vector<Assignment>> read_assignments(const std::string& name) {
  if (name.empty()) return usage_error("--config '': it needs the name of a file");
  if (auto fit = check_text(name); !fit) return at("--config", fit.error());
  return read_settings(name);
}

}  // namespace

Result<Invocation> parse_command_line(int argc, const char* const* argv, const std::string& hostname) {
  const auto given = split(argc, argv);
  if (!given) return given.error();
  std::vector<Assignment> settings;
  std::optional<std::string> file;
  for (const auto& [place, texts] : *given) {
    const Flag& flag = flags()[place];
    if (texts.size() > 1 && !flag.is_list() && (flag.is_setting() || flag.takes_value())) {
      return usage_error(flag.flag() + " is given " + std::to_string(texts.size()) +
                         " times: once is enough");
    }
    if (flag.is_setting()) {
      settings.push_back(assignment_of(flag, texts));
    } else if (flag.takes_value()) {
      file = texts.front();  // --config is the only one
    }
  }
  const auto action = action_of(*given);
  if (!action) return action.error();

  Invocation result;
  result.action = *action;
  result.sources.resize(flags().size());
  constexpr std::array kConfigured = {Action::kRun, Action::kCheck, Action::kGuardOnly, Action::kPrintConfig};
  if (std::find(kConfigured.begin(), kConfigured.end(), *action) == kConfigured.end()) return result;

  if (file) {
    result.file = *file;
    const auto assignments = read_assignments(*file);
    if (!assignments) return assignments.error();
    if (auto applied = put_all(*assignments, result); !applied) return applied.error();
  }
  if (auto applied = put_all(settings, result); !applied) return applied.error();

  if (auto set = default_sinks(result); !set) return set.error();
  if (auto fit = check_together(result); !fit) return fit.error();
  if (result.config.instance.empty()) {
    if (hostname.empty()) {
      return usage_error("--instance: this host has no name to take for it, so it must be given");
    }
    result.config.instance = hostname;
  }
  return result;
}

Result<Config> try_settings(const std::vector<Assignment>& settings) {
  Invocation result;
  result.sources.resize(flags().size());
  if (auto applied = put_all(settings, result); !applied) return applied.error();
  const Flag& sink = *find_setting("sink");
  if (result.sources[static_cast<std::size_t>(&sink - flags().data())].empty()) result.config.sinks.clear();
  if (auto fit = check_flow_logs(result.config); !fit) return fit.error();
  return std::move(result.config);
}

Result<Config> reload(int argc, const char* const* argv, const std::string& hostname) {
  auto parsed = parse_command_line(argc, argv, hostname);
  if (!parsed) return parsed.error();
  return std::move(parsed->config);
}

}  // namespace natsession
