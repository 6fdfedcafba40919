// Where the sinks of a network connect to: the host and port in a URL, and the addresses that they have.
// Threads: any; resolve() asks the system's resolver, which may take its own time.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "net/host_port.h"
#include "sink/sink_url.h"

namespace natsession {

// Reads what stands behind the scheme: //HOST, //HOST:PORT, //[IPV6]:PORT.
// Errors: kUsage, naming the URL and what is wrong with it.
[[nodiscard]] Result<HostPort> endpoint_of(const SinkUrl& url, std::uint16_t usual_port);

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// The addresses to try, in order; at least one. `type` is SOCK_STREAM or SOCK_DGRAM.
// Errors: kUnavailable, with the resolver's words.
[[nodiscard]] Result<std::vector<SocketAddress>> resolve(const HostPort& endpoint, int type);

}  // namespace natsession
