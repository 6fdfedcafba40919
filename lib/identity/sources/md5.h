// Md5: the digest that RADIUS proves its packets with (RFC 2865, 2866, 3579). It is no protection against
// anything else, and used for nothing else; here rather than from OpenSSL, which refuses it where a machine's
// policy is strict.
// Threads: a plain value type.
// Source: RFC 1321, RFC 2104
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace natsession {

class Md5 {
 public:
  using Digest = std::array<std::uint8_t, 16>;

  void add(std::span<const std::uint8_t> bytes);
  [[nodiscard]] Digest finish();  // once

 private:
  void take_block(const std::uint8_t* block);

  std::array<std::uint32_t, 4> state_{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  std::array<std::uint8_t, 64> block_{};
  std::uint64_t length_ = 0;
};

[[nodiscard]] Md5::Digest hmac_md5(std::span<const std::uint8_t> key, std::span<const std::uint8_t> bytes);

// In a time that does not tell where they differ.
[[nodiscard]] bool is_same_digest(std::span<const std::uint8_t, 16> a, std::span<const std::uint8_t, 16> b);

}  // namespace natsession
