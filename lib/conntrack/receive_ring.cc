#include "conntrack/receive_ring.h"

#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace natsession {

static_assert(sizeof(sockaddr_nl) <= ReceiveRing::kSenderBytes);
static_assert(offsetof(nlmsghdr, nlmsg_len) == 0);

ReceiveRing::ReceiveRing(std::span<std::byte> region, std::atomic<std::uint64_t>& rounds)
    : region_(region), rounds_(rounds), parts_(kSlots), headers_(kSlots) {
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    parts_[slot] = {slot_start(slot) + kSenderBytes, kPayloadBytes};
    msghdr& header = headers_[slot].msg_hdr;
    header = {};
    header.msg_name = slot_start(slot);
    header.msg_namelen = sizeof(sockaddr_nl);
    header.msg_iov = &parts_[slot];
    header.msg_iovlen = 1;
  }
}

ReceiveRing::Round ReceiveRing::receive(int fd) {
  for (std::size_t slot = 0; slot < filled_; ++slot) {
    mark_handled(slot);
    headers_[slot].msg_hdr.msg_namelen = sizeof(sockaddr_nl);  // the kernel has overwritten it
  }
  filled_ = 0;
  rounds_.store(rounds_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  int count = 0;
  do {
    count = ::recvmmsg(fd, headers_.data(), kSlots, MSG_DONTWAIT, nullptr);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return {0, errno};
  filled_ = static_cast<std::size_t>(count);
  return {filled_, 0};
}

ReceiveRing::Datagram ReceiveRing::datagram(std::size_t slot) const {
  sockaddr_nl sender{};
  std::memcpy(&sender, slot_start(slot), sizeof(sender));
  const mmsghdr& header = headers_[slot];
  return {{slot_start(slot) + kSenderBytes, header.msg_len},
          sender.nl_pid,
          (header.msg_hdr.msg_flags & MSG_TRUNC) != 0};
}

void ReceiveRing::mark_handled(std::size_t slot) {
  std::memset(slot_start(slot) + kSenderBytes, 0, sizeof(nlmsghdr::nlmsg_len));
}

std::optional<ReceiveRing::Datagram> ReceiveRing::left_behind(std::size_t slot) const {
  std::uint32_t length = 0;
  std::memcpy(&length, slot_start(slot) + kSenderBytes, sizeof length);
  if (length == 0) return std::nullopt;
  sockaddr_nl sender{};
  std::memcpy(&sender, slot_start(slot), sizeof sender);
  return Datagram{{slot_start(slot) + kSenderBytes, std::min<std::size_t>(length, kPayloadBytes)},
                  sender.nl_pid,
                  length > kPayloadBytes};
}

}  // namespace natsession
