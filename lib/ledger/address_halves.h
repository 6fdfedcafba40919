// An address as two big-endian numbers of 64 bits: so addresses are compared, and differ, as numbers do.
// Threads: any; pure functions.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "ledger/bytes.h"
#include "net/ip_address.h"

namespace natsession {

struct Halves {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend auto operator<=>(const Halves&, const Halves&) = default;
};

[[nodiscard]] inline Halves halves_of(const IpAddress& address) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(address.bytes().data());
  return {__builtin_bswap64(load_little_endian<std::uint64_t>(bytes)),
          __builtin_bswap64(load_little_endian<std::uint64_t>(bytes + 8))};
}

[[nodiscard]] inline IpAddress address_of(const Halves& halves) {
  char bytes[16];
  store_little_endian(__builtin_bswap64(halves.high), bytes);
  store_little_endian(__builtin_bswap64(halves.low), bytes + 8);
  return IpAddress::from_v6(
      std::span<const std::uint8_t, 16>(reinterpret_cast<const std::uint8_t*>(bytes), 16));
}

}  // namespace natsession
