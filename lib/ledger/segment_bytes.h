// Numbers at fixed offsets of the byte layouts in FORMAT.md, little-endian.
// Shape:   `at` and the number's size lie within `bytes`; the constants of the layouts see to that.
// Threads: any.
#pragma once

#include <cstring>

#include "base/time.h"
#include "ledger/frame_bytes.h"

namespace natsession {

template <std::unsigned_integral Number>
void put_le(std::span<std::byte> bytes, std::size_t at, Number value) {
  value = in_little_endian(value);
  std::memcpy(bytes.data() + at, &value, sizeof(value));
}

template <std::unsigned_integral Number>
[[nodiscard]] Number get_le(std::span<const std::byte> bytes, std::size_t at) {
  return load_little_endian<Number>(bytes.data() + at);
}

inline void put_time(std::span<std::byte> bytes, std::size_t at, UnixMs time) {
  put_le(bytes, at, static_cast<std::uint64_t>(time.time_since_epoch().count()));
}

[[nodiscard]] inline UnixMs get_time(std::span<const std::byte> bytes, std::size_t at) {
  return UnixMs(std::chrono::milliseconds(static_cast<std::int64_t>(get_le<std::uint64_t>(bytes, at))));
}

}  // namespace natsession
