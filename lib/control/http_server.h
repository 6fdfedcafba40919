// HttpServer: answers HTTP requests on a listening socket, within limits that a hostile peer cannot stretch:
// connections, their duration, bytes of a request's head and body. One request a connection.
// Threads: start() and stop() on one; answers are made on the server's own threads, at most kThreads at a
// time.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "base/result.h"
#include "control/connection_watch.h"
#include "control/routes.h"

struct MHD_Daemon;

namespace natsession {

class HttpServer {
 public:
  static constexpr unsigned kThreads = 2;
  static constexpr std::size_t kMaxHead = std::size_t{16} << 10;  // bytes; beyond it the request is refused
  static constexpr std::size_t kMaxBody = std::size_t{4} << 10;   // nothing here takes a body

  // Makes the answer; `fd` is the connection's socket. May throw: the peer then gets status 500.
  using Answer = std::function<HttpAnswer(ControlRequest& request, int fd)>;

  HttpServer(HttpLimits limits, Answer answer);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();  // stops

  // `listener` stays the caller's and open until stop().
  // Errors: kIo, kUnavailable if threads or descriptors cannot be had.
  Result<void> start(int listener);
  // When it returns no answer is being made and none will be.
  void stop();

  // For the callbacks of the HTTP library.
  [[nodiscard]] const Answer& answer() const { return answer_; }
  [[nodiscard]] ConnectionWatch& watch() { return *watch_; }

 private:
  HttpLimits limits_;
  Answer answer_;
  std::unique_ptr<ConnectionWatch> watch_;
  MHD_Daemon* daemon_ = nullptr;
};

}  // namespace natsession
