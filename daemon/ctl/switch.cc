// natsessionctl enable, disable: a sink, or all logging.
#include <memory>

#include "command.h"
#include "control/status_json.h"
#include "control_client.h"
#include "words.h"

namespace natsession::ctl {
namespace {

int run_switch(const Global& global, bool on, const std::string& sink) {
  const std::string command = on ? "enable" : "disable";
  QueryArguments query;
  if (!sink.empty()) query.emplace_back("sink", sink);
  const auto body = ControlClient(global.control).post("/" + command, query);
  if (!body) return fail(command, body.error());
  if (global.json) return print(*body);
  return print((sink.empty() ? "logging" : "sink " + printable(sink)) + " is " + command + "d\n");
}

void add(Commands& commands, bool on, const char* what, const char* examples) {
  Command command = commands.add(on ? "enable" : "disable", what);
  const auto sink = std::make_shared<std::string>();
  command.argument("sink", *sink, "SINK", "Name of a sink, as status shows it; without it, all logging",
                   false);
  command.footer(examples);
  command.run([on, sink](const Global& global) { return run_switch(global, on, *sink); });
}

}  // namespace

void add_enable(Commands& commands) {
  add(commands, true, "Turn a sink on, or all logging",
      "Examples:\n  natsessionctl enable\n  natsessionctl enable file:/var/log/nat.json");
}

void add_disable(Commands& commands) {
  add(commands, false, "Turn a sink off, or all logging; nothing that was logged is deleted",
      "Examples:\n  natsessionctl disable\n  natsessionctl disable syslog+tcp://log.example.net:601");
}

}  // namespace natsession::ctl
