#include "config/invocation.h"

#include "config/assignment.h"
#include "config/command_line.h"
#include "config/options.h"
#include "config/settings_file.h"
#include "config/text.h"

namespace natsession {
namespace {

Error at(const std::string& where, const Error& error) {
  return {error.kind, where + ": " + error.message};
}

Result<void> apply(const std::vector<Assignment>& assignments, const Environment& environment,
                   Invocation& result) {
  for (const Assignment& assignment : assignments) {
    const Option& option = *assignment.option;
    if (option.needs_one && assignment.values.empty()) {
      return Error{ErrorKind::kUsage,
                   assignment.where + ": needs at least one, such as " + std::string(option.example)};
    }
    if (option.clear != nullptr) option.clear(result.config);
    for (const GivenValue& value : assignment.values) {
      if (auto fit = check_text(value.text); !fit) {
        if (option.may_be_secret)
          fit = Error{ErrorKind::kUsage, "it is not UTF-8, or has a control character"};
        return at(value.where, fit.error());
      }
      if (auto put = option.put(result.config, value.text, environment); !put)
        return at(value.where, put.error());
    }
    result.sources[static_cast<std::size_t>(&option - options().data())] = assignment.source;
  }
  return {};
}

// The default sink is for who has no ledger.
// Errors: kUsage if records would go nowhere.
Result<void> settle_sinks(Invocation& result) {
  Config& config = result.config;
  const Option& sink = *find_setting("sink");
  const std::string& source = result.sources[static_cast<std::size_t>(&sink - options().data())];
  if (!config.ledger.empty() && source.empty()) config.sinks.clear();
  if (!config.sinks.empty() || !config.ledger.empty()) return {};
  return Error{ErrorKind::kUsage, source + ": sink: needs at least one, such as " +
                                      std::string(sink.example) + ", where there is no ledger"};
}

Result<Action> action_of(const CommandLine& line) {
  if (line.help) return Action::kHelp;
  if (line.version) return Action::kVersion;
  if (line.check && line.print_config) {
    return Error{ErrorKind::kUsage, "--check and --print-config cannot be asked for together"};
  }
  if (line.check) return Action::kCheck;
  return line.print_config ? Action::kPrintConfig : Action::kRun;
}

}  // namespace

Result<Invocation> parse_command_line(int argc, const char* const* argv, const Environment& environment) {
  const auto line = split_command_line(argc, argv);
  if (!line) return line.error();
  const auto action = action_of(*line);
  if (!action) return action.error();

  Invocation result;
  result.action = *action;
  result.sources.resize(options().size());
  if (*action == Action::kHelp || *action == Action::kVersion) return result;

  if (line->config_file) {
    const auto assignments = read_settings(*line->config_file);
    if (!assignments) return assignments.error();
    if (auto applied = apply(*assignments, environment, result); !applied) return applied.error();
  }
  if (auto applied = apply(line->settings, environment, result); !applied) return applied.error();

  if (auto settled = settle_sinks(result); !settled) return settled.error();
  if (result.config.instance.empty()) {
    if (environment.hostname.empty()) {
      return Error{ErrorKind::kUsage,
                   "--instance: this host has no name to take for it, so it must be given"};
    }
    result.config.instance = environment.hostname;
  }
  return result;
}

Result<Config> reload(int argc, const char* const* argv, const Environment& environment) {
  auto parsed = parse_command_line(argc, argv, environment);
  if (!parsed) return parsed.error();
  return std::move(parsed->config);
}

}  // namespace natsession
