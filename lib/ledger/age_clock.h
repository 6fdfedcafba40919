// AgeClock: the time that the age of records is measured by: the wall clock, where it is confirmed. A clock
// that is set wrong must not make retention delete a ledger of good records, nor may one that was wrong when
// they were written. What is known of the clock is in the ledger's file `clock`, so that a doubt outlives a
// restart. FORMAT.md has the bytes and the rules.
// Threads: one.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace natsession {

class AgeClock {
 public:
  // A clock that is not synchronised and far ahead is believed when it has stood for so long while somebody
  // looked.
  static constexpr std::chrono::hours kDoubt{24};

  // What the file says. Without one, or where it is damaged, only `known` was certainly reached: the end of
  // the oldest record; nullopt if there is none: then the clock is believed as it is found.
  // Errors: kUnavailable if a newer program wrote the file; kPermission, kIo.
  [[nodiscard]] static Result<AgeClock> open(const std::string& directory, std::optional<UnixMs> known,
                                             const Clock& clock);

  // To be called often. A clock that is not synchronised may be `tolerance` ahead of the time that has
  // passed.
  UnixMs look(const Clock& clock, std::chrono::milliseconds tolerance);
  // What is now as the last look() told.
  [[nodiscard]] UnixMs now() const { return state_.reached; }
  // Whether that was another time than the wall clock's.
  [[nodiscard]] bool doubts() const { return state_.doubt.has_value(); }
  // `time` as the clock of now would have told it: a machine may write records before its clock is set.
  [[nodiscard]] UnixMs corrected(UnixMs time) const;

  // Writes what is to outlive a restart, where it has changed or is old.
  // Errors: kPermission, kIo with the path; it is tried again.
  Result<void> store(const std::string& directory, const Clock& clock);

 private:
  struct Doubt {
    std::chrono::milliseconds stood{};  // how long it was watched
    std::chrono::milliseconds ahead{};  // how far the clock was ahead when it began
  };
  // Times from `from` to `until` were told by a clock that was slow by `by`.
  struct Slow {
    UnixMs from = UnixMs::max();
    UnixMs until = UnixMs::min();
    std::chrono::milliseconds by{};
  };
  struct State {
    UnixMs reached;  // at `boot`
    BootTime boot;
    std::optional<Doubt> doubt;
    Slow slow;
  };
  friend struct AgeClockFile;

  State state_;
  bool changed_ = true;
  std::chrono::nanoseconds stored_at_{};  // steady
};

}  // namespace natsession
