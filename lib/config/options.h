// The options of natsessiond, in one table. The command line, the configuration file, --print-config and
// --help are made from it, so they have the same names and the same defaults.
// Threads: any.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "config/environment.h"

namespace natsession {

// What values look like, in the file and on the command line.
enum class OptionKind {
  kCommand,  // no value, and not a setting: says what the program shall do
  kSwitch,   // true or false; the flag alone is true
  kText,     // one string
  kSize,     // one string, or a whole number of bytes
  kList,     // strings; the flag may be given several times
};

enum class OptionGroup { kOutput, kSessions, kKernel, kLedger, kProgram };

struct Option {
  std::string_view name;  // the flag without its dashes
  OptionGroup group;
  OptionKind kind;
  std::string_view value_name;    // for --help; empty if the flag takes no value
  std::string_view help;          // what it does; the default is added to it
  std::string_view example;       // a value in TOML, for messages about wrong types
  std::string_view default_told;  // how the default is told where its value says too little, else empty

  // The rest is null if the option is not a setting, that is, not a key of the file either.
  // Sets the value, or adds it to a list.
  // Errors: kUsage, naming the value and what would do; then `config` is unchanged.
  Result<void> (*put)(Config& config, std::string_view value, const Environment& environment) = nullptr;
  void (*clear)(Config& config) = nullptr;  // kList only: to no values
  bool needs_one = false;                   // kList only: no values at all is an error
  // A value that is wrong may hold a password: only put(), which knows what in it may be seen, shows it.
  bool may_be_secret = false;
  std::vector<std::string> (*values)(const Config& config) = nullptr;  // as put() takes them

  [[nodiscard]] bool is_setting() const { return put != nullptr; }
  [[nodiscard]] bool takes_value() const { return !value_name.empty(); }
  [[nodiscard]] std::string flag() const;  // "--time-format"
  [[nodiscard]] std::string key() const;   // "time_format"
};

// In the order in which people are shown them.
[[nodiscard]] std::span<const Option> options();

// The setting of that key; nullptr if there is none.
[[nodiscard]] const Option* find_setting(std::string_view key);

// The value of a setting as it stands in the file: "10m" in quotes, true, ["new", "destroy"].
[[nodiscard]] std::string toml_value(const Option& option, const Config& config);

}  // namespace natsession
