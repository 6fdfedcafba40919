// How numbers become few bits: bits in a row, buckets for an entropy coder, bytes as a size of packets.
// Threads: pure functions and plain value types.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

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

// Appends exactly the bits that it was told of at the beginning.
class BitWriter {
 public:
  BitWriter(std::uint64_t bits, std::string& out) : out_(out), at_(out.size()) {
    end_ = at_ + bytes_for_bits(bits);
    out.resize(end_ + 16);  // whole words are stored
  }
  ~BitWriter() {
    store_little_endian(word_, out_.data() + at_);
    out_.resize(end_);
  }
  BitWriter(const BitWriter&) = delete;
  BitWriter& operator=(const BitWriter&) = delete;

  // `value` < 2^count, count <= 64.
  void put(std::uint64_t value, unsigned count) {
    word_ |= value << filled_;
    filled_ += count;
    if (filled_ < 64) return;
    store_little_endian(word_, out_.data() + at_);
    at_ += 8;
    filled_ -= 64;
    word_ = filled_ == 0 ? 0 : value >> (count - filled_);
  }

 private:
  std::string& out_;
  std::size_t at_;
  std::size_t end_ = 0;
  std::uint64_t word_ = 0;
  unsigned filled_ = 0;  // below 64
};

// Behind the end there are zeros: the caller sees to it that it reads no further, or looks at place() in the
// end.
class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  // count <= 64.
  std::uint64_t get(unsigned count) {
    if (count > 56) [[unlikely]] {
      const std::uint64_t low = get(32);
      return low | get(count - 32) << 32;
    }
    const std::uint64_t value = (word_at(place_ / 8) >> (place_ % 8)) & low_bits(count);
    place_ += count;
    return value;
  }

  [[nodiscard]] std::size_t place() const { return place_; }  // in bits

 private:
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

// Buckets: a number as a symbol of one byte, which an entropy coder makes small, and further bits, which are
// as good as random. With a mantissa of m bits, numbers below 2^(m+1) are their own symbols; of a larger one
// the symbol says where its highest bit stands and what the m bits behind are, and what is left are the
// further bits:
//   e = place of the highest bit;  symbol = (e - m) * 2^m + (number >> (e - m));  further = the low e - m
//   bits
// Threads: any.

inline constexpr unsigned kMaxMantissa = 7;

struct Bucket {
  std::uint8_t symbol;
  std::uint8_t bits;  // how many further bits
};

// `number` <= bucket_limit(mantissa).
[[nodiscard]] inline Bucket bucket_of(std::uint64_t number, unsigned mantissa) {
  const auto width = static_cast<unsigned>(std::bit_width(number));
  if (width <= mantissa + 1) return {static_cast<std::uint8_t>(number), 0};
  const unsigned bits = width - 1 - mantissa;
  return {static_cast<std::uint8_t>((bits << mantissa) + static_cast<unsigned>(number >> bits)),
          static_cast<std::uint8_t>(bits)};
}

// The largest number whose symbol is a byte.
[[nodiscard]] constexpr std::uint64_t bucket_limit(unsigned mantissa) {
  const unsigned bits = (256U >> mantissa) - 2;
  return low_bits(bits + mantissa + 1);
}

inline constexpr std::uint8_t kNoBucket = 0xff;

// For each symbol the smallest number that has it, and its further bits: kNoBucket if no number has it.
struct BucketTable {
  std::array<std::uint64_t, 256> base{};
  std::array<std::uint8_t, 256> bits{};
};

[[nodiscard]] constexpr BucketTable make_bucket_table(unsigned mantissa) {
  BucketTable table;
  for (unsigned symbol = 0; symbol < 256; ++symbol) {
    if (symbol < (2U << mantissa)) {
      table.base[symbol] = symbol;
      continue;
    }
    const unsigned bits = (symbol >> mantissa) - 1;
    const bool exists = bits + mantissa < 64;
    const std::uint64_t head = (1U << mantissa) | (symbol & ((1U << mantissa) - 1));
    table.base[symbol] = exists ? head << bits : 0;
    table.bits[symbol] = exists ? static_cast<std::uint8_t>(bits) : kNoBucket;
  }
  return table;
}

inline constexpr std::array<BucketTable, kMaxMantissa + 1> kBucketTables = {
    make_bucket_table(0), make_bucket_table(1), make_bucket_table(2), make_bucket_table(3),
    make_bucket_table(4), make_bucket_table(5), make_bucket_table(6), make_bucket_table(7)};

// Bytes as a size of packets, and what is left over: bytes = packets * quotient + remainder.
// Shape:  remainders := length varint, and, unless that is 0, a block of so many bytes: bits (BitWriter)
//         of each
//                       record that has a remainder, in their order, by truncated binary code: with k the
//                       place of the highest bit of `packets` and u = 2^(k+1) - packets, a remainder below u
//                       is k bits; of a larger one, plus u, first the k upper bits, then the lowest
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
