#include "command_line.h"

#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/help_text.h"

namespace natsession::ctl {
namespace {

class HelpFormat final : public CLI::Formatter {
 public:
  HelpFormat() { column_width(kHelpColumn); }
  std::string make_option(const CLI::Option* option, bool positional) const override {
    return help_row(2, make_option_name(option, positional) + make_option_opts(option),
                    make_option_desc(option));
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return help_row(2, command->get_name(), command->get_description());
  }
  std::string make_description(const CLI::App* app) const override {
    return lines(app->get_description()) + "\n";
  }

  // Examples are indented, and stay as they are.
  std::string make_footer(const CLI::App* app) const override {
    std::string out;
    const std::string text = app->get_footer();
    if (text.empty()) return out;
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      const std::string line(text.substr(at, end - at));
      out += line.empty() || line[0] == ' ' ? line + "\n" : lines(line);
      at = end + 1;
    }
    return "\n" + out;
  }

 private:
  static std::string lines(const std::string& text) {
    std::string out;
    for (const std::string& line : wrapped(text, kHelpWidth)) out += line + "\n";
    return out;
  }
};

}  // namespace

void set_help_format(CLI::App& app) {
  app.formatter(std::make_shared<HelpFormat>());
}

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
  app_.add_option(names, number, fmt::format("{} ({} to {})", help, least, most))
      ->type_name(value)
      ->check(CLI::Range(least, most).description(""));
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
