// GapKeeper: gathers losses that follow one another into one gap, and says when it is over.
// Threads: one.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "record/session_record.h"
#include "session/missed_time.h"

namespace natsession {

// By the wall clock, which may be set, and by the steady one, which tells how much time has passed.
struct Moment {
  UnixMs wall;
  std::chrono::nanoseconds steady{};
};

struct Gap {
  MissedTime time;
  UnixMs end;
  RecordReason reason = RecordReason::kOverrun;
  Count lost;
};

class GapKeeper {
 public:
  // A gap that nothing was added to for so long is over, if the queue has been empty since.
  static constexpr std::chrono::milliseconds kQuiet{1000};
  // One that goes on is told in pieces, so that readers hear of it in time.
  static constexpr std::chrono::milliseconds kLongest{30'000};

  // Events were lost at some time since `since`, when the queue was last known to be empty. `count` is how
  // many, where that is known.
  void add(const Moment& since, const Moment& now, RecordReason reason, Count count) {
    // Pieces follow one another.
    if (!open_) open_ = Open{since.steady < told_until_.steady ? told_until_ : since, now, reason, Count(0)};
    if (reason == RecordReason::kTableGuard) open_->reason = reason;  // the worse of the two
    open_->end = now;
    open_->lost = open_->lost.known() && count.known() ? Count(open_->lost.value() + count.value()) : Count();
  }

  // The gap, when it is over or `force` is set.
  std::optional<Gap> take_if_over(std::chrono::nanoseconds steady, bool drained, bool force) {
    if (!open_) return std::nullopt;
    const bool quiet = drained && steady >= open_->end.steady + kQuiet;
    if (!quiet && !force && steady < open_->start.steady + kLongest) return std::nullopt;
    const auto passed =
        std::chrono::floor<std::chrono::milliseconds>(open_->end.steady - open_->start.steady);
    const Gap over{missed_over(open_->start.wall, passed, open_->end.wall), open_->end.wall, open_->reason,
                   open_->lost};
    told_until_ = open_->end;
    open_.reset();
    return over;
  }

  // Where the gap begins that is not told yet.
  [[nodiscard]] std::optional<UnixMs> open_since() const {
    return open_ ? std::optional(open_->start.wall) : std::nullopt;
  }

 private:
  struct Open {
    Moment start, end;
    RecordReason reason = RecordReason::kOverrun;
    Count lost;
  };

  std::optional<Open> open_;
  Moment told_until_;
};

}  // namespace natsession
