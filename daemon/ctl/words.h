// Numbers, sizes, times and texts as people read them.
// Threads: one; times are in the time zone of the process.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "net/ip_address.h"

namespace natsession::ctl {

[[nodiscard]] std::string grouped(std::uint64_t number);                    // 12,345
[[nodiscard]] std::string bytes_in_words(std::uint64_t bytes);              // 1.2 GiB
[[nodiscard]] std::string time_in_words(UnixMs time);                       // 2026-11-21 14:57:03
[[nodiscard]] std::string span_in_words(std::chrono::milliseconds length);  // 3d 4h, 12s, 0.4s
// Text from elsewhere, without what would move a terminal's cursor: on one line.
[[nodiscard]] std::string printable(std::string_view text);

// One end of a session, as a user writes it and as it is shown.
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
