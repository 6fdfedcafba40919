#include "nflog/nflog_socket.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/sock_diag.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include <endian.h>

#include "base/processes.h"
#include "net/netlink_attribute.h"

namespace natsession {
namespace {

constexpr std::uint16_t kCopy = NFNL_SUBSYS_ULOG << 8U | NFULNL_MSG_PACKET;
constexpr std::uint16_t kConfig = NFNL_SUBSYS_ULOG << 8U | NFULNL_MSG_CONFIG;
constexpr std::size_t kMostEarlyBytes = std::size_t{16} << 20U;
constexpr ByteCount kLargestBuffer{(std::uint64_t{1} << 30U) - 1};  // the kernel doubles it, in an int

// Looks for a line of one of /proc/net's lists whose word at `key_place` is `key`; its word at `place`.
std::optional<std::string> word_of_line(const char* path, std::size_t key_place, std::string_view key,
                                        std::size_t place, std::size_t second_place = 0,
                                        std::string_view second_key = {}) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.size() <= std::max({key_place, place, second_place}) || words[key_place] != key) continue;
    if (second_key.empty() || words[second_place] == second_key) return words[place];
  }
  return std::nullopt;
}

}  // namespace

std::string owner_of_group(std::uint16_t group) {
  // "group port queued mode range timeout uses"; only root may read it.
  const auto port =
      word_of_line("/proc/thread-self/net/netfilter/nfnetlink_log", 0, std::to_string(group), 1);
  if (!port) return {};
  // "sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode"
  const auto inode =
      word_of_line("/proc/thread-self/net/netlink", 2, *port, 9, 1, std::to_string(NETLINK_NETFILTER));
  if (!inode) return {};
  const auto owner = owner_of_socket(std::strtoull(inode->c_str(), nullptr, 10));
  return owner.value_or(ProcessName()).text();
}

NflogSocket::NflogSocket(UniqueFd fd)
    : fd_(std::move(fd)), slots_(kSlots * kSlotBytes), parts_(kSlots), senders_(kSlots), headers_(kSlots) {
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    parts_[slot] = {slots_.data() + slot * kSlotBytes, kSlotBytes};
    msghdr& header = headers_[slot].msg_hdr;
    header.msg_name = &senders_[slot];
    header.msg_iov = &parts_[slot];
    header.msg_iovlen = 1;
  }
}

Result<NflogSocket> NflogSocket::open(const NflogOptions& options) {
  std::vector<std::uint16_t> groups = options.groups;
  std::sort(groups.begin(), groups.end());
  if (groups.empty() || groups.size() > NflogOptions::kMaxGroups || groups.front() == 0 ||
      std::adjacent_find(groups.begin(), groups.end()) != groups.end()) {
    return usage_error("groups of NFLOG are 1 to " + std::to_string(NflogOptions::kMaxGroups) +
                       " different numbers from 1 to 65535");
  }
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!fd) return system_error("open a NETLINK_NETFILTER socket", errno, ErrorKind::kUnavailable);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return system_error("bind a NETLINK_NETFILTER socket", errno);

  const int bytes = static_cast<int>(std::min(options.receive_buffer, kLargestBuffer).bytes);
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0 &&
      ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) != 0)
    return system_error("set the receive buffer of the NFLOG socket", errno);
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on) != 0)
    return system_error("set NETLINK_NO_ENOBUFS on the NFLOG socket", errno);

  auto socket = adopt(std::move(fd));
  if (!socket) return socket.error();
  for (const std::uint16_t group : options.groups) {
    if (const auto bound = socket->bind_group(group); !bound) return bound.error();
  }
  return socket;
}

Result<NflogSocket> NflogSocket::adopt(UniqueFd fd) {
  int granted = 0;
  socklen_t length = sizeof granted;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &granted, &length) != 0)
    return system_error("read the receive buffer of the NFLOG socket", errno);
  NflogSocket socket(std::move(fd));
  socket.receive_buffer_ = ByteCount{static_cast<std::uint64_t>(granted) / 2};
  (void)socket.dropped_messages();
  socket.dropped_ = 0;  // of another's time
  return socket;
}

