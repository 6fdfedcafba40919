// Sums: what records add up to: sessions, records, packets and bytes each way. The ledger keeps them ready
// beside its segments (ledger/segment_sums.h), and questions are answered by them (query/group.h).
//
// A record counts where its end_time lies. A session counts once, where its first record is (seq 0): so sums
// of parts add up to the sums of the whole, however the records were parted. A counter that is not known adds
// nothing; its record is counted in `unknown`.
//
// Threads: plain value types.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>

#include "base/result.h"
#include "record/fields.h"

namespace natsession {

enum class SumField : std::uint8_t {
  kBytesFromPub,
  kPktsFromPub,
  kBytesFromVpc,
  kPktsFromVpc,
  kBytes,  // both ways
  kPkts,
  kSessions,
  kRecords,
};
// bytes_from_pub … bytes pkts sessions records.
[[nodiscard]] std::string_view to_string(SumField sum);
// Errors: kUsage, naming the text and the names that would do.
[[nodiscard]] Result<SumField> parse_sum_field(std::string_view name);

struct Sums {
  std::uint64_t bytes_from_pub = 0;
  std::uint64_t pkts_from_pub = 0;
  std::uint64_t bytes_from_vpc = 0;
  std::uint64_t pkts_from_vpc = 0;
  std::uint64_t sessions = 0;
  std::uint64_t records = 0;
  std::uint64_t unknown = 0;  // records with a counter that is not known

  [[nodiscard]] std::uint64_t of(SumField field) const;
  void add(const Sums& other);
  friend bool operator==(const Sums&, const Sums&) = default;
};

// A counter of records, and the sums that it is part of.
struct CounterSum {
  Field field;
  SumField own;
  SumField both;  // both ways
  std::uint64_t Sums::*sum;
};
inline constexpr std::array<CounterSum, 4> kCounterSums{
    {{Field::kBytesFromPub, SumField::kBytesFromPub, SumField::kBytes, &Sums::bytes_from_pub},
     {Field::kPktsFromPub, SumField::kPktsFromPub, SumField::kPkts, &Sums::pkts_from_pub},
     {Field::kBytesFromVpc, SumField::kBytesFromVpc, SumField::kBytes, &Sums::bytes_from_vpc},
     {Field::kPktsFromVpc, SumField::kPktsFromVpc, SumField::kPkts, &Sums::pkts_from_vpc}}};

// Sums end at 2^64 - 1 and stay there.
[[nodiscard]] constexpr std::uint64_t sum_of(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum < a ? std::numeric_limits<std::uint64_t>::max() : sum;
}

inline void Sums::add(const Sums& other) {
  for (const CounterSum& counter : kCounterSums) {
    this->*counter.sum = sum_of(this->*counter.sum, other.*counter.sum);
  }
  sessions += other.sessions;
  records += other.records;
  unknown += other.unknown;
}

// What of `value` lies before `moment`, where it is spread evenly over [start, end) and `moment` is within.
// It is rounded down: so what lies between moments adds up to the value, however many there are.
// Units:  ms; start < end.
[[nodiscard]] constexpr std::uint64_t share_before(std::uint64_t value, std::int64_t start, std::int64_t end,
                                                   std::int64_t moment) {
  const auto part = static_cast<std::uint64_t>(moment) - static_cast<std::uint64_t>(start);
  const auto whole = static_cast<std::uint64_t>(end) - static_cast<std::uint64_t>(start);
  if ((value | part) >> 32 == 0) return value * part / whole;
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(static_cast<Wide>(value) * part / whole);
}

}  // namespace natsession
