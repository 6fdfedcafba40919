// NetlinkSocket: one non-blocking NETLINK_NETFILTER socket, and what can be asked of it.
// Opened in the network namespace of the calling thread (see NetworkNamespace), where it stays.
// Threads: one at a time.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/byte_count.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "session/settings.h"

namespace natsession {

// The largest buffer that the kernel's int can say, once it has doubled it.
inline constexpr ByteCount kMaxReceiveBuffer{(std::uint64_t{1} << 30U) - 1};

class NetlinkSocket {
 public:
  // Errors: kUnavailable if the kernel has no NETLINK_NETFILTER.
  [[nodiscard]] static Result<NetlinkSocket> open();
  // One that open() made, here or in another process.
  // Errors: it is none.
  [[nodiscard]] static Result<NetlinkSocket> adopt(UniqueFd fd);

  // From now on only what the classic BPF `program` passes is queued.
  Result<void> attach_filter(std::span<const sock_filter> program);

  // Sets the receive buffer, beyond net.core.rmem_max where CAP_NET_ADMIN allows it. Returns what was
  // granted, in the same unit: the kernel doubles what it is asked for, to pay for its own overhead, and this
  // halves it again. More than kMaxReceiveBuffer is cut to that.
  Result<ByteCount> set_receive_buffer(ByteCount asked);
  [[nodiscard]] Result<ByteCount> receive_buffer() const;

  // Joins a multicast group (enum nfnetlink_groups). Needs CAP_NET_ADMIN in the namespace's user namespace.
  Result<void> join(unsigned group);
  // Leaves it; what is queued stays queued.
  Result<void> leave(unsigned group);
  // Whether it has joined it, here or in another process.
  [[nodiscard]] Result<bool> is_member(unsigned group) const;

  // NETLINK_NO_ENOBUFS: an overrun is not told by an error, and does not stop the queueing until the queue is
  // empty.
  Result<void> set_no_enobufs();
  // NETLINK_BROADCAST_ERROR: the kernel learns that an event could not be queued here, and sends a DESTROY
  // again. May be set and cleared at any time.
  Result<void> set_broadcast_error(bool on);

  // Sends one request to the kernel. For a dump or a query the answer is queued when this returns.
  Result<void> send(std::span<const std::byte> request);

  // What one receive() met.
  struct Datagram {
    std::size_t length = 0;  // 0: nothing was queued
    std::uint32_t sender_port = 0;
    bool truncated = false;  // the rest of it is lost
  };
  // Takes one datagram to the front of `buffer`. Never blocks; retries when interrupted.
  // Errors: kIo, with the cause.
  Result<Datagram> receive(std::span<std::byte> buffer);

  struct Queue {
    bool empty = true;
    // How many messages the kernel could not queue here since the socket was opened (SK_MEMINFO_DROPS, made
    // 64 bits wide: the kernel's counter wraps, so ask more often than four thousand million drops).
    std::uint64_t dropped = 0;
  };
  [[nodiscard]] Queue queue();
  [[nodiscard]] std::uint64_t dropped() { return queue().dropped; }

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::uint32_t port() const { return port_; }  // who this socket is to the kernel

 private:
  NetlinkSocket(UniqueFd fd, std::uint32_t port) : fd_(std::move(fd)), port_(port) {}

  UniqueFd fd_;
  std::uint32_t port_ = 0;
  std::uint32_t drops_seen_ = 0;
  std::uint64_t dropped_ = 0;
};

// The filter in the kernel: a classic BPF program that lets only events of NATed flows into the socket's
// queue, so that all others neither wake the collector nor fill its buffer. What it drops is not a lost event
// to the kernel.
// Threads: pure functions.

using BpfProgram = std::array<sock_filter, 12>;

// Passes: ctnetlink NEW, UPDATE and DESTROY whose CTA_STATUS has a bit of the selection, and those without
// CTA_STATUS,
//         about which user space then decides by the tuples.
// Drops:  everything else, NLMSG_ERROR and NLMSG_DONE included: so the socket cannot be used for requests.
[[nodiscard]] BpfProgram nat_event_filter(NatSelection selection);

}  // namespace natsession
