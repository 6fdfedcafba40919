// IpAddress and Prefix: IPv4 and IPv6 in one 16-byte value, and its text.
// Shape: IPv4 stands as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so comparing bytes compares addresses. Conntrack
//         has no
//        flow of a real IPv4-mapped IPv6 address: the stack never puts one on the wire.
// Threads: plain value types.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace natsession {

class IpAddress {
 public:
  static constexpr std::size_t kMaxTextLength = 45;  // INET6_ADDRSTRLEN without the NUL

  constexpr IpAddress() = default;  // the IPv6 address ::

  // `address` in network byte order, as struct in_addr and CTA_IP_V4_SRC have it.
  [[nodiscard]] static IpAddress from_v4(std::uint32_t address) {
    IpAddress result;
    result.bytes_[10] = result.bytes_[11] = 0xff;
    std::memcpy(result.bytes_.data() + 12, &address, 4);
    return result;
  }
  [[nodiscard]] static IpAddress from_v6(std::span<const std::uint8_t, 16> address) {
    IpAddress result;
    std::memcpy(result.bytes_.data(), address.data(), 16);
    return result;
  }
  // Errors: kUsage, naming the text.
  [[nodiscard]] static Result<IpAddress> parse(std::string_view text);

  [[nodiscard]] bool is_v4() const {
    static constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return std::memcmp(bytes_.data(), kMapped.data(), kMapped.size()) == 0;
  }
  // Network byte order; only for is_v4().
  [[nodiscard]] std::uint32_t v4() const {
    std::uint32_t address = 0;
    std::memcpy(&address, bytes_.data() + 12, 4);
    return address;
  }
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }

  // Writes the text (RFC 5952 for IPv6) to `out`, at most kMaxTextLength characters and no NUL; returns its
  // end.
  char* write(char* out) const;
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

// An address prefix. Its bits behind the length are zero.
class Prefix {
 public:
  // Reads "10.0.0.0/8", "fd00::/8", or an address alone for its full length.
  // Errors: kUsage, naming the text, also when bits behind the length are set.
  [[nodiscard]] static Result<Prefix> parse(std::string_view text);
  // That of `length` bits in which the address is. A length beyond the family's is cut to that.
  [[nodiscard]] static Prefix of(const IpAddress& address, unsigned length);

  // An IPv4 prefix contains IPv4 addresses only, an IPv6 one (also ::/0) IPv6 addresses only.
  [[nodiscard]] bool contains(const IpAddress& address) const;
  // The first and the last address that it contains.
  [[nodiscard]] IpAddress lowest() const { return address_; }
  [[nodiscard]] IpAddress highest() const;
  [[nodiscard]] unsigned length() const { return address_.is_v4() ? bits_ - 96 : bits_; }
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Prefix&, const Prefix&) = default;

 private:
  IpAddress address_;
  unsigned bits_ = 0;  // of the 128
};

}  // namespace natsession
