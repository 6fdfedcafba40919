// What the readers of rtnetlink's messages share.
// Threads: pure functions.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "net/ip_address.h"

namespace natsession {

// The address that an attribute has, of the family AF_INET or AF_INET6; none if it is too short.
[[nodiscard]] inline std::optional<IpAddress> address_in(std::span<const std::byte> payload,
                                                         std::uint8_t family) {
  std::array<std::uint8_t, 16> bytes{};
  const std::size_t length = family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
  if (length == 0 || payload.size() < length) return std::nullopt;
  std::memcpy(bytes.data(), payload.data(), length);
  if (family == AF_INET6) return IpAddress::from_v6(bytes);
  std::uint32_t v4 = 0;
  std::memcpy(&v4, bytes.data(), sizeof v4);
  return IpAddress::from_v4(v4);
}

}  // namespace natsession
