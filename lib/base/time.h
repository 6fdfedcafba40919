// Points in time, and the clock that the rest of the project asks for them.
// Units: the type says it. The kernel stamps in nanoseconds; milliseconds are the resolution of the log.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace natsession {

using UnixNs = std::chrono::sys_time<std::chrono::nanoseconds>;   // since 1970, UTC
using UnixMs = std::chrono::sys_time<std::chrono::milliseconds>;  // since 1970, UTC

[[nodiscard]] constexpr UnixMs to_ms(UnixNs time) {
  return std::chrono::floor<std::chrono::milliseconds>(time);
}

// Wall-clock and steady time.
// Threads: every implementation may be called from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual UnixNs now() const = 0;
  [[nodiscard]] virtual std::chrono::nanoseconds steady()
      const = 0;  // never steps; only differences mean anything
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] UnixNs now() const override;
  [[nodiscard]] std::chrono::nanoseconds steady() const override;
};

// Reads "500ms", "2s", "10m", "24h", "30d".
// Errors: kUsage, naming the text, if it is not a whole number with one of these units.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// The shortest text that parse_duration() reads back to the same value.
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

}  // namespace natsession
