#include "http/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <microhttpd.h>

#include "base/unique_fd.h"

namespace natsession {
namespace {

constexpr std::size_t kThreadStack = std::size_t{512} << 10;
// GnuTLS's own words: TLS 1.2 and 1.3 (RFC 8996).
char kVersions[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";  // the library's interface is not const
constexpr std::size_t kStreamPiece = std::size_t{64} << 10;

int socket_of(MHD_Connection* connection) {
  const MHD_ConnectionInfo* const info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  return info == nullptr ? -1 : info->connect_fd;
}

// Empty at a unix socket.
std::string peer_of(MHD_Connection* connection) {
  const MHD_ConnectionInfo* const info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  if (info == nullptr || info->client_addr == nullptr) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  const sockaddr* const peer = info->client_addr;
  const void* address = nullptr;
  if (peer->sa_family == AF_INET)
    address = &reinterpret_cast<const sockaddr_in*>(peer)->sin_addr;  // NOLINT: the socket API's own
  if (peer->sa_family == AF_INET6)
    address = &reinterpret_cast<const sockaddr_in6*>(peer)->sin6_addr;  // NOLINT
  if (address == nullptr || ::inet_ntop(peer->sa_family, address, text.data(), text.size()) == nullptr)
    return {};
  return text.data();
}

// What is known of a request between two calls of the library.
struct Progress {
  HttpServerRequest request;
  std::size_t body_limit = 0;
};

// As Content-Length says; nothing where it does not.
std::optional<std::size_t> announced(MHD_Connection* connection, bool& malformed) {
  const char* const text =
      MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  if (text == nullptr) return std::nullopt;
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), length);
  malformed = error != std::errc();
  return length;
}

MHD_Result add_value(void* to, MHD_ValueKind /*kind*/, const char* key, std::size_t key_size,
                     const char* value, std::size_t value_size) {
  static_cast<HttpFields*>(to)->emplace_back(
      std::string(key, key_size), value == nullptr ? std::string() : std::string(value, value_size));
  return MHD_YES;
}

struct Stream {
  std::unique_ptr<HttpBody> body;
  MHD_Response* response = nullptr;
};

ssize_t read_stream(void* of, std::uint64_t /*position*/, char* room, std::size_t size) {
  auto& stream = *static_cast<Stream*>(of);
  try {
    const std::ptrdiff_t count = stream.body->read({room, size});
    if (count > 0) return count;
    if (count == 0) {
      for (const auto& [name, value] : stream.body->trailer())
        MHD_add_response_footer(stream.response, name.c_str(), value.c_str());
    }
    return count == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
  } catch (const std::exception&) {
    return MHD_CONTENT_READER_END_WITH_ERROR;
  }
}

void end_stream(void* stream) {
  delete static_cast<Stream*>(stream);
}

MHD_Response* response_of(HttpAnswer& answer) {
  // Copied: to hand the string over takes libmicrohttpd 0.9.73, and RHEL 9 has 0.9.72.
  if (answer.stream == nullptr) {
    return MHD_create_response_from_buffer(answer.body.size(), answer.body.data(), MHD_RESPMEM_MUST_COPY);
  }
  auto stream = std::make_unique<Stream>();
  stream->body = std::move(answer.stream);
  stream->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, kStreamPiece, &read_stream,
                                                       stream.get(), &end_stream);
  return stream->response != nullptr ? stream.release()->response : nullptr;
}

MHD_Result send_answer(MHD_Connection* connection, HttpAnswer answer) {
  MHD_Response* const response = response_of(answer);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.content_type.c_str());
  MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, answer.cache_control.c_str());
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
  for (const auto& [name, value] : answer.fields)
    MHD_add_response_header(response, name.c_str(), value.c_str());
  const MHD_Result queued = MHD_queue_response(connection, answer.status, response);
  MHD_destroy_response(response);
  return queued;
}

HttpServerRequest head_of(MHD_Connection* connection, const char* url, const char* method) {
  HttpServerRequest request;
  request.method = method;
  request.path = url;
  request.peer = peer_of(connection);
  request.fd = socket_of(connection);
  MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, add_value, &request.query);
  MHD_get_connection_values_n(connection, MHD_HEADER_KIND, add_value, &request.fields);
  return request;
}

MHD_Result begin(HttpServer& server, MHD_Connection* connection, const char* url, const char* method,
                 void** progress) {
  auto* const begun = new Progress;
  *progress = begun;
  begun->request = head_of(connection, url, method);
  const HttpServerSettings& settings = server.settings();
  begun->body_limit = settings.max_body;
  if (settings.body_allowed)
    begun->body_limit = std::min(begun->body_limit, settings.body_allowed(begun->request));
  bool malformed = false;
  const auto length = announced(connection, malformed);
  if (malformed || (length && *length > begun->body_limit)) {
    return send_answer(connection,
                       {.status = 413, .body = "{\"error\": \"this request takes no so large a body\"}\n"});
  }
  if (length) begun->request.body.reserve(*length);
  return MHD_YES;
}

