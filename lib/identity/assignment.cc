#include "identity/assignment.h"

#include <array>
#include <cstring>
#include <utility>

namespace natsession {
namespace {

constexpr std::array<std::pair<AssignmentKind, std::string_view>, 6> kKinds{{
    {AssignmentKind::kLease, "lease"},
    {AssignmentKind::kDelegation, "delegation"},
    {AssignmentKind::kSession, "session"},
    {AssignmentKind::kNeighbour, "neighbour"},
    {AssignmentKind::kStatic, "static"},
    {AssignmentKind::kOther, "other"},
}};

}  // namespace

std::string_view to_string(AssignmentKind kind) {
  for (const auto& [known, name] : kKinds) {
    if (known == kind) return name;
  }
  return {};
}

std::optional<AssignmentKind> parse_assignment_kind(std::string_view name) {
  for (const auto& [kind, known] : kKinds) {
    if (known == name) return kind;
  }
  return std::nullopt;
}

std::string_view cut_identity_text(std::string_view text) {
  if (text.size() <= kMaxIdentityText) return text;
  std::size_t length = kMaxIdentityText;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80) --length;
  return text.substr(0, length);
}

char* write_octets(std::span<const std::uint8_t> octets, char* at) {
  using Digits = std::array<char, 4>;
  static constexpr auto kOctets = [] {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::array<Digits, 256> all{};
    for (std::size_t octet = 0; octet < all.size(); ++octet)
      all[octet] = {kDigits[octet >> 4U], kDigits[octet & 15U], ':', 0};
    return all;
  }();
  if (octets.empty()) return at;
  for (const std::uint8_t octet : octets.first(octets.size() - 1)) {
    std::memcpy(at, kOctets[octet].data(), sizeof(Digits));
    at += 3;
  }
  std::memcpy(at, kOctets[octets.back()].data(), 2);
  return at + 2;
}

void append_octets(std::span<const std::uint8_t> octets, std::string& out) {
  const std::size_t begin = out.size();
  out.resize(begin + octets_length(octets.size()));
  write_octets(octets, out.data() + begin);
}

}  // namespace natsession
