#include "ledger/column_context.h"

#include <algorithm>
#include <array>
#include <vector>

namespace natsession {

std::uint32_t allowed_contexts(ColumnId column) {
  using enum ColumnContext;
  const std::uint32_t of_session = context_bit(kNone) | context_bit(kProtocol) | context_bit(kService);
  switch (column) {
    case ColumnId::kPriPort:
    case ColumnId::kNatPort:
      return context_bit(kNone) | context_bit(kProtocol);
    case ColumnId::kPubPort:
      return context_bit(kNone) | context_bit(kProtocol);
    case ColumnId::kOutcome:
      return of_session;
    case ColumnId::kSessionAge:
      return of_session;
    case ColumnId::kStartTime:
    case ColumnId::kSeq:
    case ColumnId::kPktsFromVpc:
      return of_session | context_bit(kKind) | context_bit(kContinued);
    case ColumnId::kPktsFromPub:
    case ColumnId::kBytesFromVpc:
      return of_session | context_bit(kKind) | context_bit(kPktsFromVpc);
    case ColumnId::kBytesFromPub:
      return of_session | context_bit(kKind) | context_bit(kPktsFromVpc) | context_bit(kPktsFromPub);
    default:
      return context_bit(kNone);
  }
}

bool may_go_by_address(ColumnId column, std::uint8_t key) {
  switch (column) {
    case ColumnId::kVpcId:
    case ColumnId::kNatIp:
      return key == kByPriIp;
    case ColumnId::kPubPort:
    case ColumnId::kProtocol:
      return key == kByPubIp;
    case ColumnId::kZone:
    case ColumnId::kMark:
      return key == kByPriIp;
    default:
      return false;
  }
}

void group_by_frequency(std::span<const std::uint16_t> keys, std::span<std::uint8_t> groups) {
  std::array<std::uint32_t, kKinds> counts{};
  for (const std::uint16_t key : keys) ++counts[key];
  std::vector<std::uint16_t> present;
  for (std::uint16_t key = 0; key < kKinds; ++key) {
    if (counts[key] != 0) present.push_back(key);
  }
  std::stable_sort(present.begin(), present.end(),
                   [&](std::uint16_t left, std::uint16_t right) { return counts[left] > counts[right]; });
  std::array<std::uint8_t, kKinds> group_of;
  for (std::size_t place = 0; place < present.size(); ++place) {
    group_of[present[place]] = static_cast<std::uint8_t>(std::min(place, kMaxGroups - 1));
  }
  for (std::size_t i = 0; i < keys.size(); ++i) groups[i] = group_of[keys[i]];
}

GroupEnds ends_of(std::span<const std::uint8_t> groups) {
  std::array<std::array<std::uint32_t, kMaxGroups>, 4> counts{};  // four, as one would wait for itself
  for (std::size_t i = 0; i < groups.size(); ++i) ++counts[i % 4][groups[i]];
  GroupEnds ends{};
  for (std::size_t g = 0; g < kMaxGroups; ++g) {
    ends[g + 1] = ends[g] + counts[0][g] + counts[1][g] + counts[2][g] + counts[3][g];
  }
  return ends;
}

}  // namespace natsession