MHD_Result handle(HttpServer& server, MHD_Connection* connection, const char* url, const char* method,
                  const char* upload, std::size_t* upload_size, void** progress) {
  if (*progress == nullptr) return begin(server, connection, url, method, progress);
  auto& known = *static_cast<Progress*>(*progress);
  HttpServerRequest& request = known.request;
  if (*upload_size != 0) {
    if (*upload_size > known.body_limit - request.body.size()) return MHD_NO;
    request.body.append(upload, *upload_size);
    *upload_size = 0;
    return MHD_YES;
  }
  request.method = method;  // the library's own, of this call
  request.path = url;
  server.watch().asked(request.fd);
  HttpAnswer answer = server.answer()(request);
  if (answer.stream != nullptr) server.watch().streams(request.fd);
  return send_answer(connection, std::move(answer));
}

MHD_Result on_request(void* server, MHD_Connection* connection, const char* url, const char* method,
                      const char* /*version*/, const char* upload, std::size_t* upload_size,
                      void** progress) {
  // No exception may enter the library, which is C.
  try {
    return handle(*static_cast<HttpServer*>(server), connection, url, method, upload, upload_size, progress);
  } catch (const std::exception&) {
  }
  try {
    return send_answer(connection,
                       {.status = 500, .body = "{\"error\": \"the answer could not be made\"}\n"});
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
  if (code != MHD_CONNECTION_NOTIFY_STARTED) return watch.closed(fd);
  // Of a peer whose window stays shut as well (tcp(7)); at a unix socket it is no option.
  const auto stall = static_cast<unsigned>(static_cast<HttpServer*>(server)->settings().stall.count());
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall, sizeof stall);
  watch.opened(fd, peer_of(connection));
}

}  // namespace

HttpServer::HttpServer(HttpServerSettings settings, Answer answer)
    : settings_(std::move(settings)), answer_(std::move(answer)) {}

HttpServer::~HttpServer() {
  stop();
}

Result<void> HttpServer::start(int listener) {
  // The library closes the descriptor that it is given.
  UniqueFd own(::fcntl(listener, F_DUPFD_CLOEXEC, 0));
  if (!own) return system_error("HTTP server: fcntl(F_DUPFD_CLOEXEC)", errno);
  watch_ = std::make_unique<ConnectionWatch>(settings_.limits);
  if (auto started = watch_->start(); !started) return started;
  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC;
  std::vector<MHD_OptionItem> options = {
      {MHD_OPTION_LISTEN_SOCKET, own.get(), nullptr},
      {MHD_OPTION_CONNECTION_LIMIT, static_cast<std::intptr_t>(settings_.limits.connections), nullptr},
      {MHD_OPTION_CONNECTION_MEMORY_LIMIT, static_cast<std::intptr_t>(kMaxHead), nullptr},
      {MHD_OPTION_NOTIFY_CONNECTION, reinterpret_cast<std::intptr_t>(&on_connection), this},  // NOLINT
      {MHD_OPTION_NOTIFY_COMPLETED, reinterpret_cast<std::intptr_t>(&on_completed), this},    // NOLINT
  };
  if (settings_.threads == HttpServerSettings::Threads::kPool) {
    flags |= MHD_USE_AUTO;
    options.push_back({MHD_OPTION_THREAD_POOL_SIZE, kThreads, nullptr});
  } else {
    flags |= MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL;
    options.push_back({MHD_OPTION_THREAD_STACK_SIZE, static_cast<std::intptr_t>(kThreadStack), nullptr});
  }
  if (settings_.certificate) {
    flags |= MHD_USE_TLS;
    options.push_back({MHD_OPTION_HTTPS_MEM_CERT, 0, settings_.certificate->chain.data()});
    options.push_back({MHD_OPTION_HTTPS_MEM_KEY, 0, settings_.certificate->key.data()});
    options.push_back({MHD_OPTION_HTTPS_PRIORITIES, 0, kVersions});
  }
  options.push_back({MHD_OPTION_END, 0, nullptr});
  errno = 0;
  daemon_ = MHD_start_daemon(flags, 0, nullptr, nullptr, &on_request, this,  //
                             MHD_OPTION_ARRAY, options.data(), MHD_OPTION_END);
  if (daemon_ == nullptr) {
    const int cause = errno;
    watch_.reset();
    if (settings_.certificate && cause == 0)
      return Error{ErrorKind::kUsage, "the certificate and its key cannot be used together, or are not PEM"};
    return system_error("HTTP server", cause);
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
