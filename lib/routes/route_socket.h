// RouteSocket: one non-blocking NETLINK_ROUTE socket, for events or for questions.
// Opened in the network namespace of the calling thread, where it stays. Needs no privilege.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace natsession {

class RouteSocket {
 public:
  // Errors: kUnavailable if the kernel has no NETLINK_ROUTE.
  [[nodiscard]] static Result<RouteSocket> open();

  // One that open() made, here or in another process, with the groups that it has joined.
  explicit RouteSocket(UniqueFd fd);

  // Joins a multicast group (enum rtnetlink_groups).
  Result<void> join(unsigned group);

  struct Message {
    std::uint16_t type = 0;              // RTM_*
    std::span<const std::byte> payload;  // behind nlmsghdr; until the next call of this socket
  };
  using Visit = std::function<void(const Message&)>;

  struct Answer {
    int error_number = 0;      // the kernel's, or that of a system call; 0: answered
    bool interrupted = false;  // what was listed changed meanwhile: something may be missing or twice
  };
  // Sends `request`, one whole nlmsghdr whose sequence number this sets, and visits what is answered. The
  // kernel answers before sending returns, so this never waits.
  Answer ask(std::span<std::byte> request, const Visit& visit);

  // The same in parts, for what may be long: begin(), then next_part() until it is done. 0, or errno.
  int begin(std::span<std::byte> request);
  enum class Part : std::uint8_t { kMore, kDone };
  // What was met is added to `answer`.
  Part next_part(Answer& answer, const Visit& visit);

  // Visits all that is queued. False if something is missing: the kernel had no room for it.
  bool take_events(const Visit& visit);

  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  enum class Took : std::uint8_t { kSome, kNothing, kLost };
  // Receives one datagram into buffer_.
  Took receive(std::span<const std::byte>& datagram, int& error_number);

  UniqueFd fd_;
  std::vector<std::byte> buffer_;
  std::uint32_t sequence_ = 0;
};

// Behind a header of type Header, which `payload` begins with, its attributes; empty if it is too short.
template <typename Header>
[[nodiscard]] std::span<const std::byte> attributes_behind(std::span<const std::byte> payload) {
  constexpr std::size_t kLength = (sizeof(Header) + 3) / 4 * 4;
  return payload.size() < kLength ? std::span<const std::byte>() : payload.subspan(kLength);
}

}  // namespace natsession
