// Protobuf on the wire, as far as the messages of the clouds' log services need it: numbers, and what has a
// length.
//
//   field  = key ( varint / length *OCTET )
//   key    = varint: the field's number, shifted by 3 bits, and its wire type: 0 for a varint, 2 for what has
//            a length
//   length = varint
//   varint = *( 7 bits with the highest bit set ) 7 bits, the lowest first
//
// Shape:   the writers write at `out`, which has room, and return the new end.
// Threads: any; pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace natsession {

inline constexpr std::size_t kMaxVarint = 10;

[[nodiscard]] constexpr std::size_t varint_length(std::uint64_t value) {
  std::size_t length = 1;
  for (; value >= 0x80; value >>= 7) ++length;
  return length;
}

constexpr char* write_varint(char* out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) *out++ = static_cast<char>(value | 0x80);
  *out++ = static_cast<char>(value);
  return out;
}

[[nodiscard]] constexpr char varint_key(unsigned field) {
  return static_cast<char>(field << 3);
}
[[nodiscard]] constexpr char bytes_key(unsigned field) {
  return static_cast<char>(field << 3 | 2);
}

// `field` < 16, here and below.
inline void append_bytes_head(std::string& out, unsigned field, std::size_t length) {
  char head[1 + kMaxVarint];
  head[0] = bytes_key(field);
  out.append(head, static_cast<std::size_t>(write_varint(head + 1, length) - head));
}
inline void append_bytes(std::string& out, unsigned field, std::string_view bytes) {
  append_bytes_head(out, field, bytes.size());
  out += bytes;
}

}  // namespace natsession
