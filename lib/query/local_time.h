// The calendar of the process's zone, by localtime_r(): time to date and back, with what happens where the
// clocks are set back or forward.
// Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/time.h"

namespace natsession {

// A date and a time of day without a zone.
struct CivilTime {
  int year = 1970;
  int month = 1;  // 1 to 12
  int day = 1;    // 1 to 31
  int hour = 0;
  int minute = 0;
  int second = 0;
  int ms = 0;
  friend bool operator==(const CivilTime&, const CivilTime&) = default;
};

// Whether such a date exists; the years from 1 to 9999.
[[nodiscard]] bool is_date(int year, int month, int day);

// As if in UTC. Months below 1 and above 12, and other parts outside their ranges, carry over.
[[nodiscard]] UnixMs from_utc(const CivilTime& civil);
// For the years from 1 to 9999; times beyond are taken to the nearest of these.
[[nodiscard]] CivilTime to_utc(UnixMs time);

struct LocalTime {
  CivilTime civil;
  std::chrono::seconds utc_offset{};
  std::string zone;  // "CET"; "+05:30" where the zone has no name
};
[[nodiscard]] LocalTime to_local(UnixMs time);

struct LocalReading {
  UnixMs time;                  // the first, if the clocks showed it twice
  std::optional<UnixMs> again;  // the second
  bool skipped = false;         // the clocks never showed it: as if they had not been set forward
};
[[nodiscard]] LocalReading from_local(const CivilTime& civil);
// The same in a zone whose offset from UTC at a time is `offset_at(time)`.
[[nodiscard]] LocalReading read_civil(const CivilTime& civil,
                                      const std::function<std::chrono::seconds(UnixMs)>& offset_at);

// "+01:00"
[[nodiscard]] std::string offset_text(std::chrono::seconds offset);
// "2026-11-21", "14:57:03.123"
[[nodiscard]] std::string date_text(const CivilTime& civil);
[[nodiscard]] std::string clock_text(const CivilTime& civil, bool with_ms);

}  // namespace natsession
