// A daemon that answers what a test tells it to.
#pragma once

#include <functional>

#include "base/guarded.h"
#include "control/control_handler.h"

namespace natsession::testing {

class FakeHandler final : public ControlHandler {
 public:
  // What it was asked to do, in order: "enable", "disable file:/x", …
  Guarded<std::vector<std::string>> changes;
  Guarded<std::vector<SessionFilter>> filters;

  // Set before the server starts.
  Status told;
  SessionsAnswer live;
  std::vector<PortUse> ports;
  std::vector<std::string> sinks;         // that there are
  std::function<void()> while_answering;  // called by status()
  std::optional<Error> ports_error;
  FlowLogsAnswer flow_log_answer;
  Guarded<std::vector<FlowLogChange>> flow_log_changes;

  Status status() override {
    if (while_answering) while_answering();
    return told;
  }
  Result<void> enable(const std::optional<std::string>& sink) override { return change("enable", sink); }
  Result<void> disable(const std::optional<std::string>& sink) override { return change("disable", sink); }
  Result<SessionsAnswer> sessions(const SessionFilter& filter) override {
    filters.with([&](std::vector<SessionFilter>& list) { list.push_back(filter); });
    SessionsAnswer answer{.sessions = {}, .more = live.more, .now = live.now};
    for (const SessionRecord& session : live.sessions) {
      if (filter.matches(session) && answer.sessions.size() < filter.limit)
        answer.sessions.push_back(session);
    }
    return answer;
  }
  Result<FlowLogsAnswer> flow_logs() override { return flow_log_answer; }
  Result<FlowLogChanged> change_flow_log(const FlowLogChange& asked) override {
    flow_log_changes.with([&](std::vector<FlowLogChange>& list) { list.push_back(asked); });
    if (asked.name == "nowhere") return Error{ErrorKind::kUsage, "there is no flow log 'nowhere'"};
    return FlowLogChanged{asked.name, asked.action + "d", "/etc/flow-" + asked.name + ".toml", true};
  }
  Result<std::vector<PortUse>> port_use() override {
    if (ports_error) return *ports_error;
    return ports;
  }

 private:
  Result<void> change(const std::string& verb, const std::optional<std::string>& sink) {
    if (sink && std::find(sinks.begin(), sinks.end(), *sink) == sinks.end()) {
      return Error{ErrorKind::kUsage, "no sink is called '" + *sink + "'"};
    }
    changes.with([&](std::vector<std::string>& list) { list.push_back(sink ? verb + " " + *sink : verb); });
    return {};
  }
};

}  // namespace natsession::testing
