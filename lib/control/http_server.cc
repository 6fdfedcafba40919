#include "control/http_server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <string>

#include <fcntl.h>
#include <microhttpd.h>

#include "base/unique_fd.h"

namespace natsession {
namespace {

// What is known of a request between two calls of the library.
struct Progress {
  std::size_t body_bytes = 0;
};

int socket_of(MHD_Connection* connection) {
  const MHD_ConnectionInfo* const info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  return info == nullptr ? -1 : info->connect_fd;
}

// The bytes of its address; empty at a unix socket.
std::string peer_of(MHD_Connection* connection) {
  const MHD_ConnectionInfo* const info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info == nullptr || info->client_addr == nullptr) return {};
  const auto bytes = [](const auto& address) {
    return std::string(reinterpret_cast<const char*>(&address),
                       sizeof address);  // NOLINT: the socket API's own
  };
  const sockaddr* const peer = info->client_addr;
  if (peer->sa_family == AF_INET)
    return bytes(reinterpret_cast<const sockaddr_in*>(peer)->sin_addr);  // NOLINT
  if (peer->sa_family == AF_INET6)
    return bytes(reinterpret_cast<const sockaddr_in6*>(peer)->sin6_addr);  // NOLINT
  return {};
}

bool announces_too_much(MHD_Connection* connection) {
  const char* const text =
      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  if (text == nullptr) return false;
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), length);
  return error != std::errc() || length > HttpServer::kMaxBody;
}

MHD_Result add_argument(void* to, MHD_ValueKind /*kind*/, const char* key, std::size_t key_size,
                        const char* value, std::size_t value_size) {
  static_cast<QueryArguments*>(to)->emplace_back(
      std::string(key, key_size), value == nullptr ? std::string() : std::string(value, value_size));
  return MHD_YES;
}

MHD_Result send_answer(MHD_Connection* connection, HttpAnswer answer) {
  // Copied: to hand the string over takes libmicrohttpd 0.9.73, and RHEL 9 has 0.9.72.
  MHD_Response* const response =
      MHD_create_response_from_buffer(answer.body.size(), answer.body.data(), MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, std::string(answer.content_type).c_str());
  MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
  if (!answer.allow.empty()) {
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, std::string(answer.allow).c_str());
  }
  const MHD_Result queued = MHD_queue_response(connection, answer.status, response);
  MHD_destroy_response(response);
  return queued;
}

MHD_Result handle(HttpServer& server, MHD_Connection* connection, const char* url, const char* method,
                  std::size_t* upload_size, void** progress) {
  if (*progress == nullptr) {
    *progress = new Progress;
    if (announces_too_much(connection)) {
      return send_answer(
          connection, {413, "application/json", "{\"error\": \"no request takes so large a body\"}\n", {}});
    }
    return MHD_YES;
  }
  if (*upload_size != 0) {
    std::size_t& bytes = static_cast<Progress*>(*progress)->body_bytes;
    bytes += *upload_size;
    *upload_size = 0;
    return bytes > HttpServer::kMaxBody ? MHD_NO : MHD_YES;
  }
  server.watch().asked(socket_of(connection));
  ControlRequest request{.method = method, .path = url, .query = {}};
  MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, add_argument, &request.query);
  return send_answer(connection, server.answer()(request, socket_of(connection)));
}

MHD_Result on_request(void* server, MHD_Connection* connection, const char* url, const char* method,
                      const char* /*version*/, const char* /*upload*/, std::size_t* upload_size,
                      void** progress) {
  // No exception may enter the library, which is C.
  try {
    return handle(*static_cast<HttpServer*>(server), connection, url, method, upload_size, progress);
  } catch (const std::exception&) {
  }
  try {
    return send_answer(connection,
                       {500, "application/json", "{\"error\": \"the answer could not be made\"}\n", {}});
  } catch (const std::exception&) {
    return MHD_NO;
  }
}

void on_completed(void* /*server*/, MHD_Connection* /*connection*/, void** progress,
                  MHD_RequestTerminationCode /*how*/) {
  delete static_cast<Progress*>(*progress);
  *progress = nullptr;
}

void on_connection(void* server, MHD_Connection* connection, void** /*context*/,
                   MHD_ConnectionNotificationCode code) {
  ConnectionWatch& watch = static_cast<HttpServer*>(server)->watch();
  const int fd = socket_of(connection);
  code == MHD_CONNECTION_NOTIFY_STARTED ? watch.opened(fd, peer_of(connection)) : watch.closed(fd);
}

}  // namespace

HttpServer::HttpServer(HttpLimits limits, Answer answer) : limits_(limits), answer_(std::move(answer)) {}

HttpServer::~HttpServer() {
  stop();
}

Result<void> HttpServer::start(int listener) {
  // The library closes the descriptor that it is given.
  UniqueFd own(::fcntl(listener, F_DUPFD_CLOEXEC, 0));
  if (!own) return system_error("control server: fcntl(F_DUPFD_CLOEXEC)", errno);
  watch_ = std::make_unique<ConnectionWatch>(limits_);
  if (auto started = watch_->start(); !started) return started;
  daemon_ = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_ITC, 0, nullptr,
                             nullptr, &on_request, this,                                              //
                             MHD_OPTION_LISTEN_SOCKET, own.get(),                                     //
                             MHD_OPTION_THREAD_POOL_SIZE, kThreads,                                   //
                             MHD_OPTION_CONNECTION_LIMIT, limits_.connections,                        //
                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, kMaxHead,                            //
                             MHD_OPTION_NOTIFY_CONNECTION, &on_connection, static_cast<void*>(this),  //
                             MHD_OPTION_NOTIFY_COMPLETED, &on_completed, static_cast<void*>(this),    //
                             MHD_OPTION_END);
  if (daemon_ == nullptr) {
    watch_.reset();
    return system_error("control server", errno);
  }
  (void)own.release();
  return {};
}

void HttpServer::stop() {
  if (daemon_ == nullptr) return;
  MHD_stop_daemon(daemon_);
  daemon_ = nullptr;
  watch_.reset();
}

}  // namespace natsession
