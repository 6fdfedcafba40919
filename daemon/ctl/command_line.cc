#include "command_line.h"

#include <utility>

#include <CLI/CLI.hpp>

namespace natsession::ctl {

Command& Command::flag(const std::string& names, bool& set, const std::string& help) {
  app_.add_flag(names, set, help);
  return *this;
}

Command& Command::option(const std::string& names, std::string& text, const std::string& value,
                         const std::string& help) {
  app_.add_option(names, text, help)->type_name(value);
  return *this;
}

Command& Command::option(const std::string& names, std::vector<std::string>& texts, const std::string& value,
                         const std::string& help) {
  app_.add_option(names, texts, help)->type_name(value)->allow_extra_args(false);
  return *this;
}

Command& Command::option(const std::string& names, std::size_t& number, const std::string& value,
                         const std::string& help) {
  app_.add_option(names, number, help)->type_name(value);
  return *this;
}

Command& Command::option(const std::string& names, std::size_t& number, std::size_t least, std::size_t most,
                         const std::string& value, const std::string& help) {
  app_.add_option(names, number, help)->type_name(value)->check(CLI::Range(least, most));
  return *this;
}

Command& Command::argument(const std::string& name, std::string& text, const std::string& value,
                           const std::string& help, bool required) {
  app_.add_option(name, text, help)->type_name(value)->required(required);
  return *this;
}

Command& Command::arguments(const std::string& name, std::vector<std::string>& texts,
                            const std::string& value, const std::string& help) {
  app_.add_option(name, texts, help)->type_name(value);
  return *this;
}

Command& Command::footer(const std::string& text) {
  app_.footer(text);
  return *this;
}

Command& Command::run(Run run) {
  app_.callback([&chosen = chosen_, run = std::move(run)] { chosen = run; });
  return *this;
}

Command Commands::add(const std::string& name, const std::string& what) {
  return {*app_.add_subcommand(name, what), chosen_};
}

}  // namespace natsession::ctl
