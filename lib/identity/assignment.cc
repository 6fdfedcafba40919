#include "identity/assignment.h"

#include <array>
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

void append_octets(std::span<const std::uint8_t> octets, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const std::size_t begin = out.size();
  if (!octets.empty()) out.resize(begin + 3 * octets.size() - 1, ':');
  for (std::size_t i = 0; i < octets.size(); ++i) {
    out[begin + 3 * i] = kDigits[octets[i] >> 4U];
    out[begin + 3 * i + 1] = kDigits[octets[i] & 15U];
  }
}

}  // namespace natsession
