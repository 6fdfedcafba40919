// Routes: what the control socket answers to a request. No sockets here.
// Threads: any; each call is on its own.
#pragma once

#include <string>
#include <string_view>

#include "control/control_handler.h"
#include "http/http_message.h"

namespace natsession {

struct ControlRequest {
  std::string_view method;
  std::string_view path;  // unescaped, without the query
  QueryArguments query;
  bool may_change = false;  // who asks may enable and disable
};

// On the control socket: everything.
[[nodiscard]] HttpAnswer answer_control(const ControlRequest& request, ControlHandler& handler);
// Where only metrics are served: GET /metrics.
[[nodiscard]] HttpAnswer answer_metrics_only(const ControlRequest& request, ControlHandler& handler);

}  // namespace natsession
