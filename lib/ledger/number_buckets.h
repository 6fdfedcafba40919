// Buckets: a number as a symbol of one byte, which an entropy coder makes small, and further bits, which are
// as good as random. With a mantissa of m bits, numbers below 2^(m+1) are their own symbols; of a larger one
// the symbol says where its highest bit stands and what the m bits behind are, and what is left are the
// further bits:
//   e = place of the highest bit;  symbol = (e - m) * 2^m + (number >> (e - m));  further = the low e - m
//   bits
// Threads: any.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "ledger/bit_packing.h"

namespace natsession {

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

}  // namespace natsession
