// The command line, taken apart: which flags it has, with which values. What the values mean is not looked at
// here.
// Threads: any.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/assignment.h"

namespace natsession {

struct CommandLine {
  std::vector<Assignment> settings;
  std::optional<std::string> config_file;
  bool check = false;
  bool print_config = false;
  bool version = false;
  bool help = false;
};

// Errors: kUsage for a flag that is unknown (with the nearest one), that lacks a value, or that is given
// twice and is
//         no list; and for arguments that are no flags.
[[nodiscard]] Result<CommandLine> split_command_line(int argc, const char* const* argv);

}  // namespace natsession
