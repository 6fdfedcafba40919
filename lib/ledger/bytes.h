// The bytes of the ledger's files: read with every length checked, or at fixed offsets; little-endian.
// Threads: any; one object, one thread.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "base/time.h"

namespace natsession {

// Numbers in the bytes of a frame: little-endian on every machine, and varints.
// Shape:  varint := seven bits a byte, the lowest first, the top bit of each but the last set; at most ten
// bytes.

template <std::unsigned_integral T>
[[nodiscard]] constexpr T in_little_endian(T value) {
  if constexpr (std::endian::native == std::endian::big) {
    T swapped = 0;
    for (std::size_t byte = 0; byte < sizeof(T); ++byte) {
      swapped = static_cast<T>((swapped << 8) | ((value >> (8 * byte)) & 0xff));
    }
    return swapped;
  }
  return value;
}

// `from` need not be aligned; sizeof(T) bytes are read.
template <std::unsigned_integral T>
[[nodiscard]] T load_little_endian(const std::byte* from) {
  T value = 0;
  std::memcpy(&value, from, sizeof(value));
  return in_little_endian(value);
}

template <std::unsigned_integral T>
void store_little_endian(T value, char* to) {
  value = in_little_endian(value);
  std::memcpy(to, &value, sizeof(value));
}

template <std::unsigned_integral T>
void append_little_endian(T value, std::string& out) {
  char bytes[sizeof(T)];
  store_little_endian(value, bytes);
  out.append(bytes, sizeof(bytes));
}

inline void append_varint(std::uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

// Takes numbers off the front of untrusted bytes. What runs over the end gives zeros, and ok() says so from
// then on.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size(); }
  [[nodiscard]] std::span<const std::byte> rest() const { return bytes_; }

  std::span<const std::byte> take(std::uint64_t count) {
    if (count > bytes_.size()) {
      ok_ = false;
      bytes_ = {};
      return {};
    }
    const auto taken = bytes_.first(static_cast<std::size_t>(count));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

  std::uint8_t u8() {
    const auto byte = take(1);
    return byte.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(byte[0]);
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const std::uint8_t byte = u8();
      if (shift == 63 && byte > 1) break;
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return ok_ ? value : 0;
    }
    ok_ = false;
    return 0;
  }

  void fail() { ok_ = false; }

 private:
  std::span<const std::byte> bytes_;
  bool ok_ = true;
};

// Numbers at fixed offsets of the byte layouts in FORMAT.md, little-endian.
// Shape:   `at` and the number's size lie within `bytes`; the constants of the layouts see to that.
// Threads: any.

template <std::unsigned_integral Number>
void put_le(std::span<std::byte> bytes, std::size_t at, Number value) {
  value = in_little_endian(value);
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

template <std::unsigned_integral Number>
[[nodiscard]] Number get_le(std::span<const std::byte> bytes, std::size_t at) {
  return load_little_endian<Number>(bytes.data() + at);
}

// What a segment's header and trailer and a cursor's slot begin with: 8 bytes of magic, then these
// (FORMAT.md).
inline constexpr std::size_t kVersionAt = 8;
inline constexpr std::size_t kLengthAt = 10;
inline constexpr std::size_t kRequiredAt = 12;

inline void put_time(std::span<std::byte> bytes, std::size_t at, UnixMs time) {
  put_le(bytes, at, static_cast<std::uint64_t>(time.time_since_epoch().count()));
}

[[nodiscard]] inline UnixMs get_time(std::span<const std::byte> bytes, std::size_t at) {
  return UnixMs(std::chrono::milliseconds(static_cast<std::int64_t>(get_le<std::uint64_t>(bytes, at))));
}

}  // namespace natsession
