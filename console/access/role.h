// What somebody may do in the console.
// Threads: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace natsession::console {

// Each may what those before it may. kLook: how the logger is, and sums that name no host. kAsk: every
// question. kSteer: change something.
enum class Role : std::uint8_t { kLook, kAsk, kSteer };

[[nodiscard]] constexpr std::string_view to_string(Role role) {
  return role == Role::kLook ? "look" : role == Role::kAsk ? "ask" : "steer";
}
[[nodiscard]] constexpr std::optional<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::kLook, Role::kAsk, Role::kSteer}) {
    if (text == to_string(role)) return role;
  }
  return std::nullopt;
}

// Who asks.
struct Caller {
  std::string name;
  Role role = Role::kLook;
  std::string from;        // an address, or "unix"
  bool logged_in = false;  // by a password; else known by the user of the process
};

}  // namespace natsession::console
