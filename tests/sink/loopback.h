// Peers on the loopback interface and in the file system, on ports that the system picks.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "support/files.h"

namespace natsession::testing {

// Until `condition()`, for 10 s at most.
template <typename Condition>
bool eventually(Condition condition) {
  for (int tries = 0; tries < 10'000; ++tries) {
    if (condition()) return true;
    ::poll(nullptr, 0, 1);
  }
  return condition();
}

inline UniqueFd bound_socket(int type, std::uint16_t port, int receive_buffer) {
  UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  constexpr int kOn = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &kOn, sizeof(kOn));
  if (receive_buffer > 0) {
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof(receive_buffer));
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    throw std::runtime_error("cannot bind");
  }
  return fd;
}

inline std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

// A TCP listener: connections are made without it, by the kernel; accept() takes one.
class Listener {
 public:
  explicit Listener(int receive_buffer = 0, int backlog = 64)
      : fd_(bound_socket(SOCK_STREAM, 0, receive_buffer)) {
    port_ = port_of(fd_.get());
    receive_buffer_ = receive_buffer;
    ::listen(fd_.get(), backlog);
  }
  [[nodiscard]] std::string place() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] int fd() const { return fd_.get(); }

  // The next connection; none within 10 s is an error.
  [[nodiscard]] UniqueFd accept() const {
    pollfd wait{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, 10'000) != 1) throw std::runtime_error("nobody connects");
    return UniqueFd(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
  [[nodiscard]] bool somebody_waits() const {
    pollfd wait{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&wait, 1, 0) == 1;
  }
  void close() { fd_.reset(); }
  void listen_again() {
    fd_ = bound_socket(SOCK_STREAM, port_, receive_buffer_);
    ::listen(fd_.get(), 64);
  }

 private:
  UniqueFd fd_;
  std::uint16_t port_ = 0;
  int receive_buffer_ = 0;
};

inline std::string read_to_end(int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  std::string text;
  std::array<char, 4096> part;
  for (ssize_t count = 0; (count = ::read(fd, part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(count));
  }
  return text;
}

// Ends a connection as a process that crashes with unread data does.
inline void reset_connection(UniqueFd& fd) {
  constexpr linger kReset{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &kReset, sizeof(kReset));
  fd.reset();
}

inline std::vector<std::string> read_datagrams(int fd) {
  std::vector<std::string> datagrams;
  std::string part(70'000, '\0');
  for (ssize_t count = 0; (count = ::recv(fd, part.data(), part.size(), MSG_DONTWAIT)) >= 0;) {
    datagrams.emplace_back(part, 0, static_cast<std::size_t>(count));
  }
  return datagrams;
}

struct Datagram {
  std::uint16_t from = 0;  // port
  std::string bytes;
};

class UdpPeer {
 public:
  UdpPeer() : fd_(bound_socket(SOCK_DGRAM, 0, 8 << 20)), port_(port_of(fd_.get())) {}
  [[nodiscard]] std::string place() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::vector<std::string> take() const { return read_datagrams(fd_.get()); }
  [[nodiscard]] std::vector<Datagram> take_from() const {
    std::vector<Datagram> datagrams;
    std::string part(70'000, '\0');
    sockaddr_in from{};
    socklen_t length = sizeof(from);
    for (ssize_t count = 0; (count = ::recvfrom(fd_.get(), part.data(), part.size(), MSG_DONTWAIT,
                                                reinterpret_cast<sockaddr*>(&from), &length)) >= 0;) {
      datagrams.push_back({ntohs(from.sin_port), part.substr(0, static_cast<std::size_t>(count))});
    }
    return datagrams;
  }
  void close() { fd_.reset(); }
  void open_again() { fd_ = bound_socket(SOCK_DGRAM, port_, 8 << 20); }

 private:
  UniqueFd fd_;
  std::uint16_t port_ = 0;
};

// A local datagram socket, as /dev/log is.
class LocalPeer {
 public:
  explicit LocalPeer(std::string path) : path_(std::move(path)) { listen(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  void listen() {
    ::unlink(path_.c_str());
    fd_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof(address.sun_path) - 1);
    if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      throw std::runtime_error("cannot bind " + path_);
    }
  }
  [[nodiscard]] std::vector<std::string> take() const { return read_datagrams(fd_.get()); }
  void crash() { fd_.reset(); }
  void remove() {
    crash();
    ::unlink(path_.c_str());
  }

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace natsession::testing
