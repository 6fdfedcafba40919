// Netlink attributes, walked in place: libmnl's mnl_attr_ok() and mnl_attr_next(), inlined and strict.
// Where libmnl stops silently at a length that does not fit, this walk says so. Nothing is read but through
// memcpy, so bytes may stand at any address.
// Threads: pure functions.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include <endian.h>

namespace natsession {

struct Attribute {
  std::uint16_t type = 0;  // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
  std::span<const std::byte> payload;
};

// NLA_ALIGN() for a size_t: the macro's int would change sign.
inline constexpr std::size_t kAttributeAlignment = NLA_ALIGNTO;

// Calls `visit(attribute)` for each attribute in `bytes`, until it returns false.
// Errors: false if `visit` did, if an attribute is longer than what is left or shorter than its own header,
// or if
//         one to three bytes remain behind the last one.
template <typename Visit>
[[nodiscard]] inline bool for_each_attribute(std::span<const std::byte> bytes, Visit&& visit) {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  while (left >= sizeof(nlattr)) {
    nlattr header{};
    std::memcpy(&header, at, sizeof(header));
    const std::size_t length = header.nla_len;
    if (length < sizeof(nlattr) || length > left) return false;
    const Attribute attribute{static_cast<std::uint16_t>(header.nla_type & NLA_TYPE_MASK),
                              {at + sizeof(nlattr), length - sizeof(nlattr)}};
    if (!visit(attribute)) return false;
    const std::size_t step = (length + kAttributeAlignment - 1) & ~(kAttributeAlignment - 1);
    if (step >= left) return true;  // the last attribute need not be padded
    at += step;
    left -= step;
  }
  return left == 0;
}

// Reads a big-endian integer of T's size. A newer kernel may make an attribute longer, never shorter.
// Errors: false if the payload is too short; `out` is unchanged then.
template <typename T>
[[nodiscard]] inline bool load_be(std::span<const std::byte> payload, T& out) {
  static_assert(std::is_unsigned_v<T>);
  if (payload.size() < sizeof(T)) return false;
  T value{};
  std::memcpy(&value, payload.data(), sizeof(T));
  if constexpr (sizeof(T) == 2) value = be16toh(value);
  if constexpr (sizeof(T) == 4) value = be32toh(value);
  if constexpr (sizeof(T) == 8) value = be64toh(value);
  out = value;
  return true;
}

// The same of an integer in this machine's byte order, as rtnetlink has them.
template <typename T>
[[nodiscard]] inline bool load_host(std::span<const std::byte> payload, T& out) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (payload.size() < sizeof(T)) return false;
  std::memcpy(&out, payload.data(), sizeof(T));
  return true;
}

}  // namespace natsession
