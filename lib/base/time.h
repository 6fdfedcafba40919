// Points in time, and the clock that the rest of the project asks for them.
// Units: the type says it. The kernel stamps in nanoseconds; milliseconds are the resolution of the log.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace natsession {

using UnixNs = std::chrono::sys_time<std::chrono::nanoseconds>;   // since 1970, UTC
using UnixMs = std::chrono::sys_time<std::chrono::milliseconds>;  // since 1970, UTC

[[nodiscard]] constexpr UnixMs to_ms(UnixNs time) {
  return std::chrono::floor<std::chrono::milliseconds>(time);
}

// Time since the machine was booted, also while it slept, and which boot that was. The wall clock may be set
// meanwhile; so it tells across a restart of the program how much time has passed.
struct BootTime {
  std::string id;                    // empty: not known
  std::chrono::nanoseconds since{};  // CLOCK_BOOTTIME
  [[nodiscard]] bool is_later_in(const BootTime& before) const {
    return !id.empty() && id == before.id && since >= before.since;
  }
};

// Wall-clock and steady time.
// Threads: every implementation may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual UnixNs now() const = 0;
  [[nodiscard]] virtual std::chrono::nanoseconds steady()
      const = 0;  // never steps; only differences mean anything
  [[nodiscard]] virtual BootTime boot() const = 0;
  // The kernel says that a time source keeps its wall clock (NTP, PTP).
  [[nodiscard]] virtual bool synchronised() const = 0;
};

// When the machine was booted, by the wall clock: another time where that has been set since.
struct Booted {
  std::string id;  // as in BootTime
  UnixMs at;
  friend bool operator==(const Booted&, const Booted&) = default;
};
[[nodiscard]] inline Booted booted(const Clock& clock) {
  const UnixNs now = clock.now();
  BootTime boot = clock.boot();
  return {std::move(boot.id), to_ms(now - boot.since)};
}

class SystemClock final : public Clock {
 public:
  [[nodiscard]] UnixNs now() const override;
  [[nodiscard]] std::chrono::nanoseconds steady() const override;
  [[nodiscard]] BootTime boot() const override;
  [[nodiscard]] bool synchronised() const override;
};

// Reads "500ms", "2s", "10m", "24h", "30d".
// Errors: kUsage, naming the text, if it is not a whole number with one of these units.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// The shortest text that parse_duration() reads back to the same value.
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

}  // namespace natsession
