// Source: RFC 5952, sections 4 and 5.
#include "record/address_text.h"

#include <string_view>

namespace natsession {
namespace {

constexpr std::size_t kGroupCount = 8;

// The groups that "::" stands for: the longest run of zeros, the first of several, and never a single group.
struct Gap {
  std::size_t begin = kGroupCount;
  std::size_t end = kGroupCount;
};

Gap find_gap(std::span<const std::uint16_t, kGroupCount> groups) {
  Gap gap;
  std::size_t longest = 1;
  for (std::size_t begin = 0; begin < kGroupCount; ++begin) {
    std::size_t end = begin;
    while (end < kGroupCount && groups[end] == 0) ++end;
    if (end - begin > longest) {
      longest = end - begin;
      gap = {begin, end};
    }
    if (end > begin) begin = end;
  }
  return gap;
}

char* write_group(char* out, unsigned group) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  if (group >= 0x1000) *out++ = kDigits[group >> 12];
  if (group >= 0x100) *out++ = kDigits[group >> 8 & 0xf];
  if (group >= 0x10) *out++ = kDigits[group >> 4 & 0xf];
  *out++ = kDigits[group & 0xf];
  return out;
}

}  // namespace

char* write_ipv6(char* out, const IpAddress& address) {
  const auto& bytes = address.bytes();
  std::array<std::uint16_t, kGroupCount> groups{};
  for (std::size_t i = 0; i < kGroupCount; ++i) {
    groups[i] = static_cast<std::uint16_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  }
  const Gap gap = find_gap(groups);
  // ::a.b.c.d, the IPv4-compatible address of RFC 4291, 2.5.5.1.
  const bool embeds_v4 = gap.begin == 0 && gap.end == 6;

  for (std::size_t i = 0; i < kGroupCount;) {
    if (i == gap.begin) {
      *out++ = ':';
      *out++ = ':';
      i = gap.end;
      continue;
    }
    if (embeds_v4) return write_octets(out, std::span(bytes).last<4>());
    if (i > 0 && i != gap.end) *out++ = ':';
    out = write_group(out, groups[i]);
    ++i;
  }
  return out;
}

}  // namespace natsession
