// GapKeeper: gathers losses that follow one another into one gap, and says when it is over.
// Threads: one.
#pragma once

#include <optional>

#include "record/session_record.h"

namespace natsession {

struct Gap {
  UnixMs start;
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
  void add(UnixMs since, UnixMs now, RecordReason reason, Count count) {
    // Pieces follow one another.
    if (!open_)
      open_ = Gap{since < told_until_ && told_until_ <= now ? told_until_ : since, now, reason, Count(0)};
    if (reason == RecordReason::kTableGuard) open_->reason = reason;  // the worse of the two
    open_->end = now;
    open_->lost = open_->lost.known() && count.known() ? Count(open_->lost.value() + count.value()) : Count();
  }

  // The gap, when it is over or `force` is set.
  std::optional<Gap> take_if_over(UnixMs now, bool drained, bool force) {
    if (!open_) return std::nullopt;
    const bool quiet = drained && (now >= open_->end + kQuiet || now < open_->start);
    if (!quiet && !force && now < open_->start + kLongest) return std::nullopt;
    std::optional<Gap> over;
    over.swap(open_);
    told_until_ = over->end;
    return over;
  }

  // Where the gap begins that is not told yet.
  [[nodiscard]] std::optional<UnixMs> open_since() const {
    return open_ ? std::optional(open_->start) : std::nullopt;
  }

 private:
  std::optional<Gap> open_;
  UnixMs told_until_{};
};

}  // namespace natsession
