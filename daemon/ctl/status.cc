// natsessionctl status: what the daemon says of itself.
#include <chrono>
#include <memory>
#include <thread>

#include "command.h"
#include "control/status_json.h"
#include "control_client.h"
#include "status_text.h"

namespace natsession::ctl {
namespace {

constexpr std::chrono::seconds kWatchInterval{2};

Result<std::string> status_shown(const Global& global) {
  auto body = ControlClient(global.control).get("/status");
  if (!body || global.json) return body;
  const auto status = read_status_json(*body);
  if (!status) return status.error();
  return status_text(*status, screen());
}

int run_status(const Global& global, bool watch) {
  if (!watch) {
    const auto text = status_shown(global);
    return text ? print(*text) : fail("status", text.error());
  }
  // Until a signal ends it, or the daemon is gone.
  for (;;) {
    const auto text = status_shown(global);
    if (!text) return fail("status", text.error());
    constexpr std::string_view kClear = "\x1b[H\x1b[2J";
    if (print(screen().colours ? std::string(kClear) + *text : *text + "\n") != kDone) return kFailed;
    std::this_thread::sleep_for(kWatchInterval);
  }
}

}  // namespace

void add_status(Commands& commands) {
  Command command = commands.add("status", "Show logging, collectors, sinks and the ledger");
  const auto watch = std::make_shared<bool>(false);
  command.flag("-w,--watch", *watch, "Show it again every 2 seconds");
  command.footer(
      "Examples:\n  natsessionctl status\n  natsessionctl status --watch\n"
      "  natsessionctl --json status | jq '.sinks[] | {name, state, waiting}'");
  command.run([watch](const Global& global) { return run_status(global, *watch); });
}

}  // namespace natsession::ctl
