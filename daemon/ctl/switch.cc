// natsessionctl enable, disable: a sink, or all logging.
#include <memory>

#include <CLI/CLI.hpp>

#include "command.h"
#include "control/status_json.h"
#include "control_client.h"
#include "words.h"

namespace natsession::ctl {
namespace {

int run(const Global& global, bool on, const std::string& sink) {
  const std::string command = on ? "enable" : "disable";
  QueryArguments query;
  if (!sink.empty()) query.emplace_back("sink", sink);
  const auto body = ControlClient(global.control).post("/" + command, query);
  if (!body) return fail(command, body.error());
  if (global.json) return print(*body);
  return print((sink.empty() ? "logging" : "sink " + printable(sink)) + " is " + command + "d\n");
}

void add(CLI::App& app, const Global& global, Action& action, bool on, const char* what,
         const char* examples) {
  CLI::App* const command = app.add_subcommand(on ? "enable" : "disable", what);
  const auto sink = std::make_shared<std::string>();
  command->add_option("sink", *sink, "Name of a sink, as status shows it; without it, all logging")
      ->type_name("SINK");
  command->footer(examples);
  command->callback(
      [&global, &action, on, sink] { action = [&global, on, sink] { return run(global, on, *sink); }; });
}

}  // namespace

void add_enable(CLI::App& app, const Global& global, Action& action) {
  add(app, global, action, true, "Turn a sink on, or all logging",
      "Examples:\n  natsessionctl enable\n  natsessionctl enable file:/var/log/nat.json");
}

void add_disable(CLI::App& app, const Global& global, Action& action) {
  add(app, global, action, false, "Turn a sink off, or all logging; nothing that was logged is deleted",
      "Examples:\n  natsessionctl disable\n  natsessionctl disable syslog+tcp://log.example.net:601");
}

}  // namespace natsession::ctl
