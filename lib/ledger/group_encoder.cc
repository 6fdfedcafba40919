#include "ledger/group_encoder.h"

#include <algorithm>
#include <numeric>

namespace natsession {

void GroupEncoder::encode(std::span<const SessionRecord> records, Ordinal first,
                          std::chrono::milliseconds window, std::string& out) {
  const auto is_long = [&](const SessionRecord& record) {
    return record.end_time - record.start_time > window;
  };
  for (auto& ordinals : ordinals_) ordinals.clear();
  const bool first_is_long = is_long(records.front());
  if (std::all_of(records.begin(), records.end(),
                  [&](const SessionRecord& record) { return is_long(record) == first_is_long; })) {
    ordinals_[0].resize(records.size());
    std::iota(ordinals_[0].begin(), ordinals_[0].end(), first);
    encoder_.encode(records, ordinals_[0], first_is_long, out);
    return;
  }
  for (auto& apart : apart_) apart.clear();
  for (std::size_t index = 0; index < records.size(); ++index) {
    const std::size_t which = is_long(records[index]) ? 1 : 0;
    apart_[which].push_back(records[index]);
    ordinals_[which].push_back(first + index);
  }
  for (const bool which : {first_is_long, !first_is_long}) {
    const std::size_t index = which ? 1 : 0;
    encoder_.encode(apart_[index], ordinals_[index], which, out);
  }
}

}  // namespace natsession
