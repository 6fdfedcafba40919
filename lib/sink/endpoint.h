// Endpoint: the host and port of a destination, as URLs name them, and the addresses that it has.
// Threads: a plain value type; resolve() asks the system's resolver, which may take its own time.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sink/sink_url.h"

namespace natsession {

struct Endpoint {
  std::string host;  // a name or an address; IPv6 without its brackets
  std::uint16_t port = 0;

  // Reads what stands behind the scheme: //HOST, //HOST:PORT, //[IPV6]:PORT.
  // Errors: kUsage, naming the URL and what is wrong with it.
  [[nodiscard]] static Result<Endpoint> parse(const SinkUrl& url, std::uint16_t default_port);

  [[nodiscard]] std::string to_string() const;  // HOST:PORT
};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// The addresses to try, in order; at least one. `type` is SOCK_STREAM or SOCK_DGRAM.
// Errors: kUnavailable, with the resolver's words.
[[nodiscard]] Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, int type);

}  // namespace natsession
