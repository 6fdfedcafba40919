// The options of natsessiond, in one table. The command line, the configuration file, --print-config, --help,
// the manual page and the completion of shells are made from it, so they have the same names, ranges and
// defaults.
// Threads: any.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/option.h"
#include "base/result.h"
#include "config/config.h"

namespace natsession {

// A row.
struct Flag {
  std::string_view name;             // the flag without its dashes
  std::string_view group;            // the heading under which it stands
  std::string_view value_name;       // for --help; empty if the flag takes no value
  std::string_view help;             // what it does; range and default are added to it
  std::string_view more = {};        // whole sentences that --help leaves to the file and to the manual
  OptionValue<Config> value = {};    // nothing to put: not a setting, that is, not a key of the file either
  std::string_view example = {};     // a value in TOML, for messages; empty: the default is one
  std::string_view no_default = {};  // what holds where nothing is given, if the default's text does not say
  bool needs_one = false;            // kList only: no values at all is an error
  // A value that is wrong may hold a password: only put(), which knows what in it may be seen, shows it.
  bool may_be_secret = false;

  [[nodiscard]] bool is_setting() const { return static_cast<bool>(value.put); }
  [[nodiscard]] bool takes_value() const { return !value_name.empty(); }
  [[nodiscard]] bool is_list() const {
    return value.form == OptionForm::kList || value.form == OptionForm::kTables;
  }
  [[nodiscard]] std::string flag() const;  // "--time-format"
  [[nodiscard]] std::string key() const;   // "time_format"
  // The value of a setting as it stands in the file: "10m" in quotes, true, ["new", "destroy"].
  [[nodiscard]] std::string toml_value(const Config& config) const;
};

// In the order in which people are shown them.
[[nodiscard]] std::span<const Flag> flags();

// The setting of that key; nullptr if there is none.
[[nodiscard]] const Flag* find_setting(std::string_view key);

// The keys of the settings that differ, in the order of the table: what SIGHUP changed.
[[nodiscard]] std::vector<std::string> settings_that_differ(const Config& a, const Config& b);

// One setting as one place gives it, still as text. A file and the command line both become a list of these.
struct GivenValue {
  std::string text;
  std::string where;  // what a message begins with: "--window 5x", "/etc/n.toml:12:10: window"
};
struct Assignment {
  const Flag* flag = nullptr;
  std::string source;              // where it stands, for --print-config: "command line", "/etc/n.toml:12"
  std::string where;               // what a message about the setting as a whole begins with
  std::vector<GivenValue> values;  // one, unless the option is a list; a list replaces what was there before
};

}  // namespace natsession
