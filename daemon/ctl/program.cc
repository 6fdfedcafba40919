#include "program.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/text.h"
#include "query/time_zone.h"

namespace natsession::ctl {
namespace {

// What goes with --store.
constexpr std::string_view kAskStores[] = {"trace", "top", "timeline", "ports", "gaps", "sql", "export"};

std::string command_names(CLI::App& app) {
  std::string names;
  for (const CLI::App* const command : app.get_subcommands({}))
    names += (names.empty() ? "" : ", ") + command->get_name();
  return names;
}

// For the completion of shells: a line for each command, and one with - for all of them, of flags. Behind one
// that takes a value stands a =.
std::string list_of_options(CLI::App& app) {
  std::string text;
  const auto add = [&](const std::string& name, CLI::App& command) {
    text += name;
    for (const CLI::Option* const option : command.get_options()) {
      const std::string end = option->get_items_expected_max() > 0 ? "=" : "";
      for (const std::string& word : option->get_lnames()) text += " --" + word + end;
      for (const std::string& letter : option->get_snames()) text += " -" + letter + end;
    }
    text += '\n';
  };
  add("-", app);
  for (CLI::App* const command : app.get_subcommands({})) add(command->get_name(), *command);
  return text;
}

nlohmann::ordered_json described(const CLI::App& command) {
  using Json = nlohmann::ordered_json;
  Json options = Json::array();
  Json arguments = Json::array();
  for (const CLI::Option* const option : command.get_options()) {
    Json names = Json::array();
    for (const std::string& letter : option->get_snames()) names.push_back("-" + letter);
    for (const std::string& word : option->get_lnames()) names.push_back("--" + word);
    const bool takes_value = option->get_items_expected_max() > 0;
    Json entry{{"value", takes_value ? option->get_type_name() : ""}, {"help", option->get_description()}};
    if (names.empty()) {
      entry["required"] = option->get_required();
      arguments.push_back(std::move(entry));
    } else {
      entry["names"] = std::move(names);
      options.push_back(std::move(entry));
    }
  }
  return {{"name", command.get_name()},
          {"what", command.get_description()},
          {"arguments", std::move(arguments)},
          {"options", std::move(options)},
          {"footer", command.get_footer()}};
}

// All that --help says, for programs that make manuals and completions of it.
std::string list_of_commands(CLI::App& app) {
  nlohmann::ordered_json all = described(app);
  all["commands"] = nlohmann::ordered_json::array();
  for (const CLI::App* const command : app.get_subcommands({}))
    all["commands"].push_back(described(*command));
  return all.dump(1) + "\n";
}

std::string meant_text(const std::string& word, CLI::App& app) {
  std::vector<std::string> known;
  for (const CLI::App* const command : app.get_subcommands({})) known.push_back(command->get_name());
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  const std::string_view meant = nearest(word, known);
  return meant.empty() ? "" : fmt::format(": did you mean {}?", meant);
}

int usage_error(const std::string& what) {
  fmt::print(stderr, "natsessionctl: {}; natsessionctl --help tells more\n", what);
  return kUsage;
}

// What no command took.
int refuse(CLI::App& app, const std::string& word) {
  CLI::App& named = app.get_subcommands().empty() ? app : *app.get_subcommands().front();
  if (word.starts_with('-')) {
    const std::string name = word.substr(0, word.find('='));
    // It is known, and stood where only those of all commands are.
    if (&named != &app && named.get_option_no_throw(name) != nullptr) {
      return usage_error(fmt::format("'{}' stands behind the command that it is of: natsessionctl {} {}",
                                     name, named.get_name(), name));
    }
    return usage_error(fmt::format("unknown option '{}'{}", word, meant_text(name, named)));
  }
  if (app.get_subcommands().empty()) {
    const std::string meant = meant_text(word, app);
    return usage_error(fmt::format("unknown command '{}'{}", word,
                                   meant.empty() ? "; there are " + command_names(app) : meant));
  }
  return usage_error(fmt::format("{} does not take '{}'", app.get_subcommands().front()->get_name(), word));
}

// What is neither an option nor the value of one that stands before the command.
std::vector<std::string> words_of(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const CLI::Option* const option = word.starts_with('-') ? app.get_option_no_throw(word) : nullptr;
    if (option != nullptr && option->get_items_expected_max() > 0) {
      ++i;
    } else if (!word.starts_with('-')) {
      words.push_back(word);
    }
  }
  return words;
}

}  // namespace

