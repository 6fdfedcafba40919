// What a user writes for one end of a session.
// Threads: any; pure functions.
#pragma once

#include <string>
#include <string_view>

namespace natsession::ctl {

// "10.0.0.5", "10.0.0.0/8", "10.0.0.5:4000", ":4000", "fd64::2", "[fd64::2]:4000". Either part may be empty;
// neither is checked here.
struct Endpoint {
  std::string address;
  std::string port;
};
[[nodiscard]] Endpoint split_endpoint(std::string_view text);

}  // namespace natsession::ctl