// One message says all, so that no copy of another kind comes in between.
int NflogSocket::command(std::uint8_t command, std::uint16_t group) {
  alignas(nlmsghdr) std::array<std::byte, 128> bytes{};
  nlmsghdr* const request = mnl_nlmsg_put_header(bytes.data());
  request->nlmsg_type = kConfig;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request->nlmsg_seq = group + std::uint32_t{1};
  auto* const generic = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg)));
  generic->version = NFNETLINK_V0;
  generic->res_id = htobe16(group);
  const nfulnl_msg_config_cmd what{command};
  mnl_attr_put(request, NFULA_CFG_CMD, sizeof what, &what);
  if (command == NFULNL_CFG_CMD_BIND) {
    nfulnl_msg_config_mode mode{};
    mode.copy_mode = NFULNL_COPY_PACKET;
    mode.copy_range = htobe32(kCopyBytes);
    mnl_attr_put(request, NFULA_CFG_MODE, sizeof mode, &mode);
    mnl_attr_put_u32(request, NFULA_CFG_TIMEOUT, htobe32(kFlushAfter.count() / 10));  // in 1/100 s
    mnl_attr_put_u32(request, NFULA_CFG_NLBUFSIZ, htobe32(kMessageBytes));
    mnl_attr_put_u32(request, NFULA_CFG_QTHRESH, htobe32(kQueueThreshold));
    mnl_attr_put_u16(request, NFULA_CFG_FLAGS, htobe16(NFULNL_CFG_F_SEQ));
  }
  ssize_t sent = 0;
  do {
    sent = ::send(fd_.get(), request, request->nlmsg_len, 0);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return errno;

  // The answer is queued already; before it may be copies of groups that are bound.
  std::optional<int> answer;
  while (!answer) {
    const auto count = receive_round();
    if (!count || *count == 0) return EIO;
    for (std::size_t place = 0; place < *count; ++place) {
      std::span<const std::byte> left = datagram(place);
      nlmsghdr header{};
      if (left.size() >= sizeof header) std::memcpy(&header, left.data(), sizeof header);
      if (header.nlmsg_type == NLMSG_ERROR && header.nlmsg_seq == request->nlmsg_seq) {
        int error = 0;
        answer = load_host(left.subspan(sizeof header), error) ? -error : EBADMSG;
      } else if (early_.size() < kMostEarlyBytes) {  // what is beyond shows as lost
        early_.insert(early_.end(), left.begin(), left.end());
        early_.resize((early_.size() + 3) / 4 * 4);
      }
    }
  }
  return *answer;
}

// A group of another process answers EPERM, as does a missing capability. No command, to a group that nobody
// has, is refused for another reason where it is allowed.
bool NflogSocket::is_allowed() {
  return command(NFULNL_CFG_CMD_NONE, 0) != EPERM || command(NFULNL_CFG_CMD_NONE, 65'535) != EPERM;
}

Result<void> NflogSocket::bind_group(std::uint16_t group) {
  const int error = command(NFULNL_CFG_CMD_BIND, group);
  if (error == 0) return {};
  const std::string what = "bind NFLOG group " + std::to_string(group);
  if (error == EPERM && is_allowed()) {
    const std::string owner = owner_of_group(group);
    return Error{ErrorKind::kUnavailable, what + ": " + (owner.empty() ? "another process" : owner) +
                                              " has it, and a group is one's only"};
  }
  if (error == EINVAL || error == EOPNOTSUPP)
    return Error{ErrorKind::kUnavailable, what + ": this kernel has no nfnetlink_log"};
  return system_error(what, error);
}

Result<std::size_t> NflogSocket::receive_round() {
  for (mmsghdr& header : headers_) header.msg_hdr.msg_namelen = sizeof(sockaddr_nl);
  for (;;) {
    const int count = ::recvmmsg(fd_.get(), headers_.data(), kSlots, MSG_DONTWAIT, nullptr);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EAGAIN) return std::size_t{0};
    if (errno != EINTR && errno != ENOBUFS) return system_error("receive from the NFLOG socket", errno);
  }
}

std::span<const std::byte> NflogSocket::datagram(std::size_t place) {
  const mmsghdr& header = headers_[place];
  if (senders_[place].nl_pid == 0 && (header.msg_hdr.msg_flags & MSG_TRUNC) == 0)
    return {slots_.data() + place * kSlotBytes, header.msg_len};
  ++strange_;
  return {};
}

std::span<const std::byte> NflogSocket::next_copy(std::span<const std::byte>& datagram) {
  nlmsghdr header{};
  if (datagram.size() < sizeof header) {
    datagram = {};
    ++strange_;
    return {};
  }
  std::memcpy(&header, datagram.data(), sizeof header);
  if (header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) {
    datagram = {};
    ++strange_;
    return {};
  }
  const auto payload = datagram.subspan(sizeof header, header.nlmsg_len - sizeof header);
  const std::size_t step = (std::size_t{header.nlmsg_len} + 3) & ~std::size_t{3};
  datagram = datagram.subspan(std::min(step, datagram.size()));
  if (header.nlmsg_type == kCopy) return payload;
  if (header.nlmsg_type != NLMSG_DONE) ++strange_;
  return {};
}

std::uint64_t NflogSocket::dropped_messages() {
  std::array<std::uint32_t, SK_MEMINFO_VARS> values{};
  socklen_t length = sizeof values;
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_MEMINFO, values.data(), &length) == 0 &&
      length > SK_MEMINFO_DROPS * sizeof(std::uint32_t)) {
    const std::uint32_t drops = values[SK_MEMINFO_DROPS];
    dropped_ += static_cast<std::uint32_t>(drops - drops_seen_);
    drops_seen_ = drops;
  }
  return dropped_;
}

}  // namespace natsession
