#include "sink/tcp_socket.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "sink/deadline.h"

namespace natsession {
namespace {

constexpr std::size_t kReceiveBytes = 16 << 10;

// Returns errno, or 0 and `fd`.
int connect_to(const SocketAddress& address, const Deadline& deadline, UniqueFd& fd) {
  fd.reset(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  constexpr int kOn = 1;
  // Acknowledgements are waited for, so the last part of a batch must not wait for them too.
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof(kOn));
  // So that a peer that vanished is noticed, and a firewall between does not forget the connection.
  setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &kOn, sizeof(kOn));
  if (::connect(fd.get(), address.get(), address.length) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  while (wait_for(fd.get(), POLLOUT, deadline.left()) == 0) {
    if (deadline.passed()) return ETIMEDOUT;
  }
  int error_number = 0;
  socklen_t length = sizeof(error_number);
  if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error_number, &length) != 0) return errno;
  return error_number;
}

}  // namespace

Result<TcpSocket> TcpSocket::connect(const Endpoint& endpoint, std::chrono::nanoseconds limit) {
  const auto addresses = resolve(endpoint, SOCK_STREAM);
  if (!addresses) return addresses.error();
  int error_number = 0;
  // Each address has its share of the time, so that one that does not answer hides no other.
  for (std::size_t i = 0; i < addresses->size(); ++i) {
    UniqueFd fd;
    const Deadline deadline(limit / static_cast<std::int64_t>(addresses->size()));
    error_number = connect_to((*addresses)[i], deadline, fd);
    if (error_number == 0) return TcpSocket(std::move(fd));
  }
  return Error{ErrorKind::kUnavailable,
               system_error("connect to " + endpoint.to_string(), error_number).message};
}

int TcpSocket::send(std::string_view bytes, std::size_t& sent) {
  sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count =
        ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent += static_cast<std::size_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    return errno == EAGAIN ? 0 : errno;
  }
  return 0;
}

int TcpSocket::receive(std::string& in, bool& closed) {
  std::array<char, kReceiveBytes> buffer;
  closed = false;
  while (true) {
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count > 0) in.append(buffer.data(), static_cast<std::size_t>(count));
    if (count == 0) closed = true;
    if (count >= 0) return 0;
    if (errno != EINTR) return errno == EAGAIN ? 0 : errno;
  }
}

std::size_t TcpSocket::unacknowledged() const {
  int bytes = 0;
  if (::ioctl(fd_.get(), SIOCOUTQ, &bytes) != 0 || bytes < 0) return 0;
  return static_cast<std::size_t>(bytes);
}

void TcpSocket::wait(bool for_room, std::chrono::nanoseconds limit) const {
  wait_for(fd_.get(), static_cast<short>(POLLIN | POLLRDHUP | (for_room ? POLLOUT : 0)), limit);
}

void TcpSocket::abort() {
  constexpr linger kReset{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &kReset, sizeof(kReset));
  fd_.reset();
}

}  // namespace natsession
