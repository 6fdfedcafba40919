// ControlHandler: what the daemon answers and does when it is asked over the control socket. The server
// declares it, the daemon implements it.
// Threads: called from the server's threads, several at a time. Each call returns within a second or so: the
// server has few threads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/session_filter.h"
#include "control/status.h"
#include "flow/flow_log_change.h"

namespace natsession {

class ControlHandler {
 public:
  virtual ~ControlHandler() = default;

  [[nodiscard]] virtual Status status() = 0;

  // Turns a sink on or off, or, without a name, all logging. What is so already is no error.
  // Errors: kUsage if no sink has this name, naming those that there are; others if it cannot be done now.
  virtual Result<void> enable(const std::optional<std::string>& sink) = 0;
  virtual Result<void> disable(const std::optional<std::string>& sink) = 0;

  // Live sessions that match, at most filter.limit of them.
  // Errors: kUsage if a namespace is asked for that is not watched; kUnavailable if the table cannot be read
  // now.
  [[nodiscard]] virtual Result<SessionsAnswer> sessions(const SessionFilter& filter) = 0;

  // The flow logs that the configuration's files have.
  // Errors: kUsage if there is no configuration file, or something in it is wrong; kPermission, kIo.
  [[nodiscard]] virtual Result<FlowLogsAnswer> flow_logs() = 0;
  // Writes or removes the file of one, which the next start reads.
  // Errors: likewise; kUsage if what is asked for makes no sense, or if no start would take it; kPermission where
  // this program may not write there.
  [[nodiscard]] virtual Result<FlowLogChanged> change_flow_log(const FlowLogChange& change) = 0;

  // Ports in use by public address and protocol, in any order. Asked by every scrape of the metrics.
  // Errors: kUnavailable if it cannot be told now; the metrics then do without.
  [[nodiscard]] virtual Result<std::vector<PortUse>> port_use() = 0;
};

}  // namespace natsession
