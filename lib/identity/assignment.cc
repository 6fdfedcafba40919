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

}  // namespace natsession
