#include "conntrack/receive_ring.h"

#include <linux/netlink.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace natsession {

static_assert(sizeof(sockaddr_nl) <= ReceiveRing::kSenderBytes);
static_assert(offsetof(nlmsghdr, nlmsg_len) == 0);

ReceiveRing::ReceiveRing(MemoryRegion region) : region_(std::move(region)), parts_(kSlots), headers_(kSlots) {
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

Result<MemoryRegion> MemoryRegion::anonymous(std::size_t bytes) {
  void* start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return system_error("map memory for the receive buffers", errno);
  return MemoryRegion(std::span(static_cast<std::byte*>(start), bytes));
}

MemoryRegion::~MemoryRegion() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace natsession
