// What one start of natsessiond was asked for: the action, and the effective configuration from the defaults,
// the file that --config names with its conf.d, and the command line. Later wins; a list replaces the earlier
// list.
// Threads: one at a time: getopt_long() keeps its place in a static variable.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "config/options.h"

namespace natsession {

enum class Action { kRun, kCheck, kGuardOnly, kPrintConfig, kDefaultConfig, kListOptions, kVersion, kHelp };

struct Invocation {
  Action action = Action::kRun;
  Config config;                     // the defaults only, where the action needs none
  std::string file;                  // that --config names; empty: none
  std::vector<std::string> sources;  // for each of flags(), where its value comes from; empty: the default
};

// `hostname` is the default of --instance; empty: there is none.
// Errors: kUsage, or kPermission when a file may not be read. The message says option, value, where it stands
// and what would do: for a flag that is unknown the nearest one.
[[nodiscard]] Result<Invocation> parse_command_line(int argc, const char* const* argv,
                                                    const std::string& hostname);

// SIGHUP: the same again, with what the files say now. The configuration in force is not touched by an error.
[[nodiscard]] Result<Config> reload(int argc, const char* const* argv, const std::string& hostname);

// What files that have these settings say, for who is about to write one: what stands on the daemon's command
// line is not there, so no sink stands for those that are not given, and only what flow logs need of the rest
// is looked at.
// Errors: kUsage, as parse_command_line().
[[nodiscard]] Result<Config> try_settings(const std::vector<Assignment>& settings);

}  // namespace natsession
