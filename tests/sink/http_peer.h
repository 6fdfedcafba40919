// An HTTP server on the loopback interface, with a thread: a test says what it answers, to the byte.
#pragma once

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cctype>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/guarded.h"
#include "sink/decompress.h"
#include "sink/loopback.h"

namespace natsession::testing {

struct ReceivedRequest {
  std::string line;                            // POST /path HTTP/1.1
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // as it came

  [[nodiscard]] std::string text() const {
    const auto encoding = headers.find("content-encoding");
    if (encoding == headers.end()) return body;
    return encoding->second == "gzip" ? gunzip(body) : encoding->second == "zstd" ? unzstd(body) : body;
  }
};

// What is sent back: all of it as it stands. The connection stays open, unless `closes`.
struct HttpAnswer {
  std::string bytes;
  bool closes = false;

  static HttpAnswer status(int code, const std::string& headers = {}, const std::string& body = {}) {
    return {"HTTP/1.1 " + std::to_string(code) + " Word\r\n" + headers +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
            false};
  }
};

class HttpPeer {
 public:
  // Answers all requests so.
  static auto always(int code, const std::string& body = {}, const std::string& headers = {}) {
    return [=](const ReceivedRequest&) { return HttpAnswer::status(code, headers, body); };
  }

  using Handler = std::function<HttpAnswer(const ReceivedRequest&)>;

  // `handler` runs on the peer's thread.
  explicit HttpPeer(Handler handler) : handler_(std::move(handler)), thread_([this] { serve(); }) {}
  ~HttpPeer() {
    stopping_ = true;
    ::shutdown(listener_.fd(), SHUT_RDWR);
    const int under_way = connection_.load();
    if (under_way >= 0) ::shutdown(under_way, SHUT_RDWR);
    thread_.join();
  }
  [[nodiscard]] std::string url(const std::string& path = "/log") const {
    return "http://" + listener_.place() + path;
  }
  [[nodiscard]] std::vector<ReceivedRequest> requests() const {
    return requests_.with([](const std::vector<ReceivedRequest>& requests) { return requests; });
  }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void serve() {
    while (!stopping_) {
      UniqueFd fd(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) return;
      ++connections_;
      connection_ = fd.get();
      std::string in;
      while (!stopping_ && serve_one(fd.get(), in)) {
      }
      connection_ = -1;
    }
  }

  bool serve_one(int fd, std::string& in) {
    ReceivedRequest request;
    std::size_t end = 0;
    while ((end = in.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more(fd, in)) return false;
    }
    parse_head(std::string_view(in).substr(0, end + 2), request);
    const auto length = request.headers.find("content-length");
    const std::size_t size = length == request.headers.end() ? 0 : std::stoul(length->second);
    while (in.size() < end + 4 + size) {
      if (!read_more(fd, in)) return false;
    }
    request.body = in.substr(end + 4, size);
    in.erase(0, end + 4 + size);
    requests_.with([&](std::vector<ReceivedRequest>& requests) { requests.push_back(request); });
    const HttpAnswer answer = handler_(request);
    std::string_view out = answer.bytes;
    while (!out.empty()) {
      const ssize_t count = ::send(fd, out.data(), out.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      out.remove_prefix(static_cast<std::size_t>(count));
    }
    return !answer.closes;
  }

  static bool read_more(int fd, std::string& in) {
    std::array<char, 16384> part;
    const ssize_t count = ::read(fd, part.data(), part.size());
    if (count <= 0) return false;
    in.append(part.data(), static_cast<std::size_t>(count));
    return true;
  }

  static void parse_head(std::string_view head, ReceivedRequest& request) {
    const auto line = [&] {
      const std::size_t end = head.find("\r\n");
      std::string text(head.substr(0, end));
      head.remove_prefix(end + 2);
      return text;
    };
    request.line = line();
    while (!head.empty()) {
      const std::string text = line();
      const std::size_t colon = text.find(':');
      std::string name = text.substr(0, colon);
      for (char& byte : name) byte = static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
      std::string value = text.substr(std::min(text.size(), colon + 1));
      value.erase(0, value.find_first_not_of(' '));
      request.headers[name] = value;
    }
  }

  const Handler handler_;
  const Listener listener_;
  Guarded<std::vector<ReceivedRequest>> requests_;
  std::atomic<int> connections_{0};
  std::atomic<int> connection_{-1};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace natsession::testing
