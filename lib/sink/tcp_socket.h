// TcpSocket: one TCP connection that never blocks: what is waited for, and how long, is the caller's to say.
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sink/endpoint.h"

namespace natsession {

class TcpSocket {
 public:
  // Connects to the first of the endpoint's addresses that answers, within `limit` for all of them.
  // Errors: kUnavailable, naming the endpoint and the cause at the last address.
  [[nodiscard]] static Result<TcpSocket> connect(const Endpoint& endpoint, std::chrono::nanoseconds limit);

  // Hands bytes to the kernel, as many as it takes now. Sets `sent`. Returns errno, or 0.
  int send(std::string_view bytes, std::size_t& sent);

  // Appends what has arrived, at most some KiB, to `in`. Returns errno, or 0. Sets `closed` if the peer will
  // send no more.
  int receive(std::string& in, bool& closed);

  // Bytes that were sent and that the peer's kernel has not acknowledged. 0 if the connection has died.
  [[nodiscard]] std::size_t unacknowledged() const;

  // Until something has arrived, or there is room where `for_room`, or `limit` has passed.
  void wait(bool for_room, std::chrono::nanoseconds limit) const;

  // Closes at once: what is on its way is forgotten, and the peer told so.
  void abort();

 private:
  explicit TcpSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace natsession
