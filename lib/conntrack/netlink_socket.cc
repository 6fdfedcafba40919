#include "conntrack/netlink_socket.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include <endian.h>

#include "conntrack/decoder.h"

namespace natsession {
namespace {

template <typename T>
int set_option(int fd, int level, int name, const T& value) {
  return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : errno;
}

// sockaddr_nl is passed as sockaddr: the socket API knows no other way.
template <typename Pointer>
auto* as_sockaddr(Pointer* address) {
  return reinterpret_cast<sockaddr*>(address);
}

constexpr std::uint32_t kDrop = 0;
constexpr std::uint32_t kPass = 0xffffffff;  // the whole message
constexpr std::uint32_t kFirstAttribute = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(nfgenmsg)));
static_assert(kFirstAttribute == 20);

constexpr sock_filter instruction(int code, std::uint32_t operand, std::uint8_t if_true = 0,
                                  std::uint8_t if_false = 0) {
  return {static_cast<std::uint16_t>(code), if_true, if_false, operand};
}

// BPF loads big-endian; nlmsg_type stands there in host byte order.
std::uint32_t type_as_loaded(unsigned message) {
  return htobe16(static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8U | message));
}

}  // namespace

Result<NetlinkSocket> NetlinkSocket::open() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!fd) return system_error("open a NETLINK_NETFILTER socket", errno, ErrorKind::kUnavailable);

  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(fd.get(), as_sockaddr(&address), sizeof(address)) != 0) {
    return system_error("bind a NETLINK_NETFILTER socket", errno);
  }
  return adopt(std::move(fd));
}

Result<NetlinkSocket> NetlinkSocket::adopt(UniqueFd fd) {
  sockaddr_nl address{};
  socklen_t length = sizeof(address);
  if (::getsockname(fd.get(), as_sockaddr(&address), &length) != 0) {
    return system_error("read the port of a NETLINK_NETFILTER socket", errno);
  }
  return NetlinkSocket(std::move(fd), address.nl_pid);
}

Result<void> NetlinkSocket::attach_filter(std::span<const sock_filter> program) {
  // The kernel copies the program and does not write to it.
  const sock_fprog description{static_cast<unsigned short>(program.size()),
                               const_cast<sock_filter*>(program.data())};
  if (const int error = set_option(fd_.get(), SOL_SOCKET, SO_ATTACH_FILTER, description); error != 0) {
    return system_error("attach the NAT filter to the conntrack socket", error);
  }
  return {};
}

Result<ByteCount> NetlinkSocket::set_receive_buffer(ByteCount asked) {
  const int bytes = static_cast<int>(std::min(asked, kMaxReceiveBuffer).bytes);
  int error = set_option(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, bytes);
  if (error != 0) error = set_option(fd_.get(), SOL_SOCKET, SO_RCVBUF, bytes);
  if (error != 0) return system_error("set the receive buffer of the conntrack socket", error);
  return receive_buffer();
}

Result<ByteCount> NetlinkSocket::receive_buffer() const {
  int bytes = 0;
  socklen_t length = sizeof(bytes);
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, &length) != 0) {
    return system_error("read the receive buffer of the conntrack socket", errno);
  }
  return ByteCount{static_cast<std::uint64_t>(bytes) / 2};
}

Result<void> NetlinkSocket::join(unsigned group) {
  if (const int error = set_option(fd_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, static_cast<int>(group));
      error != 0) {
    return system_error("join conntrack event group " + std::to_string(group), error);
  }
  return {};
}

Result<void> NetlinkSocket::leave(unsigned group) {
  if (const int error = set_option(fd_.get(), SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, static_cast<int>(group));
      error != 0) {
    return system_error("leave conntrack event group " + std::to_string(group), error);
  }
  return {};
}

Result<bool> NetlinkSocket::is_member(unsigned group) const {
  std::array<std::uint32_t, 8> words{};
  socklen_t length = sizeof(words);
  if (::getsockopt(fd_.get(), SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words.data(), &length) != 0)
    return system_error("read the conntrack event groups of a socket", errno);
  const unsigned place = group - 1;
  return place / 32 < words.size() && (words[place / 32] >> place % 32 & 1U) != 0;
}

