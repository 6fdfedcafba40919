#include "control/control_server.h"

#include "control/routes.h"
#include "http/peer.h"

namespace natsession {

ControlServer::ControlServer(ControlSettings settings) : settings_(std::move(settings)) {}

Result<void> ControlServer::listen() {
  if (settings_.metrics) {
    auto listener = listen_tcp(*settings_.metrics);
    if (!listener) return listener.error();
    metrics_listener_ = std::move(*listener);
  }
  if (!settings_.socket_path.empty()) {
    auto listener = UnixListener::open(settings_.socket_path, settings_.group);
    if (!listener) {
      metrics_listener_.reset();
      return listener.error();
    }
    control_listener_ = std::move(*listener);
  }
  return {};
}

Result<void> ControlServer::start(ControlHandler& handler) {
  const auto asked = [](HttpServerRequest& request, bool may_change) {
    return ControlRequest{request.method, request.path, std::move(request.query), may_change};
  };
  if (control_listener_) {
    control_.emplace(
        HttpServerSettings{.limits = settings_.limits},
        [&handler, asked, group = find_group(settings_.steer_group)](HttpServerRequest& request) {
          return answer_control(asked(request, peer_may_change(request.fd, group)), handler);
        });
    if (auto started = control_->start(control_listener_->fd()); !started) return started;
  }
  if (metrics_listener_) {
    metrics_.emplace(HttpServerSettings{.limits = settings_.limits},
                     [&handler, asked](HttpServerRequest& request) {
                       return answer_metrics_only(asked(request, false), handler);
                     });
    if (auto started = metrics_->start(metrics_listener_.get()); !started) return started;
  }
  return {};
}

void ControlServer::stop() {
  control_.reset();
  metrics_.reset();
  control_listener_.reset();
  metrics_listener_.reset();
}

}  // namespace natsession
