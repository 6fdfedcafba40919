// One end of a session, as a user writes it and as it is shown.
// Threads: any; pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/ip_address.h"

namespace natsession::ctl {

// "10.0.0.5", "10.0.0.0/8", "10.0.0.5:4000", ":4000", "fd64::2", "[fd64::2]:4000". Either part may be empty;
// neither is checked here.
struct Endpoint {
  std::string address;
  std::string port;
};
[[nodiscard]] Endpoint split_endpoint(std::string_view text);
// "203.0.113.7:40123", "[2001:db8::7]:40123"
[[nodiscard]] std::string endpoint_text(const IpAddress& address, std::uint16_t port);

}  // namespace natsession::ctl
