// HostPort: where a program listens or connects, as people write it: HOST:PORT, an IPv6 address in brackets.
// Threads: a plain value type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace natsession {

struct HostPort {
  std::string host;  // a name or an address; IPv6 without its brackets
  std::uint16_t port = 0;

  // Reads HOST:PORT or [IPV6]:PORT; with `usual_port`, also either without a port. The host may be empty; the
  // port is not 0.
  // Errors: kUsage, naming what is wrong.
  [[nodiscard]] static Result<HostPort> parse(std::string_view text,
                                              std::optional<std::uint16_t> usual_port = std::nullopt);

  [[nodiscard]] std::string to_string() const;  // as parse() reads it

  friend bool operator==(const HostPort&, const HostPort&) = default;
};

}  // namespace natsession
