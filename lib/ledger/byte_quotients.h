// Bytes as a size of packets, and what is left over: bytes = packets * quotient + remainder.
// Shape:  remainders := length varint, and, unless that is 0, a block of so many bytes: bits (bit_packing.h)
//         of each
//                       record that has a remainder, in their order, by truncated binary code: with k the
//                       place of the highest bit of `packets` and u = 2^(k+1) - packets, a remainder below u
//                       is k bits; of a larger one, plus u, first the k upper bits, then the lowest
//         A record whose packets are unknown or 0, or whose bytes are unknown, has no remainder: its quotient
//         is the code of its bytes. Of all others it is one more than the quotient.
// Threads: any.
#pragma once

#include <bit>
#include <cstdint>

#include "ledger/bit_packing.h"

namespace natsession {

// Both are codes of counts: 0 is unknown, 1 none.
[[nodiscard]] inline bool has_remainder(std::uint64_t bytes_code, std::uint64_t packets_code) {
  return bytes_code > 0 && packets_code > 1;
}

struct Division {
  std::uint64_t quotient = 0;
  std::uint64_t remainder = 0;
};

// Most numbers are small, and a division of 32 bits is quicker than one of 64.
[[nodiscard]] inline Division divide(std::uint64_t bytes, std::uint64_t packets) {
  if ((bytes | packets) >> 32 == 0) {
    const auto narrow_bytes = static_cast<std::uint32_t>(bytes);
    const auto narrow_packets = static_cast<std::uint32_t>(packets);
    return {narrow_bytes / narrow_packets, narrow_bytes % narrow_packets};
  }
  return {bytes / packets, bytes % packets};
}

namespace truncated_binary {
[[nodiscard]] inline unsigned short_bits(std::uint64_t packets) {
  return static_cast<unsigned>(std::bit_width(packets)) - 1;
}
[[nodiscard]] inline std::uint64_t short_codes(std::uint64_t packets) {
  return low_bits(short_bits(packets) + 1) - packets + 1;
}
}  // namespace truncated_binary

[[nodiscard]] inline unsigned remainder_bits(std::uint64_t remainder, std::uint64_t packets) {
  return truncated_binary::short_bits(packets) + (remainder < truncated_binary::short_codes(packets) ? 0 : 1);
}

inline void put_remainder(std::uint64_t remainder, std::uint64_t packets, BitWriter& to) {
  const unsigned bits = truncated_binary::short_bits(packets);
  const std::uint64_t codes = truncated_binary::short_codes(packets);
  if (remainder < codes) return to.put(remainder, bits);
  to.put((remainder + codes) >> 1, bits);
  to.put((remainder + codes) & 1, 1);
}

[[nodiscard]] inline std::uint64_t get_remainder(std::uint64_t packets, BitReader& from) {
  const std::uint64_t codes = truncated_binary::short_codes(packets);
  const std::uint64_t upper = from.get(truncated_binary::short_bits(packets));
  if (upper < codes) return upper;
  return ((upper << 1) | from.get(1)) - codes;
}

}  // namespace natsession
