// Times as people write them on a command line, and as they are shown. The zone that a text without one was
// read in is part of the result, so that a program can say it; a time that the clocks showed twice or not at
// all is told.
//
//   2026-11-21T14:57:03.123Z, 2026-11-21 14:57:03+01:00      RFC 3339, also with a space, without seconds
//   2026-11-21 14:57:03.123, 2026-11-21 14:57, 2026-11-21    local
//   14:57, 14:57:03       local: today, or yesterday if that is still to come
//   today, yesterday, today 14:57, yesterday 14:57           local
//   now, -2h, -90s, -1d12h, 2h ago                           d h m s ms
//   1795263662, 1795263662.108                               Unix seconds
//   1795263662108                                            Unix milliseconds: numbers from 10^11 on
//
// Local is the zone of the process (TZ, /etc/localtime), as localtime_r() knows it.
// Threads: any; setenv("TZ") and tzset() are the caller's to keep apart.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace natsession {

enum class ZoneSource : std::uint8_t {
  kGiven,  // the text says it, or is Unix time
  kLocal,  // the process's zone was taken
  kNone,   // relative to now: no zone mattered
};

struct TimeReading {
  UnixMs time;
  // How exact the text was: 14:57 is a minute, 14:57:03 a second, 14:57:03.1 a tenth, a date is a day, Unix
  // seconds a second; 1 ms for relative times. What is meant lies in [time, time + precision).
  std::chrono::milliseconds precision{1};
  ZoneSource zone = ZoneSource::kNone;
  std::chrono::seconds utc_offset{};  // of `time` in that zone; local for kNone
  std::string zone_name;              // "CET", "UTC", "+05:30"
  // The clocks showed this time twice, as they were set back: `time` is the first, this the second.
  std::optional<UnixMs> again;
  // The clocks never showed it, as they were set forward: `time` is what it would have been without.
  bool skipped = false;

  [[nodiscard]] UnixMs last() const { return time + precision - std::chrono::milliseconds(1); }
};

// Errors: kUsage, naming the text and the forms that would do.
[[nodiscard]] Result<TimeReading> parse_time_text(std::string_view text, UnixMs now);

// "2026-11-21 14:57:03.123 CET": local, with the zone's name, or its offset where it has no name.
[[nodiscard]] std::string format_local_time(UnixMs time);
// "2026-11-21T14:57:03.123+01:00", and Z for an offset of zero. RFC 3339; local.
[[nodiscard]] std::string format_local_rfc3339(UnixMs time);
// What a program says when it read a text in a zone: "2026-11-21 14:57:00.000 CET (UTC+01:00, this machine's
// zone)", and that it was ambiguous or skipped.
[[nodiscard]] std::string describe(const TimeReading& reading);
// The process's zone: "Europe/Berlin" if TZ says so, else its name at `time`, with the offset: "CET
// (UTC+01:00)".
[[nodiscard]] std::string local_zone_text(UnixMs time);

}  // namespace natsession
