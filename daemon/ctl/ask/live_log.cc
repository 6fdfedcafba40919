#include "ask/live_log.h"

#include <filesystem>

#include "control/status_json.h"
#include "control_client.h"

namespace natsession::ctl {
namespace {

// The ledger that the daemon writes; empty without one.
Result<std::string> ledger_of_daemon(const ControlClient& daemon) {
  const auto body = daemon.get("/status");
  if (!body) return body.error();
  const auto status = read_status_json(*body);
  if (!status) return status.error();
  return status->ledger ? status->ledger->directory : std::string();
}

}  // namespace

LiveLog ask_live(const Global& global, QueryArguments arguments) {
  LiveLog live;
  const ControlClient daemon(global.control);
  // Without --ledger it is the daemon's own that is asked about.
  if (!global.ledger.empty()) {
    const auto directory = ledger_of_daemon(daemon);
    if (!directory) {
      live.why = directory.error().message;
      return live;
    }
    std::error_code ignored;
    if (!std::filesystem::equivalent(global.ledger, *directory, ignored)) {
      live.why = "the daemon that runs writes another ledger" + (directory->empty() ? "" : ", " + *directory);
      return live;
    }
  }
  arguments.emplace_back("limit", std::to_string(SessionFilter::kMaxLimit));
  const auto body = daemon.get("/sessions", arguments);
  if (!body) {
    live.why = body.error().message;
    return live;
  }
  auto answer = read_sessions_json(*body);
  if (!answer) {
    live.why = answer.error().message;
    return live;
  }
  live.told = true;
  live.more = answer->more;
  live.at = answer->now;
  live.records = std::move(answer->sessions);
  for (SessionRecord& record : live.records) {
    record.start_time = std::min(record.start_time, live.at);
    record.end_time = live.at;
    if (record.session_start) record.session_start = record.start_time;
  }
  return live;
}

}  // namespace natsession::ctl
