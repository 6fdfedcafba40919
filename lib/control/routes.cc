#include "control/routes.h"

#include "control/metrics.h"
#include "control/status_json.h"

namespace natsession {
namespace {

HttpAnswer json_answer(std::string body) {
  return {.body = std::move(body) + "\n"};
}

HttpAnswer refusal(unsigned status, std::string_view message) {
  return {.status = status, .body = error_json(message) + "\n"};
}

HttpAnswer refusal(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kUsage:
      return refusal(400, error.message);
    case ErrorKind::kPermission:
      return refusal(403, error.message);
    case ErrorKind::kUnavailable:
      return refusal(503, error.message);
    case ErrorKind::kIo:
    case ErrorKind::kMalformed:
      break;
  }
  return refusal(500, error.message);
}

Result<void> refuse_arguments(const ControlRequest& request) {
  if (request.query.empty()) return {};
  return Error{ErrorKind::kUsage,
               "unknown argument '" + request.query.front().first + "'; there are none here"};
}

HttpAnswer answer_status(const ControlRequest& request, ControlHandler& handler) {
  if (auto fit = refuse_arguments(request); !fit) return refusal(fit.error());
  return json_answer(status_json(handler.status()));
}

HttpAnswer answer_sessions(const ControlRequest& request, ControlHandler& handler) {
  const auto filter = parse_session_filter(request.query);
  if (!filter) return refusal(filter.error());
  const auto answer = handler.sessions(*filter);
  return answer ? json_answer(sessions_json(*answer)) : refusal(answer.error());
}

HttpAnswer answer_ports(const ControlRequest& request, ControlHandler& handler) {
  if (auto fit = refuse_arguments(request); !fit) return refusal(fit.error());
  auto ports = handler.port_use();
  return ports ? json_answer(ports_json({std::move(*ports)})) : refusal(ports.error());
}

// Arguments are passed over: a scraper may be told to send some.
HttpAnswer answer_metrics(const ControlRequest& /*request*/, ControlHandler& handler) {
  const auto ports = handler.port_use();
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body = metrics_text(handler.status(), ports ? *ports : std::vector<PortUse>())};
}

HttpAnswer answer_flow_logs(const ControlRequest& request, ControlHandler& handler) {
  if (auto fit = refuse_arguments(request); !fit) return refusal(fit.error());
  const auto logs = handler.flow_logs();
  return logs ? json_answer(flow_logs_json(*logs)) : refusal(logs.error());
}

std::optional<HttpAnswer> refuse_change(const ControlRequest& request) {
  if (request.may_change) return std::nullopt;
  return refusal(403, "changes are for root, the daemon's own user and members of its --steer-group");
}

HttpAnswer answer_change_flow_log(const ControlRequest& request, ControlHandler& handler) {
  if (auto refused = refuse_change(request)) return std::move(*refused);
  FlowLogChange change;
  for (const auto& [name, value] : request.query) {
    std::string* const once = name == "action" ? &change.action
                              : name == "name" ? &change.name
                              : name == "log"  ? &change.log
                                               : nullptr;
    if (once != nullptr) {
      if (!once->empty()) return refusal(400, "argument '" + name + "' is given twice");
      *once = value;
    } else if (name == "word") {
      change.words.push_back(value);
    } else if (name == "remove") {
      change.removed.push_back(value);
    } else {
      return refusal(400, "unknown argument '" + name + "'; there are: action, name, log, word, remove");
    }
  }
  const auto changed = handler.change_flow_log(change);
  return changed ? json_answer(flow_log_changed_json(*changed)) : refusal(changed.error());
}

