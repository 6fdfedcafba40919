// IpAddress as text, for the hot path: the text of IpAddress::write(), without inet_ntop(), which costs as
// much as the rest of a record, and without a branch on the lengths of IPv4 octets, which no predictor
// guesses.
// Shape:   writes at `out`, which must have room for IpAddress::kMaxTextLength, and returns the new end. No
//          NUL. Up to three bytes behind the new end, within that room, may be overwritten.
// Threads: any; pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "net/ip_address.h"
#include "record/text_writer.h"

namespace natsession {

namespace text_tables {

// Each octet as "7...", "42..", "255.": text and full stop in four bytes.
inline constexpr auto kOctets = [] {
  std::array<std::array<char, 4>, 256> octets{};
  for (std::size_t value = 0; value < octets.size(); ++value) {
    std::array<char, 4>& text = octets[value];
    text.fill('.');
    std::size_t at = 0;
    if (value >= 100) text[at++] = static_cast<char>('0' + value / 100);
    if (value >= 10) text[at++] = static_cast<char>('0' + value / 10 % 10);
    text[at] = static_cast<char>('0' + value % 10);
  }
  return octets;
}();

}  // namespace text_tables

inline char* write_octets(char* out, std::span<const std::uint8_t, 4> octets) {
  for (const std::uint8_t octet : octets) {
    std::memcpy(out, text_tables::kOctets[octet].data(), 4);
    out += 2 + (octet >= 10 ? 1 : 0) + (octet >= 100 ? 1 : 0);
  }
  return out - 1;
}

// Not for IPv4.
char* write_ipv6(char* out, const IpAddress& address);

inline char* write_address(char* out, const IpAddress& address) {
  if (!address.is_v4()) return write_ipv6(out, address);
  return write_octets(out, std::span(address.bytes()).last<4>());
}

// ADDRESS:PORT, an IPv6 address in brackets: so many characters at most, and kTextSlack of room behind them.
inline constexpr std::size_t kMaxEndpointLength = IpAddress::kMaxTextLength + 2 + 1 + 5;
inline char* write_endpoint(char* out, const IpAddress& address, std::uint16_t port) {
  const bool brackets = !address.is_v4();
  if (brackets) *out++ = '[';
  out = write_address(out, address);
  if (brackets) *out++ = ']';
  *out++ = ':';
  return write_uint(out, port);
}

}  // namespace natsession
