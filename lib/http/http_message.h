// What is asked and answered over HTTP (RFC 9110), apart from how it travels.
// Threads: plain value types.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace natsession {

using QueryArguments = std::vector<std::pair<std::string, std::string>>;  // unescaped
using HttpFields = std::vector<std::pair<std::string, std::string>>;

struct HttpServerRequest {
  std::string_view method;
  std::string_view path;  // unescaped, without the query
  QueryArguments query;
  HttpFields fields;  // header fields, as they came
  std::string body = {};
  std::string peer;  // the address that it comes from; empty at a unix socket
  int fd = -1;       // the connection's socket

  // A header field by its name, in any case; of several of that name the first; empty if there is none.
  [[nodiscard]] std::string_view field(std::string_view name) const;
};

// A body that comes in pieces, and ends when the answer is destroyed.
class HttpBody {
 public:
  virtual ~HttpBody() = default;
  // Waits for the next piece, at most as much as `room` takes; its size, 0 at the end, below 0 if it is
  // broken off: the peer then sees that the answer is not whole.
  [[nodiscard]] virtual std::ptrdiff_t read(std::span<char> room) = 0;
  // After the end: fields of the trailer section (RFC 9110 6.5).
  [[nodiscard]] virtual HttpFields trailer() { return {}; }
};

struct HttpAnswer {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  HttpFields fields = {};                 // beside Content-Type, Cache-Control and Connection
  std::unique_ptr<HttpBody> stream = {};  // instead of `body`
  std::string cache_control = "no-store";
};

}  // namespace natsession
