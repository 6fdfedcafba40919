// HttpServer: answers HTTP requests on a listening socket, within limits that a hostile peer cannot stretch:
// connections, their duration, bytes of a request's head and body. One request a connection.
// Threads: start() and stop() on one; answers are made on the server's own threads (HttpServerSettings::threads).
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "http/connection_watch.h"
#include "http/http_message.h"

struct MHD_Daemon;

namespace natsession {

// PEM texts.
struct HttpCertificate {
  std::string chain;
  std::string key;
};

struct HttpServerSettings {
  // kPool: answers come at once. kEach: an answer may take its time, as a stream must; a thread for each
  // connection.
  enum class Threads : unsigned char { kPool, kEach };

  HttpLimits limits = {};
  std::size_t max_body = std::size_t{4} << 10;  // bytes; above it the request is refused
  // How much of a body this request may have, max_body at most, by its head alone; without it, max_body.
  std::function<std::size_t(const HttpServerRequest& head)> body_allowed = {};
  // A connection whose peer takes nothing for so long ends.
  std::chrono::milliseconds stall = std::chrono::minutes(1);
  Threads threads = Threads::kPool;
  std::optional<HttpCertificate> certificate = {};  // TLS
};

class HttpServer {
 public:
  static constexpr unsigned kThreads = 2;                         // of a pool
  static constexpr std::size_t kMaxHead = std::size_t{16} << 10;  // bytes; beyond it the request is refused

  // Makes the answer. May throw: the peer then gets status 500.
  using Answer = std::function<HttpAnswer(HttpServerRequest& request)>;

  HttpServer(HttpServerSettings settings, Answer answer);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer();  // stops

  // `listener` stays the caller's and open until stop().
  // Errors: kIo, kUnavailable if threads or descriptors cannot be had; kUsage if the certificate will not do.
  Result<void> start(int listener);
  // When it returns no answer is being made and none will be. Connections are shut down; a stream that waits
  // for something else than its peer must be ended by its owner.
  void stop();

  // For the callbacks of the HTTP library.
  [[nodiscard]] const Answer& answer() const { return answer_; }
  [[nodiscard]] ConnectionWatch& watch() { return *watch_; }
  [[nodiscard]] const HttpServerSettings& settings() const { return settings_; }

 private:
  HttpServerSettings settings_;
  Answer answer_;
  std::unique_ptr<ConnectionWatch> watch_;
  MHD_Daemon* daemon_ = nullptr;
};

}  // namespace natsession
