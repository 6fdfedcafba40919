#include "routes/route_socket.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "net/netlink_attribute.h"

namespace natsession {
namespace {

constexpr std::size_t kBufferBytes =
    std::size_t{64} * 1024;  // the kernel fills up to 32 KiB of it when it lists
constexpr int kEventQueueBytes = 1 << 20;

// Calls `visit(header, payload)` for each message of a datagram, until it returns false.
template <typename Visit>
void for_each_message(std::span<const std::byte> datagram, Visit&& visit) {
  while (datagram.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header{};
    std::memcpy(&header, datagram.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) return;
    if (!visit(header, datagram.subspan(sizeof header, header.nlmsg_len - sizeof header))) return;
    const std::size_t step = (std::size_t{header.nlmsg_len} + 3) & ~std::size_t{3};
    datagram = datagram.subspan(std::min(step, datagram.size()));
  }
}

int error_in(std::span<const std::byte> payload) {
  int error = 0;
  if (!load_host(payload, error)) return EBADMSG;
  return error <= 0 ? -error : EBADMSG;
}

}  // namespace

RouteSocket::RouteSocket(UniqueFd fd) : fd_(std::move(fd)), buffer_(kBufferBytes) {}

Result<RouteSocket> RouteSocket::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return system_error("open a NETLINK_ROUTE socket", errno, ErrorKind::kUnavailable);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return system_error("bind a NETLINK_ROUTE socket", errno);
  // Where neither is allowed the usual buffer does: what does not fit is noticed.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kEventQueueBytes, sizeof kEventQueueBytes) != 0)
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kEventQueueBytes, sizeof kEventQueueBytes);
  return RouteSocket(std::move(fd));
}

Result<void> RouteSocket::join(unsigned group) {
  const int number = static_cast<int>(group);
  if (::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &number, sizeof number) != 0)
    return system_error("join rtnetlink group " + std::to_string(group), errno);
  return {};
}

RouteSocket::Took RouteSocket::receive(std::span<const std::byte>& datagram, int& error_number) {
  for (;;) {
    sockaddr_nl sender{};
    iovec part{buffer_.data(), buffer_.size()};
    msghdr header{};
    header.msg_name = &sender;
    header.msg_namelen = sizeof sender;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    const ssize_t length = ::recvmsg(fd_.get(), &header, MSG_DONTWAIT);
    if (length < 0 && errno == EINTR) continue;
    error_number = length < 0 ? errno : 0;
    if (length < 0) return error_number == EAGAIN ? Took::kNothing : Took::kLost;
    if (sender.nl_pid != 0) continue;  // of another process: no word of the kernel's
    if ((header.msg_flags & MSG_TRUNC) != 0) {
      error_number = EMSGSIZE;
      return Took::kLost;
    }
    datagram = {buffer_.data(), static_cast<std::size_t>(length)};
    return Took::kSome;
  }
}

RouteSocket::Answer RouteSocket::ask(std::span<std::byte> request, const Visit& visit) {
  Answer answer{begin(request), false};
  if (answer.error_number != 0) return answer;
  while (next_part(answer, visit) == Part::kMore) {
  }
  return answer;
}

int RouteSocket::begin(std::span<std::byte> request) {
  nlmsghdr header{};
  std::memcpy(&header, request.data(), sizeof header);
  header.nlmsg_seq = ++sequence_;
  std::memcpy(request.data(), &header, sizeof header);
  ssize_t sent = 0;
  do {
    sent = ::send(fd_.get(), request.data(), request.size(), 0);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? errno : 0;
}

RouteSocket::Part RouteSocket::next_part(Answer& answer, const Visit& visit) {
  std::span<const std::byte> datagram;
  if (receive(datagram, answer.error_number) != Took::kSome) return Part::kDone;
  bool done = false;
  for_each_message(datagram, [&](const nlmsghdr& message, std::span<const std::byte> payload) {
    if (message.nlmsg_seq != sequence_) return true;  // of an earlier question that failed half-way
    answer.interrupted |= (message.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    done = (message.nlmsg_flags & NLM_F_MULTI) == 0 || message.nlmsg_type == NLMSG_DONE;
    if (message.nlmsg_type == NLMSG_ERROR) {
      done = true;
      answer.error_number = error_in(payload);
    } else if (message.nlmsg_type == NLMSG_DONE) {
      answer.error_number = payload.empty() ? 0 : error_in(payload);
    } else if (message.nlmsg_type >= NLMSG_MIN_TYPE) {
      visit({message.nlmsg_type, payload});
    }
    return !done;
  });
  return done ? Part::kDone : Part::kMore;
}

bool RouteSocket::take_events(const Visit& visit) {
  bool whole = true;
  // Not for ever: who changes routes faster than they are read must not keep the caller here.
  constexpr int kMostDatagrams = 4096;
  for (int i = 0; i < kMostDatagrams; ++i) {
    std::span<const std::byte> datagram;
    int error_number = 0;
    switch (receive(datagram, error_number)) {
      case Took::kNothing:
        return whole;
      case Took::kLost:
        whole = false;
        if (error_number != ENOBUFS && error_number != EMSGSIZE) return false;
        break;
      case Took::kSome:
        for_each_message(datagram, [&](const nlmsghdr& message, std::span<const std::byte> payload) {
          if (message.nlmsg_type >= NLMSG_MIN_TYPE) visit({message.nlmsg_type, payload});
          return true;
        });
    }
  }
  return whole;
}

}  // namespace natsession
