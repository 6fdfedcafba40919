// Routes: what the control socket answers to a request. No sockets here.
// Threads: any; each call is on its own.
#pragma once

#include <string>
#include <string_view>

#include "control/control_handler.h"
#include "control/session_filter.h"

namespace natsession {

struct ControlRequest {
  std::string_view method;
  std::string_view path;  // unescaped, without the query
  QueryArguments query;
  bool may_change = false;  // who asks may enable and disable
};

struct HttpAnswer {
  unsigned status = 200;
  std::string_view content_type = "application/json";
  std::string body;
  std::string_view allow;  // with 405: the method that would do
};

// On the control socket: everything.
[[nodiscard]] HttpAnswer answer_control(const ControlRequest& request, ControlHandler& handler);
// Where only metrics are served: GET /metrics.
[[nodiscard]] HttpAnswer answer_metrics_only(const ControlRequest& request, ControlHandler& handler);

}  // namespace natsession
