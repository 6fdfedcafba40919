// Times as people write them, on a command line and in a mail about abuse, and as they are shown. The zone
// that a text without one was read in is part of the result, so that a program can say it; a time that the
// clocks showed twice or not at all is told.
//
//   2026-11-21T14:57:03.123Z, 2026-11-21 14:57:03+01:00    RFC 3339, also with a space, a comma for the
//   point, 9:05 2026-11-21 14:57, 2026/11/21 14:57, 2026-11-21 21.11.2026 14:57              with points it
//   is day, month, year; with slashes the year is first Sat, 21 Nov 2026 14:57:03 +0100 (CET) RFC 2822
//   21/Nov/2026:14:57:03 +0100    as Apache logs it, in brackets or not
//   Nov 21 14:57:03               as syslog does: the last one that is not to come
//   Sat Nov 21 14:57:03 CET 2026  as date and asctime() do
//   Nov 21, 2026 2:57:03 PM       12-hour clock
//   14:57, 14:57:03               today, or yesterday if that is still to come
//   today, yesterday, today 14:57, yesterday 14:57
//   now, -2h, -90s, -1d12h, -1w, 2h ago, 2 hours ago       w d h m s ms
//   1795263662, 1795263662.108    Unix seconds; from 10^11 on milliseconds, from 10^14 on microseconds, from
//   10^17 on
//                                 nanoseconds. 0, or with @ before it, also a short one: @1000
//
// A time of day may have a zone behind it: Z, UTC, GMT, +01:00, +0100, UTC+1, CET, EST, Europe/Berlin
// (time_zone.h). One that has none is local: the zone of the process (TZ, /etc/localtime), as localtime_r()
// knows it. 21/11/2026 is refused: it may be the 11th month or the 21st.
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

// Which day a time of day means that says none, and is still to come today.
enum class ClockDay : std::uint8_t { kYesterday, kToday };

// Errors: kUsage, naming the text and the forms that would do, or what in it is not understood.
[[nodiscard]] Result<TimeReading> parse_time_text(std::string_view text, UnixMs now,
                                                  ClockDay day = ClockDay::kYesterday);

// "5m", "90s", "1h30m", "5 minutes": w d h m s ms, or in words.
// Errors: kUsage, naming the text and what would do.
[[nodiscard]] Result<std::chrono::milliseconds> parse_time_span(std::string_view text);

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
