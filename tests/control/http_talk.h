// Talks to an HTTP server byte by byte, as friendly and hostile peers do.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <chrono>
#include <cstring>
#include <string>

#include "base/unique_fd.h"

namespace natsession::testing {

// Waits for an answer end after this: a test that comes so far has failed.
inline constexpr std::chrono::seconds kPatience{20};

class HttpTalk {
 public:
  explicit HttpTalk(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    connect_to(&address, sizeof address);
  }
  // From 127.0.0.`host`.
  explicit HttpTalk(std::uint16_t port, std::uint32_t host = 1)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~0xFFU) | host);
    ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect_to(&address, sizeof address);
  }

  [[nodiscard]] bool connected() const { return connected_; }

  // False when the peer has closed.
  bool send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  // Everything until the peer closes.
  std::string read_all() {
    std::string all;
    char buffer[65536];
    for (;;) {
      const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (got <= 0) {
        closed_ = got == 0 || errno == ECONNRESET;
        return all;
      }
      all.append(buffer, static_cast<std::size_t>(got));
    }
  }
  // What is there, once something is; nothing when the peer has closed.
  std::string read_some() {
    char buffer[65536];
    const ssize_t got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : std::string();
  }
  // After read_all(): whether the peer closed, and it was not patience that ended.
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  void connect_to(const void* address, socklen_t size) {
    const timeval patience{.tv_sec = kPatience.count(), .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    connected_ = ::connect(fd_.get(), static_cast<const sockaddr*>(address), size) == 0;
  }

  UniqueFd fd_;
  bool connected_ = false;
  bool closed_ = false;
};

struct Reply {
  int status = 0;  // 0: no HTTP answer
  std::string head;
  std::string body;
};

inline Reply parse_reply(const std::string& text) {
  Reply reply;
  const std::size_t end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || end == std::string::npos) return reply;
  reply.status = std::stoi(text.substr(9, 3));
  reply.head = text.substr(0, end);
  reply.body = text.substr(end + 4);
  return reply;
}

template <typename Where>
Reply ask(const Where& where, const std::string& method, const std::string& target,
          const std::string& more = "") {
  HttpTalk talk(where);
  talk.send(method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n");
  return parse_reply(talk.read_all());
}

}  // namespace natsession::testing
