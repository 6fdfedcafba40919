// AgeClock: the time that the age of records is measured by: the wall clock, but not one that has just gone
// far ahead. A clock that is set wrong for an hour must not make retention delete the whole ledger: what is
// ahead of the time that has passed counts only when it has stood for a day. What is set back counts at once:
// it deletes less.
// Threads: one.
#pragma once

#include <chrono>
#include <optional>

#include "base/time.h"

namespace natsession {

class AgeClock {
 public:
  static constexpr std::chrono::hours kDoubt{24};

  // `known`: a time that has been reached, whatever the clock says: of the newest record. To be called once,
  // before now(). Without it the clock is believed as it is found.
  void begin(UnixMs known, std::chrono::nanoseconds steady) { trusted_ = {known, steady}; }

  // To be called often. The wall clock may be `tolerance` ahead of what has passed since the last call.
  [[nodiscard]] UnixMs now(UnixMs wall, std::chrono::nanoseconds steady,
                           std::chrono::milliseconds tolerance) {
    if (!trusted_) trusted_ = {wall, steady};
    const UnixMs expected =
        trusted_->wall + std::chrono::floor<std::chrono::milliseconds>(steady - trusted_->steady);
    if (wall - expected > tolerance) {
      if (!ahead_since_) ahead_since_ = steady;
      if (steady - *ahead_since_ < kDoubt) return expected;
    }
    ahead_since_.reset();
    trusted_ = {wall, steady};
    return wall;
  }

  // Whether the last now() was another time than the wall clock's.
  [[nodiscard]] bool doubts() const { return ahead_since_.has_value(); }

 private:
  struct Moment {
    UnixMs wall;
    std::chrono::nanoseconds steady;
  };
  std::optional<Moment> trusted_;
  std::optional<std::chrono::nanoseconds> ahead_since_;  // steady
};

}  // namespace natsession
