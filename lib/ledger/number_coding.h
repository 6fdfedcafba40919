// How numbers become few bits: bits in a row, bytes as a size of packets.
// Threads: pure functions and plain value types.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ledger/bytes.h"

namespace natsession {

// Bits in a row, for numbers whose bits are as good as random: no compressor makes them fewer.
// Shape:  the first number's lowest bit is the lowest bit of the first byte; the last byte is filled up with
// zeros.

[[nodiscard]] constexpr std::size_t bytes_for_bits(std::uint64_t bits) {
  return static_cast<std::size_t>((bits + 7) / 8);
}

[[nodiscard]] constexpr std::uint64_t low_bits(unsigned count) {
  return count >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

// Behind the end there are zeros: the caller sees to it that it reads no further, or looks at place() in the
// end.
class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  // count <= 64.
  [[gnu::always_inline]] std::uint64_t get(unsigned count) {
    if (count > 56) [[unlikely]]
      return get_many(count);
    return get_few(count);
  }

  // The next bits, count <= 56, that are not taken by this.
  [[nodiscard, gnu::always_inline]] std::uint64_t peek(unsigned count) const {
    return (word_at(place_ / 8) >> (place_ % 8)) & low_bits(count);
  }
  void take(unsigned count) { place_ += count; }

  // How many ones stand next, at most `most` <= 56; a zero behind fewer is taken, too.
  unsigned ones(unsigned most) {
    const std::uint64_t word = word_at(place_ / 8) >> (place_ % 8);
    const auto count = std::min(most, static_cast<unsigned>(std::countr_one(word)));
    place_ += count + (count < most ? 1U : 0U);
    return count;
  }

  [[nodiscard]] std::size_t place() const { return place_; }  // in bits

 private:
  [[gnu::always_inline]] std::uint64_t get_few(unsigned count) {
    const std::uint64_t value = (word_at(place_ / 8) >> (place_ % 8)) & low_bits(count);
    place_ += count;
    return value;
  }
  [[gnu::noinline]] std::uint64_t get_many(unsigned count) {
    const std::uint64_t low = get_few(32);
    return low | get_few(count - 32) << 32;
  }
  [[nodiscard]] std::uint64_t word_at(std::size_t at) const {
    if (at + 8 <= bytes_.size()) [[likely]]
      return load_little_endian<std::uint64_t>(bytes_.data() + at);
    std::uint64_t word = 0;
    for (std::size_t byte = 0; at + byte < bytes_.size(); ++byte) {
      word |= std::to_integer<std::uint64_t>(bytes_[at + byte]) << (8 * byte);
    }
    return word;
  }

  std::span<const std::byte> bytes_;
  std::size_t place_ = 0;
};

// Bytes as a size of packets, and what is left over: bytes = packets * quotient + remainder.
// Shape:  by truncated binary code: with k the place of the highest bit of `packets` and u = 2^(k+1) - packets, a
//         remainder below u is k bits; of a larger one, plus u, first the k upper bits, then the lowest
//         A record whose packets are unknown or 0, or whose bytes are unknown, has no remainder: its quotient
//         is the code of its bytes. Of all others it is one more than the quotient.
// Threads: any.

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

template <typename Bits>
void put_remainder(std::uint64_t remainder, std::uint64_t packets, Bits& to) {
  const unsigned bits = truncated_binary::short_bits(packets);
  const std::uint64_t codes = truncated_binary::short_codes(packets);
  if (remainder < codes) return to.put(remainder, bits);
  to.put((remainder + codes) >> 1, bits);
  to.put((remainder + codes) & 1, 1);
}

[[nodiscard]] inline std::uint64_t get_remainder(std::uint64_t packets, BitReader& from) {
  const std::uint64_t codes = truncated_binary::short_codes(packets);
  const unsigned bits = truncated_binary::short_bits(packets);
  if (bits > 55) [[unlikely]] {
    const std::uint64_t upper = from.get(bits);
    return upper < codes ? upper : ((upper << 1) | from.get(1)) - codes;
  }
  // Whether one bit more is needed is as good as chance: no branch.
  const std::uint64_t both = from.peek(bits + 1);
  const std::uint64_t upper = both & low_bits(bits);
  const bool is_short = upper < codes;
  const std::uint64_t longer = ((upper << 1) | both >> bits) - codes;
  from.take(bits + (is_short ? 0 : 1));
  return is_short ? upper : longer;
}

}  // namespace natsession
