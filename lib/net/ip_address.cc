#include "net/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace natsession {
namespace {

char* write_octet(char* out, unsigned value) {
  if (value >= 100) {
    *out++ = static_cast<char>('0' + value / 100);
    value %= 100;
    *out++ = static_cast<char>('0' + value / 10);
  } else if (value >= 10) {
    *out++ = static_cast<char>('0' + value / 10);
  }
  *out++ = static_cast<char>('0' + value % 10);
  return out;
}

// The first `bits` of 16 bytes, the rest zero.
std::array<std::uint8_t, 16> masked(std::array<std::uint8_t, 16> bytes, unsigned bits) {
  for (unsigned i = 0; i < 16; ++i) {
    const unsigned kept = bits > i * 8 ? std::min(8U, bits - i * 8) : 0;
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & ~(0xffU >> kept));
  }
  return bytes;
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  // inet_pton() would read up to a NUL and not see what stands behind it.
  const bool whole = terminated.find('\0') == std::string::npos;
  std::uint32_t v4 = 0;
  if (whole && inet_pton(AF_INET, terminated.c_str(), &v4) == 1) return from_v4(v4);
  std::array<std::uint8_t, 16> v6{};
  if (whole && inet_pton(AF_INET6, terminated.c_str(), v6.data()) == 1) return from_v6(v6);
  return Error{ErrorKind::kUsage, "'" + terminated + "' is not an IPv4 or IPv6 address"};
}

char* IpAddress::write(char* out) const {
  if (is_v4()) {
    out = write_octet(out, bytes_[12]);
    for (std::size_t i = 13; i < 16; ++i) {
      *out++ = '.';
      out = write_octet(out, bytes_[i]);
    }
    return out;
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, bytes_.data(), text.data(), text.size());
  const std::size_t length = std::strlen(text.data());
  std::memcpy(out, text.data(), length);
  return out + length;
}

std::string IpAddress::to_string() const {
  std::array<char, kMaxTextLength> text{};
  return {text.data(), write(text.data())};
}

Result<Prefix> Prefix::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address)
    return Error{ErrorKind::kUsage,
                 "'" + std::string(text) + "' is not an address prefix such as 10.0.0.0/8"};

  const unsigned limit = address->is_v4() ? 32 : 128;
  unsigned length = limit;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc() || rest != digits.data() + digits.size() || length > limit) {
      return Error{ErrorKind::kUsage,
                   "'" + std::string(text) + "' has a bad prefix length: 0 to " + std::to_string(limit)};
    }
  }
  Prefix result;
  result.address_ = *address;
  result.bits_ = length + (128 - limit);
  if (masked(address->bytes(), result.bits_) != address->bytes()) {
    return Error{ErrorKind::kUsage, "'" + std::string(text) + "' has bits set behind its length"};
  }
  return result;
}

Prefix Prefix::of(const IpAddress& address, unsigned length) {
  const unsigned limit = address.is_v4() ? 32 : 128;
  Prefix result;
  result.bits_ = std::min(length, limit) + (128 - limit);
  result.address_ = IpAddress::from_v6(masked(address.bytes(), result.bits_));
  return result;
}

bool Prefix::contains(const IpAddress& address) const {
  return address.is_v4() == address_.is_v4() && masked(address.bytes(), bits_) == address_.bytes();
}

IpAddress Prefix::highest() const {
  auto bytes = address_.bytes();
  for (unsigned bit = bits_; bit < 128; ++bit) bytes[bit / 8] |= static_cast<std::uint8_t>(0x80 >> bit % 8);
  return IpAddress::from_v6(bytes);
}

std::string Prefix::to_string() const {
  return address_.to_string() + "/" + std::to_string(length());
}

}  // namespace natsession