HttpAnswer change(const ControlRequest& request, ControlHandler& handler,
                  Result<void> (ControlHandler::*make)(const std::optional<std::string>&)) {
  if (auto refused = refuse_change(request)) return std::move(*refused);
  std::optional<std::string> sink;
  for (const auto& [name, value] : request.query) {
    if (name != "sink") return refusal(400, "unknown argument '" + name + "'; there is: sink");
    if (sink) return refusal(400, "argument 'sink' is given twice");
    if (value.empty()) return refusal(400, "argument 'sink' is empty; without it all logging is meant");
    sink = value;
  }
  if (auto made = (handler.*make)(sink); !made) return refusal(made.error());
  return json_answer(status_json(handler.status()));
}

HttpAnswer answer_enable(const ControlRequest& request, ControlHandler& handler) {
  return change(request, handler, &ControlHandler::enable);
}

HttpAnswer answer_disable(const ControlRequest& request, ControlHandler& handler) {
  return change(request, handler, &ControlHandler::disable);
}

HttpAnswer answer_list(const ControlRequest& request, ControlHandler& handler);

struct Route {
  std::string_view method;
  std::string_view path;
  HttpAnswer (*answer)(const ControlRequest& request, ControlHandler& handler);
  std::string_view what;
};

constexpr Route kRoutes[] = {
    {"GET", "/", answer_list, "this list"},
    {"GET", "/status", answer_status, "logging, collectors, sinks and the ledger, as JSON"},
    {"GET", "/sessions", answer_sessions,
     "live sessions, as JSON; arguments: netns, protocol, pri_ip, nat_ip, pub_ip (address or prefix), "
     "pri_port, nat_port, pub_port, "
     "limit, recorded"},
    {"GET", "/ports", answer_ports, "how many SNAT ports are in use, by address and protocol, as JSON"},
    {"GET", "/metrics", answer_metrics, "metrics for Prometheus"},
    {"POST", "/enable", answer_enable, "enable a sink (argument: sink), or all logging; answers the status"},
    {"POST", "/disable", answer_disable,
     "disable a sink (argument: sink), or all logging; answers the status"},
    {"GET", "/flow-logs", answer_flow_logs, "the flow logs of the configuration's files, as JSON"},
    {"POST", "/flow-log", answer_change_flow_log,
     "change the file of a flow log, for the next start; arguments: action (create, start, stop, rename, "
     "tag, "
     "delete), name, log (of create: a table of TOML), word (a new name, a tag), remove (a tag's key)"},
};

HttpAnswer answer_list(const ControlRequest& /*request*/, ControlHandler& /*handler*/) {
  std::string text;
  for (const Route& route : kRoutes) {
    text.append(route.method).append(" ").append(route.path).append("\t").append(route.what).append("\n");
  }
  return {.content_type = "text/plain; charset=utf-8", .body = std::move(text)};
}

HttpAnswer unknown_path(std::string_view path) {
  constexpr std::size_t kShown = 100;  // of a path that may be as long as a request
  return refusal(404,
                 "nothing is at '" + std::string(path.substr(0, kShown)) + "'; GET / lists what there is");
}

HttpAnswer dispatch(const Route& route, const ControlRequest& request, ControlHandler& handler) {
  const bool head = route.method == "GET" && request.method == "HEAD";  // the server leaves the body out
  if (request.method != route.method && !head) {
    HttpAnswer answer = refusal(405, std::string(route.path) + " is asked by " + std::string(route.method));
    answer.fields.emplace_back("Allow", route.method);
    return answer;
  }
  return route.answer(request, handler);
}

}  // namespace

HttpAnswer answer_control(const ControlRequest& request, ControlHandler& handler) {
  for (const Route& route : kRoutes) {
    if (route.path == request.path) return dispatch(route, request, handler);
  }
  return unknown_path(request.path);
}

HttpAnswer answer_metrics_only(const ControlRequest& request, ControlHandler& handler) {
  for (const Route& route : kRoutes) {
    if (route.path == request.path && route.answer == answer_metrics)
      return dispatch(route, request, handler);
  }
  return refusal(404, "nothing but /metrics is served here");
}

}  // namespace natsession
