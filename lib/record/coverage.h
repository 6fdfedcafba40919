// Coverage: what is proved of a log: the times in which the logger was told of every session, and of which it
// has all records. See ARCHITECTURE.md, "Coverage".
// Threads: plain value types.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/time.h"

namespace natsession {

// What was watched; numbers as in ledger/FORMAT.md.
struct CoverageConditions {
  std::uint8_t events = 0;   // bits: new 1, update 2, destroy 4
  std::uint8_t nat = 0;      // snat 0, dnat 1, any 2
  std::uint8_t records = 0;  // window 0, end 1, start-end 2
  std::chrono::milliseconds window{};
  friend bool operator==(const CoverageConditions&, const CoverageConditions&) = default;
};
inline constexpr std::uint8_t kNatSource = 0;
inline constexpr std::uint8_t kRecordsByWindow = 0;
inline constexpr std::uint8_t kRecordsAtEndOnly = 1;

// All sessions that ended from `from` to `until` have their records, but for what gap records tell.
struct Coverage {
  std::string netns;  // empty: the logger's own
  UnixMs from, until;
  bool whole = false;  // sessions that were open at `until` have a record that says so, too
  CoverageConditions conditions;
  std::string instance = {};  // where a log has records of many boxes: of which
  friend bool operator==(const Coverage&, const Coverage&) = default;
};

}  // namespace natsession