Result<void> NetlinkSocket::set_no_enobufs() {
  if (const int error = set_option(fd_.get(), SOL_NETLINK, NETLINK_NO_ENOBUFS, 1); error != 0) {
    return system_error("set NETLINK_NO_ENOBUFS on the conntrack socket", error);
  }
  return {};
}

Result<void> NetlinkSocket::set_broadcast_error(bool on) {
  if (const int error = set_option(fd_.get(), SOL_NETLINK, NETLINK_BROADCAST_ERROR, on ? 1 : 0); error != 0) {
    return system_error("set NETLINK_BROADCAST_ERROR on the conntrack socket", error);
  }
  return {};
}

Result<void> NetlinkSocket::send(std::span<const std::byte> request) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent = 0;
  do {
    sent = ::sendto(fd_.get(), request.data(), request.size(), 0, as_sockaddr(&kernel), sizeof(kernel));
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return system_error("send a request to the conntrack table", errno);
  return {};
}

Result<NetlinkSocket::Datagram> NetlinkSocket::receive(std::span<std::byte> buffer) {
  sockaddr_nl sender{};
  iovec part{buffer.data(), buffer.size()};
  msghdr header{};
  header.msg_name = &sender;
  header.msg_namelen = sizeof(sender);
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  ssize_t length = 0;
  do {
    length = ::recvmsg(fd_.get(), &header, 0);
  } while (length < 0 && errno == EINTR);
  if (length < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Datagram{};
    return system_error("receive from the conntrack table", errno);
  }
  return Datagram{static_cast<std::size_t>(length), sender.nl_pid, (header.msg_flags & MSG_TRUNC) != 0};
}

NetlinkSocket::Queue NetlinkSocket::queue() {
  std::array<std::uint32_t, SK_MEMINFO_VARS> values{};
  socklen_t length = sizeof(values);
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_MEMINFO, values.data(), &length) == 0 &&
      length > SK_MEMINFO_DROPS * sizeof(std::uint32_t)) {
    const std::uint32_t drops = values[SK_MEMINFO_DROPS];
    dropped_ += static_cast<std::uint32_t>(drops - drops_seen_);
    drops_seen_ = drops;
  }
  return {values[SK_MEMINFO_RMEM_ALLOC] == 0, dropped_};
}

BpfProgram nat_event_filter(NatSelection selection) {
  if (selection == NatSelection::kAll) {
    BpfProgram program{
        instruction(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_type)),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, type_as_loaded(IPCTNL_MSG_CT_NEW), 1, 0),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, type_as_loaded(IPCTNL_MSG_CT_DELETE), 0, 1),  // else drop
        instruction(BPF_RET | BPF_K, kPass),
    };
    std::fill(program.begin() + 4, program.end(), instruction(BPF_RET | BPF_K, kDrop));
    return program;
  }
  constexpr auto kFindAttribute = static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_NLATTR);
  return {
      instruction(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_type)),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, type_as_loaded(IPCTNL_MSG_CT_NEW), 1, 0),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, type_as_loaded(IPCTNL_MSG_CT_DELETE), 0, 8),  // else drop
      // A = the offset of the attribute X, searched from offset A; 0 if there is none.
      instruction(BPF_LD | BPF_IMM, kFirstAttribute),
      instruction(BPF_LDX | BPF_IMM, CTA_STATUS),
      instruction(BPF_LD | BPF_B | BPF_ABS, kFindAttribute),
      instruction(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0),  // none: pass
      instruction(BPF_MISC | BPF_TAX, 0),
      instruction(BPF_LD | BPF_W | BPF_IND, sizeof(nlattr)),
      instruction(BPF_JMP | BPF_JSET | BPF_K, nat_status_mask(selection), 0, 1),  // no bit: drop
      instruction(BPF_RET | BPF_K, kPass),
      instruction(BPF_RET | BPF_K, kDrop),
  };
}

}  // namespace natsession
