// DatagramSocket: sends datagrams to a local socket or a UDP endpoint, and waits for room no longer than it
// is told to.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "sink/sink_url.h"

namespace natsession {

class DatagramSocket {
 public:
  // Each returns errno, or 0.
  int connect_local(const std::string& path);
  int connect_udp(const SocketAddress& address);

  [[nodiscard]] bool is_open() const { return static_cast<bool>(fd_); }
  void close() { fd_.reset(); }

  // Sends `messages` in order. Sets `sent` to how many went out. Returns errno, or 0 if all did; EAGAIN if
  // there was no room for `limit`.
  int send(std::span<const std::string_view> messages, std::chrono::nanoseconds limit, std::size_t& sent);

  // The error that an earlier datagram met on its way, such as ECONNREFUSED; then it is forgotten.
  [[nodiscard]] int take_error();
  // Likewise, after waiting for one for `limit` at most; 0 if there was none.
  [[nodiscard]] int wait_for_error(std::chrono::nanoseconds limit);

  // UDP: what is longer than the path takes is EMSGSIZE from now on, and no longer cut into fragments.
  void forbid_fragments();
  // UDP: what fits into a packet of the path, as far as its MTU is known, and of `mtu` bytes with its
  // headers.
  [[nodiscard]] std::size_t longest_datagram(std::size_t mtu) const;

 private:
  int open(int family);

  UniqueFd fd_;
  int family_ = 0;
};

}  // namespace natsession
