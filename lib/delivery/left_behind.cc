#include "delivery/left_behind.h"

namespace natsession {

void tell_who_is_left_behind(std::span<Receiver* const> receivers, ReportDesk& desk) {
  for (Receiver* const receiver : receivers) {
    const auto changed = [&] {
      const bool behind = receiver->lanes_behind.load(std::memory_order_acquire) != 0;
      return behind != receiver->told_behind.load(std::memory_order_relaxed);
    };
    if (!changed()) continue;
    desk.report_with([&](const auto& report) {
      if (!changed()) return;  // another worker was quicker
      const bool behind = !receiver->told_behind.load(std::memory_order_relaxed);
      receiver->told_behind.store(behind, std::memory_order_relaxed);
      if (behind) {
        report(
            Report{.kind = Report::Kind::kLeftBehind, .sink = receiver->name, .records = receiver->queued()});
      } else {
        const std::uint64_t before = receiver->kept_when_left.load(std::memory_order_relaxed);
        report(Report{.kind = Report::Kind::kCaughtUp,
                      .sink = receiver->name,
                      .records = receiver->kept_from_it() - before});
      }
    });
  }
}

}  // namespace natsession
