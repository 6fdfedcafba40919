#include "identity/sources/md5.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace natsession {
namespace {

constexpr std::array<int, 16> kShifts{7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};

// floor(2^32 * |sin(i + 1)|), as RFC 1321 defines its table.
const std::array<std::uint32_t, 64>& sines() {
  static const std::array<std::uint32_t, 64> kTable = [] {
    std::array<std::uint32_t, 64> table{};
    for (std::size_t i = 0; i < table.size(); ++i)
      table[i] = static_cast<std::uint32_t>(
          std::floor(4294967296.0 * std::fabs(std::sin(static_cast<double>(i + 1)))));
    return table;
  }();
  return kTable;
}

std::uint32_t little_endian(const std::uint8_t* bytes) {
  return bytes[0] | static_cast<std::uint32_t>(bytes[1]) << 8U | static_cast<std::uint32_t>(bytes[2]) << 16U |
         static_cast<std::uint32_t>(bytes[3]) << 24U;
}

}  // namespace

void Md5::take_block(const std::uint8_t* block) {
  auto [a, b, c, d] = state_;
  for (unsigned i = 0; i < 64; ++i) {
    std::uint32_t mixed = 0;
    unsigned word = 0;
    switch (i / 16) {
      case 0:
        mixed = (b & c) | (~b & d);
        word = i;
        break;
      case 1:
        mixed = (d & b) | (~d & c);
        word = (5 * i + 1) % 16;
        break;
      case 2:
        mixed = b ^ c ^ d;
        word = (3 * i + 5) % 16;
        break;
      default:
        mixed = c ^ (b | ~d);
        word = (7 * i) % 16;
        break;
    }
    const std::uint32_t sum = a + mixed + sines()[i] + little_endian(block + word * 4U);
    a = d;
    d = c;
    c = b;
    b += std::rotl(sum, kShifts[i / 16 * 4 + i % 4]);
  }
  state_[0] += a;
  state_[1] += b;
  state_[2] += c;
  state_[3] += d;
}

void Md5::add(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const std::size_t held = length_ % block_.size();
    const std::size_t taken = std::min(block_.size() - held, bytes.size());
    std::memcpy(block_.data() + held, bytes.data(), taken);
    length_ += taken;
    bytes = bytes.subspan(taken);
    if (held + taken == block_.size()) take_block(block_.data());
  }
}

Md5::Digest Md5::finish() {
  const std::uint64_t bits = length_ * 8;
  static constexpr std::array<std::uint8_t, 64> kPadding{0x80};
  add(std::span(kPadding).first((119 - length_ % 64) % 64 + 1));
  std::array<std::uint8_t, 8> end{};
  for (std::size_t i = 0; i < end.size(); ++i) end[i] = static_cast<std::uint8_t>(bits >> (8 * i));
  add(end);
  Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<std::uint8_t>(state_[i / 4] >> (8 * (i % 4)));
  return digest;
}

Md5::Digest hmac_md5(std::span<const std::uint8_t> key, std::span<const std::uint8_t> bytes) {
  std::array<std::uint8_t, 64> padded{};
  if (key.size() > padded.size()) {
    Md5 of_key;
    of_key.add(key);
    const Md5::Digest digest = of_key.finish();
    std::copy(digest.begin(), digest.end(), padded.begin());
  } else {
    std::copy(key.begin(), key.end(), padded.begin());
  }
  const auto mixed = [&](std::uint8_t with) {
    std::array<std::uint8_t, 64> out{};
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(padded[i] ^ with);
    return out;
  };
  Md5 inner;
  inner.add(mixed(0x36));
  inner.add(bytes);
  Md5 outer;
  outer.add(mixed(0x5c));
  outer.add(inner.finish());
  return outer.finish();
}

bool is_same_digest(std::span<const std::uint8_t, 16> a, std::span<const std::uint8_t, 16> b) {
  unsigned differences = 0;
  for (std::size_t i = 0; i < a.size(); ++i) differences |= static_cast<unsigned>(a[i] ^ b[i]);
  return differences == 0;
}

}  // namespace natsession
