#include "sink/transport/datagram_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "sink/transport/deadline.h"

namespace natsession {
namespace {

constexpr std::size_t kMessagesPerCall = 64;
constexpr int kSendBufferBytes = 4 << 20;

}  // namespace

int DatagramSocket::open(int family) {
  fd_.reset(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd_) return errno;
  family_ = family;
  // What is granted is enough in any case: a small buffer only makes for more waiting.
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof(kSendBufferBytes));
  return 0;
}

int DatagramSocket::connect_local(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (const int error_number = open(AF_UNIX); error_number != 0) return error_number;
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return 0;
  const int error_number = errno;
  fd_.reset();
  return error_number;
}

int DatagramSocket::connect_udp(const SocketAddress& address) {
  if (const int error_number = open(address.storage.ss_family); error_number != 0) return error_number;
  if (::connect(fd_.get(), address.get(), address.length) == 0) return 0;
  const int error_number = errno;
  fd_.reset();
  return error_number;
}

int DatagramSocket::send(std::span<const std::string_view> messages, std::chrono::nanoseconds limit,
                         std::size_t& sent) {
  sent = 0;
  Deadline deadline(limit);
  while (sent < messages.size()) {
    std::array<iovec, kMessagesPerCall> parts{};
    std::array<mmsghdr, kMessagesPerCall> headers{};
    const std::size_t count = std::min(kMessagesPerCall, messages.size() - sent);
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view message = messages[sent + i];
      parts[i] = {const_cast<char*>(message.data()), message.size()};  // iovec is older than const
      headers[i].msg_hdr.msg_iov = &parts[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
    const int done =
        ::sendmmsg(fd_.get(), headers.data(), static_cast<unsigned>(count), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done > 0) {
      sent += static_cast<std::size_t>(done);
      deadline.restart();
      continue;
    }
    // An error is told of the first message only, which is the one at `sent`.
    const int error_number = errno;
    if (error_number == EINTR) continue;
    if (error_number != EAGAIN && error_number != ENOBUFS) return error_number;
    if (deadline.passed()) return EAGAIN;
    // ENOBUFS tells of a full device queue, which no poll() waits for.
    constexpr std::chrono::milliseconds kQueueDrains{1};
    wait_for(fd_.get(), error_number == EAGAIN ? POLLOUT : short{0},
             error_number == EAGAIN ? deadline.left()
                                    : std::min<std::chrono::nanoseconds>(deadline.left(), kQueueDrains));
  }
  return 0;
}

int DatagramSocket::take_error() {
  int error_number = 0;
  socklen_t length = sizeof(error_number);
  if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error_number, &length) != 0) return errno;
  return error_number;
}

int DatagramSocket::wait_for_error(std::chrono::nanoseconds limit) {
  wait_for(fd_.get(), 0, limit);  // an error is always told
  return take_error();
}

void DatagramSocket::forbid_fragments() {
  constexpr int kForbid4 = IP_PMTUDISC_DO;
  constexpr int kForbid6 = IPV6_PMTUDISC_DO;
  if (family_ == AF_INET6) {
    setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, &kForbid6, sizeof(kForbid6));
  } else {
    setsockopt(fd_.get(), IPPROTO_IP, IP_MTU_DISCOVER, &kForbid4, sizeof(kForbid4));
  }
}

std::size_t DatagramSocket::longest_datagram(std::size_t mtu) const {
  constexpr std::size_t kUdpHeader = 8;
  constexpr std::size_t kIp4Header = 20;
  constexpr std::size_t kIp6Header = 40;
  const bool v6 = family_ == AF_INET6;
  int of_path = 0;
  socklen_t length = sizeof(of_path);
  const bool known =
      getsockopt(fd_.get(), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU : IP_MTU, &of_path, &length) == 0;
  if (known && of_path > 0) mtu = std::min(mtu, static_cast<std::size_t>(of_path));
  return mtu - std::min(mtu, kUdpHeader + (v6 ? kIp6Header : kIp4Header));
}

}  // namespace natsession
