#include "record/sums.h"

#include <string>

namespace natsession {
namespace {

// In the order of SumField.
constexpr std::array<std::string_view, 8> kSumNames{"bytes_from_pub", "pkts_from_pub", "bytes_from_vpc",
                                                    "pkts_from_vpc",  "bytes",         "pkts",
                                                    "sessions",       "records"};

}  // namespace

std::string_view to_string(SumField sum) {
  return kSumNames[static_cast<std::size_t>(sum)];
}

Result<SumField> parse_sum_field(std::string_view name) {
  std::string message = "there is no sum '" + std::string(name) + "'; there are";
  for (std::size_t i = 0; i < kSumNames.size(); ++i) {
    if (kSumNames[i] == name) return static_cast<SumField>(i);
    message += " " + std::string(kSumNames[i]);
  }
  return Error{ErrorKind::kUsage, std::move(message)};
}

std::uint64_t Sums::of(SumField field) const {
  if (field == SumField::kSessions) return sessions;
  if (field == SumField::kRecords) return records;
  std::uint64_t total = 0;
  for (const CounterSum& counter : kCounterSums) {
    if (counter.own == field || counter.both == field) total = sum_of(total, this->*counter.sum);
  }
  return total;
}

}  // namespace natsession
