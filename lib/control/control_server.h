// ControlServer: HTTP on a unix socket for natsessionctl and scripts, and, if wanted, the metrics alone on
// TCP.
//
// Reading is for whoever can open the socket (its mode is 0660: its user and group). Changes are for root,
// the daemon's own user and members of a group of their own, also where somebody has widened the mode.
//
// Threads: made, started and stopped by one. The handler is called from the server's threads (http_server.h).
//
//   ControlServer server({.socket_path = "/run/natsessiond/control.sock"});
//   server.listen();          // with all privileges: the socket gets its group
//   ... privileges are dropped ...
//   server.start(handler);
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "control/control_handler.h"
#include "http/http_server.h"
#include "http/listen_socket.h"

namespace natsession {

struct ControlSettings {
  std::string socket_path;           // empty: none
  std::string group = "natsession";  // the socket's, if there is a group of this name
  std::optional<HostPort> metrics;   // where /metrics is served on TCP; nothing else is
  HttpLimits limits = {};
  std::string steer_group = {};  // who may change something as well
};

class ControlServer {
 public:
  explicit ControlServer(ControlSettings settings);

  // Makes the sockets. Who connects from now on waits for start(). Changes the umask for a moment: before
  // other threads are started.
  // Errors: as UnixListener::open() and listen_tcp(). Nothing is left behind.
  Result<void> listen();

  // After listen(). `handler` outlives the server, or its stop().
  // Errors: kIo, kUnavailable if threads or descriptors cannot be had.
  Result<void> start(ControlHandler& handler);

  // When it returns, the handler is not called any more and the socket's file is gone.
  void stop();

  // What was bound; 0 when metrics are not served on TCP.
  [[nodiscard]] std::uint16_t metrics_port() const {
    return metrics_listener_ ? bound_port(metrics_listener_.get()) : 0;
  }

 private:
  ControlSettings settings_;
  // The servers go before their sockets.
  std::optional<UnixListener> control_listener_;
  UniqueFd metrics_listener_;
  std::optional<HttpServer> control_;
  std::optional<HttpServer> metrics_;
};

}  // namespace natsession