int run_program(int argc, char** argv, std::span<AddCommand* const> known) {
  CLI::App app("Asks and steers natsessiond.", "natsessionctl");
  set_help_format(app);
  app.footer(
      "Examples:\n  natsessionctl status\n  natsessionctl tail -f\n  natsessionctl sessions --pri 10.0.0.5\n"
      "  natsessionctl trace 203.0.113.7:40123 yesterday 14:57\n"
      "  natsessionctl top --since -1h\n"
      "  natsessionctl check --netns nat-box\n\n"
      "Exit status: 0 all is well; 1 it could not be done, or the ledger is damaged; 2 usage; 3 the daemon, "
      "the ledger, "
      "the kernel or a permission is missing, or something could be better (check).");
  app.set_version_flag("--version", "natsessionctl " NATSESSION_VERSION);
  app.require_subcommand(0, 1);
  app.allow_extras();
  Global global;
  for (int i = 1; i < argc; ++i) global.words += (i > 1 ? " " : "") + std::string(argv[i]);
  app.add_option("--control", global.control, "The daemon's control socket; default " + global.control)
      ->type_name("PATH");
  app.add_option("--ledger", global.ledger, "The ledger to read; default: the daemon's")->type_name("DIR");
  app.add_option("--store", global.store,
                 "Ask the records of all boxes in ClickHouse instead of a ledger: "
                 "clickhouse://HOST/DATABASE/TABLE, or "
                 "clickhouse+https://; for trace, top, timeline, ports, gaps, sql and export")
      ->type_name("URL");
  app.add_flag("--json", global.json, "Answer in JSON");
  app.add_flag("--progress", global.progress,
               "Tell how far a long question is in lines of JSON on standard error, for programs");
  bool listing = false;
  app.add_flag("--list-options", listing, "List all commands and flags, for a shell's completion");
  bool describing = false;
  app.add_flag("--list-commands", describing,
               "Tell what all --help say in JSON, for manuals and completions");

  Commands commands(app);
  for (AddCommand* const add : known) add(commands);
  for (CLI::App* const command : app.get_subcommands({})) command->fallthrough();
  // "help", "help trace": what --help says.
  const auto words = words_of(app, argc, argv);
  const bool help = !words.empty() && words.front() == "help";
  if (help && words.size() == 1) return print(app.help());
  if (help) {
    const auto commands_known = app.get_subcommands({});
    if (std::none_of(commands_known.begin(), commands_known.end(),
                     [&](const CLI::App* one) { return one->get_name() == words[1]; }))
      return refuse(app, words[1]);
  }
  try {
    if (help) {
      app.parse(words[1] + " --help", false);
    } else {
      app.parse(argc, argv);
    }
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return usage_error(error.what());
  }
  if (listing) return print(list_of_options(app));
  if (describing) return print(list_of_commands(app));
  if (!app.remaining().empty()) return refuse(app, app.remaining().front());
  if (!commands.chosen()) {
    if (argc == 1) fmt::print(stderr, "{}\n", app.help());
    return usage_error("a command is missing; there are " + command_names(app));
  }
  if (!global.store.empty()) {
    const std::string name = app.get_subcommands().front()->get_name();
    if (std::none_of(std::begin(kAskStores), std::end(kAskStores),
                     [&](std::string_view one) { return one == name; }))
      return usage_error(fmt::format("{} does not ask a store: without --store it asks this machine", name));
    if (!global.ledger.empty()) return usage_error("--store and --ledger are two logs: one of them");
  }
  if (const std::string trouble = trouble_with_local_zone(); !trouble.empty())
    fmt::print(stderr, "natsessionctl: warning: {}\n", trouble);
  return commands.chosen()(global);
}

}  // namespace natsession::ctl
