// NflogSocket: bound to NFLOG groups of a network namespace, it receives copies of the packets that rules
// hand to them: of each the first bytes.
// Threads: one at a time.
//
// The kernel gathers copies in a message of up to kMessageBytes, and queues that when it is full, when it
// holds kQueueThreshold copies, or after kFlushAfter. What finds no room in the queue is dropped as a whole
// message; each group's sequence numbers tell how many copies that were. No error is asked for on overrun
// (NETLINK_NO_ENOBUFS): with it the kernel would queue nothing more until all was read, and so drop more.
#pragma once

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/byte_count.h"
#include "base/result.h"
#include "base/scratch.h"
#include "base/unique_fd.h"

namespace natsession {

struct NflogOptions {
  static constexpr std::size_t kMaxGroups = 16;

  std::vector<std::uint16_t> groups;  // 1 to 65535, each once
  ByteCount receive_buffer{std::uint64_t{64} << 20U};
};

class NflogSocket {
 public:
  static constexpr std::uint32_t kCopyBytes = 64;  // all that the decoder looks at
  // A block of 32 KiB, the largest that the kernel has at hand when memory is in pieces, less what it keeps
  // in it: a byte more would take one of twice the size, and half of the receive buffer would pay for
  // nothing.
  static constexpr std::uint32_t kMessageBytes = 32 * 1024 - 512;
  static constexpr std::uint32_t kQueueThreshold = 1024;  // more than a message holds
  static constexpr std::chrono::milliseconds kFlushAfter{100};

  // Binds the groups in the network namespace of the calling thread, where the socket stays. Needs
  // CAP_NET_ADMIN there.
  // Errors: kUsage for groups that are none; kPermission; kUnavailable if the kernel has no nfnetlink_log, or
  //         another process has a group: which group, and, where /proc tells, which process.
  [[nodiscard]] static Result<NflogSocket> open(const NflogOptions& options);

  // One that open() made in another process, whose groups stay bound. What that received is not here.
  // Errors: it is no socket.
  [[nodiscard]] static Result<NflogSocket> adopt(UniqueFd fd);

  [[nodiscard]] int fd() const { return fd_.get(); }
  // What was granted, in the unit that was asked in.
  [[nodiscard]] ByteCount receive_buffer() const { return receive_buffer_; }

  // One round: calls `visit(std::span<const std::byte>)` for each copy in up to kSlots messages, with what
  // stands behind its nlmsghdr, valid until the next round. Never blocks. Returns how many messages there
  // were: 0, nothing was queued.
  // Errors: kIo.
  template <typename Visit>
  [[nodiscard]] Result<std::size_t> receive(Visit&& visit) {
    const auto each = [&](std::span<const std::byte> datagram) {
      while (!datagram.empty()) {
        const auto copy = next_copy(datagram);
        if (!copy.empty()) visit(copy);
      }
    };
    if (!early_.empty()) {
      each(std::exchange(early_, {}));
      return std::size_t{1};
    }
    const auto count = receive_round();
    if (!count) return count.error();
    for (std::size_t place = 0; place < *count; ++place) each(datagram(place));
    return count;
  }

  // Messages that found no room in the queue, since it was opened (SK_MEMINFO_DROPS, 64 bits wide). Known at
  // once, while the sequence tells how many copies were in them only with the next copy.
  [[nodiscard]] std::uint64_t dropped_messages();
  // What came and could not be taken: not the kernel's, no copies, too long, a length that lies.
  [[nodiscard]] std::uint64_t strange_messages() const { return strange_; }

 private:
  static constexpr std::size_t kSlots = 8;
  static constexpr std::size_t kSlotBytes = 2 * std::size_t{kMessageBytes};

  explicit NflogSocket(UniqueFd fd);
  // Errors: as open() has them.
  Result<void> bind_group(std::uint16_t group);
  // Sends `command` for a group and waits for what the kernel says to it: errno.
  [[nodiscard]] int command(std::uint8_t command, std::uint16_t group);
  [[nodiscard]] bool is_allowed();
  Result<std::size_t> receive_round();
  // Of the last round; empty if nobody but the kernel should have sent it.
  [[nodiscard]] std::span<const std::byte> datagram(std::size_t place);
  // Takes one message off the front of `datagram`; empty if it is no copy.
  [[nodiscard]] std::span<const std::byte> next_copy(std::span<const std::byte>& datagram);

  UniqueFd fd_;
  ByteCount receive_buffer_;
  std::uint32_t drops_seen_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t strange_ = 0;
  Scratch<std::byte> slots_;
  std::vector<iovec> parts_;
  std::vector<sockaddr_nl> senders_;
  std::vector<mmsghdr> headers_;
  std::vector<std::byte> early_;  // what came while groups were bound, until the first round
};

// Which process has the group, by the kernel's own list: "ulogd, process 4711"; empty where it does not tell,
// or nobody has it. For --check and for errors.
[[nodiscard]] std::string owner_of_group(std::uint16_t group);

}  // namespace natsession
