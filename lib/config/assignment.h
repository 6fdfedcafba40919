// Assignment: one setting as one place gives it, still as text. A file and the command line both become a
// list of these.
// Threads: plain value types.
#pragma once

#include <string>
#include <vector>

#include "config/options.h"

namespace natsession {

struct GivenValue {
  std::string text;
  std::string
      where;  // what a message about this value begins with: "--window 5x", "/etc/n.toml:12:10: window"
};

struct Assignment {
  const Option* option = nullptr;
  std::string source;              // where it stands, for --print-config: "command line", "/etc/n.toml:12"
  std::string where;               // what a message about the setting as a whole begins with
  std::vector<GivenValue> values;  // one, unless the option is a list; a list replaces what was there before
};

}  // namespace natsession
