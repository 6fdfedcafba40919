#include "config/command_line.h"

#include <algorithm>
#include <string_view>

#include <CLI/CLI.hpp>

#include "config/text.h"

namespace natsession {
namespace {

constexpr std::string_view kTryHelp = "'natsessiond --help' lists the options";

Error usage(std::string message) {
  return Error{ErrorKind::kUsage, std::move(message)};
}

// CLI11 takes the next argument as the value of "--instance="; here that is the empty value.
std::vector<std::string> arguments(int argc, const char* const* argv) {
  std::vector<std::string> result;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const std::size_t equals = argument.find('=');
    if (argument.starts_with("--") && equals == argument.size() - 1) {
      result.emplace_back(argument.substr(0, equals));
      result.emplace_back();
    } else {
      result.emplace_back(argument);
    }
  }
  return result;
}

// What stands where it does not belong may be a URL with a password in it.
std::string shown(const std::string& argument) {
  if (argument.find('@') == std::string::npos) return in_quotes(argument);
  return in_quotes(argument.substr(0, argument.find_first_of(":@")) + "***");
}

std::string unknown(const std::string& argument) {
  if (!argument.starts_with('-') || argument == "-") {
    return "unexpected argument " + shown(argument) + ": all options begin with --; " + std::string(kTryHelp);
  }
  const std::string flag = argument.substr(0, argument.find('='));
  std::vector<std::string> flags;
  for (const Option& option : options()) flags.push_back(option.flag());
  const std::string_view meant = nearest(flag, flags);
  return "unknown option " + shown(flag) +
         (meant.empty() ? "; " + std::string(kTryHelp) : ": did you mean " + std::string(meant) + "?");
}

Result<void> take(const Option& option, const std::vector<std::string>& texts, CommandLine& line) {
  const std::string flag = option.flag();
  if (texts.size() > 1 && option.kind != OptionKind::kList) {
    return usage(flag + " is given " + std::to_string(texts.size()) + " times: once is enough");
  }
  if (option.is_setting()) {
    Assignment assignment{&option, "command line", flag, {}};
    for (const std::string& text : texts) {
      const std::string whole =
          option.takes_value() ? flag + " " + (text.empty() ? "''" : text) : flag + "=" + text;
      const bool showable = !option.may_be_secret && check_text(text);
      assignment.values.push_back({text, showable ? whole : flag});
    }
    line.settings.push_back(std::move(assignment));
    return {};
  }
  if (option.name == "config") {
    if (texts.front().empty()) return usage("--config '': it needs the name of a file");
    if (auto fit = check_text(texts.front()); !fit) return usage(flag + ": " + fit.error().message);
    line.config_file = texts.front();
    return {};
  }
  if (texts.front() != "true") return usage(flag + " takes no value");
  if (option.name == "check") line.check = true;
  if (option.name == "print-config") line.print_config = true;
  if (option.name == "version") line.version = true;
  if (option.name == "help") line.help = true;
  return {};
}

}  // namespace

Result<CommandLine> split_command_line(int argc, const char* const* argv) {
  std::vector<std::string> words = arguments(argc, argv);
  const std::string last = words.empty() ? std::string() : words.back();

  CLI::App parser;
  std::vector<std::pair<const Option*, CLI::Option*>> known;
  try {
    parser.set_help_flag();  // ours is an option like any other
    parser.allow_extras();
    for (const Option& option : options()) {
      CLI::Option* const flag = option.takes_value() ? parser.add_option(option.flag())->expected(1)
                                                     : parser.add_flag(option.flag());
      flag->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      known.emplace_back(&option, flag);
    }
    std::reverse(words.begin(), words.end());
    parser.parse(std::move(words));
  } catch (const CLI::ArgumentMismatch&) {
    // The arguments ended where a value was needed: nothing else is a mismatch with these rules.
    return usage(last + " needs a value; " + std::string(kTryHelp));
  } catch (const CLI::Error& error) {
    return usage(std::string("the command line cannot be read: ") + error.what());
  }

  CommandLine line;
  for (const std::string& rest : parser.remaining()) {
    if (rest != "--") return usage(unknown(rest));
  }
  for (const auto& [option, flag] : known) {
    if (flag->count() == 0) continue;
    if (auto taken = take(*option, flag->results(), line); !taken) return taken.error();
  }
  return line;
}

}  // namespace natsession
