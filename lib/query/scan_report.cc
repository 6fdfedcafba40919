#include "query/scan_report.h"

#include <algorithm>

namespace natsession {
namespace {

// Returns how many of `more` had been told.
template <typename T>
std::uint64_t add_new(std::vector<T>& told, const std::vector<T>& more) {
  std::uint64_t known = 0;
  const std::size_t before = told.size();
  for (const T& one : more) {
    const auto end = told.begin() + static_cast<std::ptrdiff_t>(before);
    if (std::find(told.begin(), end, one) != end) {
      ++known;
    } else if (told.size() < ScanReport::kMaxTold) {
      told.push_back(one);
    }
  }
  return known;
}

}  // namespace

std::string_view to_string(TroubleKind kind) {
  switch (kind) {
    case TroubleKind::kDamaged:
      return "damaged";
    case TroubleKind::kNewer:
      return "newer";
    case TroubleKind::kVanished:
      break;
  }
  return "vanished";
}

void ScanReport::merge(const ScanReport& other) {
  trouble_count += other.trouble_count - add_new(troubles, other.troubles);
  gap_count += other.gap_count - add_new(gaps, other.gaps);
  segments += other.segments;
  frames_skipped += other.frames_skipped;
  frames_read += other.frames_read;
  records_read += other.records_read;
  rows += other.rows;
  cancelled = cancelled || other.cancelled;
  sort();
}

void ScanReport::sort() {
  std::stable_sort(troubles.begin(), troubles.end(), [](const Trouble& a, const Trouble& b) {
    return a.time.from.value_or(UnixMs::min()) < b.time.from.value_or(UnixMs::min());
  });
  std::stable_sort(gaps.begin(), gaps.end(), [](const KnownGap& a, const KnownGap& b) {
    return a.from != b.from ? a.from < b.from : a.until < b.until;
  });
}

}  // namespace natsession
