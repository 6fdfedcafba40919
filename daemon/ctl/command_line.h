// What the commands of natsessionctl say of their command lines. CLI11 reads them: its headers take several
// seconds to compile, hence only natsessionctl.cc and command_line.cc know them.
// Threads: one.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace natsession::ctl {

// What every command may be given, before or behind its name.
struct Global {
  std::string control = "/run/natsessiond/control.sock";
  std::string ledger;      // empty: the daemon's own
  std::string store = {};  // instead of a ledger: where many boxes' records are; empty: none
  bool json = false;
  bool progress = false;   // how far a question is: lines of JSON on stderr
  std::string words = {};  // the command line, as it was given
};

// Runs a command and returns natsessionctl's exit status.
using Run = std::function<int(const Global& global)>;

// How --help looks: at most 80 columns wide, options on the left, what they do on the right.
void set_help_format(CLI::App& app);

// One command. Names are as CLI11 has them, "-n,--count"; `value` is what --help calls the value. What an
// option is read into must live as long as the function given to run().
class Command {
 public:
  Command(CLI::App& app, Run& chosen) : app_(app), chosen_(chosen) {}

  Command& flag(const std::string& names, bool& set, const std::string& help);
  Command& option(const std::string& names, std::string& text, const std::string& value,
                  const std::string& help);
  // May be given several times, with one value each time.
  Command& option(const std::string& names, std::vector<std::string>& texts, const std::string& value,
                  const std::string& help);
  Command& option(const std::string& names, std::size_t& number, const std::string& value,
                  const std::string& help);
  Command& option(const std::string& names, std::size_t& number, std::size_t least, std::size_t most,
                  const std::string& value, const std::string& help);
  // What is given without a name.
  Command& argument(const std::string& name, std::string& text, const std::string& value,
                    const std::string& help, bool required);
  // All that is given without a name.
  Command& arguments(const std::string& name, std::vector<std::string>& texts, const std::string& value,
                     const std::string& help);
  // Stands at the end of the command's --help: examples, and what else there is to say.
  Command& footer(const std::string& text);
  Command& run(Run run);

 private:
  CLI::App& app_;
  Run& chosen_;
};

// The commands of one command line; chosen() is the one that it named, or empty.
class Commands {
 public:
  explicit Commands(CLI::App& app) : app_(app) {}

  [[nodiscard]] Command add(const std::string& name, const std::string& what);
  [[nodiscard]] const Run& chosen() const { return chosen_; }

 private:
  CLI::App& app_;
  Run chosen_;
};

}  // namespace natsession::ctl
