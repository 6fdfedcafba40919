#include "ledger/crc32c.h"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

#include "ledger/bytes.h"

namespace natsession {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;  // reflected

using Table = std::array<std::array<std::uint32_t, 256>, 8>;

// kTable[k][b]: what byte b, followed by k zero bytes, adds to the remainder.
constexpr Table make_table() {
  Table table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? kPolynomial : 0);
    table[0][byte] = remainder;
  }
  for (std::size_t zeros = 1; zeros < table.size(); ++zeros) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t shorter = table[zeros - 1][byte];
      table[zeros][byte] = (shorter >> 8) ^ table[0][shorter & 0xff];
    }
  }
  return table;
}

constexpr Table kTable = make_table();

#if defined(__x86_64__)
// An instruction takes three cycles, and one begins in each: so three stretches of bytes at once.
constexpr std::size_t kStretch = 1024;

// kBehind[k][b]: what byte b at place k of a remainder becomes behind a stretch of zeros.
constexpr auto kBehind = [] {
  std::array<std::uint32_t, 32> of_bit{};
  for (std::size_t bit = 0; bit < 32; ++bit) {
    std::uint32_t remainder = std::uint32_t{1} << bit;
    for (std::size_t zero = 0; zero < kStretch; ++zero)
      remainder = (remainder >> 8) ^ kTable[0][remainder & 0xff];
    of_bit[bit] = remainder;
  }
  std::array<std::array<std::uint32_t, 256>, 4> behind{};
  for (std::size_t place = 0; place < 4; ++place) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      for (std::size_t bit = 0; bit < 8; ++bit)
        behind[place][byte] ^= (byte >> bit & 1) != 0 ? of_bit[8 * place + bit] : 0;
    }
  }
  return behind;
}();

std::uint64_t behind_a_stretch(std::uint64_t remainder) {
  return kBehind[0][remainder & 0xff] ^ kBehind[1][remainder >> 8 & 0xff] ^
         kBehind[2][remainder >> 16 & 0xff] ^ kBehind[3][remainder >> 24 & 0xff];
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_by_instruction(std::span<const std::byte> bytes,
                                                                      std::uint32_t before) {
  std::uint64_t remainder = ~before;
  std::size_t at = 0;
  for (; at + 3 * kStretch <= bytes.size(); at += 3 * kStretch) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (const std::byte* from = bytes.data() + at; from != bytes.data() + at + kStretch; from += 8) {
      remainder = _mm_crc32_u64(remainder, load_little_endian<std::uint64_t>(from));
      second = _mm_crc32_u64(second, load_little_endian<std::uint64_t>(from + kStretch));
      third = _mm_crc32_u64(third, load_little_endian<std::uint64_t>(from + 2 * kStretch));
    }
    remainder = behind_a_stretch(behind_a_stretch(remainder) ^ second) ^ third;
  }
  for (; at + 8 <= bytes.size(); at += 8) {
    remainder = _mm_crc32_u64(remainder, load_little_endian<std::uint64_t>(bytes.data() + at));
  }
  auto narrow = static_cast<std::uint32_t>(remainder);
  for (; at < bytes.size(); ++at) narrow = _mm_crc32_u8(narrow, std::to_integer<std::uint8_t>(bytes[at]));
  return ~narrow;
}
#endif

}  // namespace

std::uint32_t crc32c_by_table(std::span<const std::byte> bytes, std::uint32_t before) {
  std::uint32_t remainder = ~before;
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    const std::uint64_t word = load_little_endian<std::uint64_t>(bytes.data() + at) ^ remainder;
    remainder = 0;
    for (std::size_t byte = 0; byte < 8; ++byte) remainder ^= kTable[7 - byte][(word >> (8 * byte)) & 0xff];
  }
  for (; at < bytes.size(); ++at) {
    remainder = (remainder >> 8) ^ kTable[0][(remainder ^ std::to_integer<std::uint32_t>(bytes[at])) & 0xff];
  }
  return ~remainder;
}

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return crc32c_by_instruction(bytes, before);
#endif
  return crc32c_by_table(bytes, before);
}

}  // namespace natsession
