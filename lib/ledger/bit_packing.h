// Bits in a row, for numbers whose bits are as good as random: no compressor makes them fewer.
// Shape:  the first number's lowest bit is the lowest bit of the first byte; the last byte is filled up with
// zeros.
// Threads: plain value types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "ledger/frame_bytes.h"

namespace natsession {

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

}  // namespace natsession
