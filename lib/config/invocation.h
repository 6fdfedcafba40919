// What one start of natsessiond was asked for: the action, and the effective configuration from the defaults,
// the file that --config names with its conf.d, and the command line. Later wins; a list replaces the earlier
// list.
// Threads: any.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "config/environment.h"

namespace natsession {

enum class Action { kRun, kCheck, kPrintConfig, kVersion, kHelp };

struct Invocation {
  Action action = Action::kRun;
  Config config;  // the defaults only, for kVersion and kHelp
  std::vector<std::string>
      sources;  // for each of options(), where its value comes from; empty: it is the default
};

// Errors: kUsage, or kPermission when a file may not be read. The message says option, value, where it stands
// and
//         what would do.
[[nodiscard]] Result<Invocation> parse_command_line(int argc, const char* const* argv,
                                                    const Environment& environment);

// SIGHUP: the same again, with what the files say now. The configuration in force is not touched by an error.
[[nodiscard]] Result<Config> reload(int argc, const char* const* argv, const Environment& environment);

}  // namespace natsession
