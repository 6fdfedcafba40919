// What the analyses have in common: what is summed up, and what a group is named by.
//
// Traffic is what the records of the question's time carry: a record belongs to it by its end_time
// (Query::ended_within) or by any overlap (Query::overlapping), as the caller asks; no record is cut. A
// session is counted once, if any of its records is in the question: where its record with seq 0 is, if that
// is; where it had begun before, at one of its others. (Where a session's records differ in the field that
// groups them, as in event or tcp_state, one of these groups has it; which one is not said.) Sessions that
// were open when the question's time begins are remembered by their ids; beyond kMaxCarriedOver of them the
// count is too small, and said to be so. A counter that is unknown adds nothing, and is counted in `unknown`.
//
// Threads: plain value types.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "query/query.h"

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

// The value of a field as a group has it: nothing for "none".
using GroupValue = std::variant<std::monostate, std::uint64_t, IpAddress, std::string>;
// As the log's texts have it: words for events, 16 digits for session_id; "-" for none.
[[nodiscard]] std::string to_text(Field field, const GroupValue& value);

inline constexpr std::size_t kMaxGroupFields = 2;
inline constexpr std::size_t kMaxCarriedOver = 4'000'000;

}  // namespace natsession
