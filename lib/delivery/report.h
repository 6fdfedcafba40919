// What delivery tells the program while it runs. The library does not log: the program gives it these
// callbacks.
// Threads: calls come from the sinks' worker threads, one at a time; none comes after drain_and_stop()
// returned.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/guarded.h"

namespace natsession {

// Only changes are reported. A fault that lasts is one kTrouble and, when it has passed, one kTroubleOver.
struct Report {
  enum class Kind {
    kTrouble,       // the sink takes nothing; it is tried again and again. why
    kTroubleOver,   // lasted, retries
    kLeftBehind,    // its queue stayed full while others went on: new records are dropped for it. records:
                    // waiting
    kCaughtUp,      // it has a gap record in place of what was dropped, and goes on. records: dropped
    kRejected,      // it will never take one record, which was skipped. why
    kNotice,        // something went wrong beside the delivery (a rotation, a compression). why
    kReopenFailed,  // the old destination stays in use. why
    kFlushFailed,   // why
  };
  Kind kind = Kind::kTrouble;
  std::string_view sink;  // its name
  std::string why;
  std::chrono::nanoseconds lasted{};
  std::uint64_t retries = 0;
  std::uint64_t records = 0;
};

struct DeliveryCallbacks {
  std::function<void(const Report&)> report;
  // The sink is finished for good: its reader has gone. The program is expected to stop.
  std::function<void(std::string_view sink, const std::string& why)> on_closed;
};

// Makes the calls, one at a time, until silenced.
class ReportDesk {
 public:
  explicit ReportDesk(DeliveryCallbacks callbacks) : callbacks_(std::move(callbacks)) {}

  void report(const Report& report) {
    callbacks_.with([&](DeliveryCallbacks& callbacks) {
      if (callbacks.report) callbacks.report(report);
    });
  }
  // Calls `make(report_function)` with no other report in between.
  template <typename Make>
  void report_with(Make&& make) {
    callbacks_.with([&](DeliveryCallbacks& callbacks) {
      make([&](const Report& report) {
        if (callbacks.report) callbacks.report(report);
      });
    });
  }
  void closed(std::string_view sink, const std::string& why) {
    callbacks_.with([&](DeliveryCallbacks& callbacks) {
      if (callbacks.on_closed) callbacks.on_closed(sink, why);
    });
  }
  void silence() {
    callbacks_.with([](DeliveryCallbacks& callbacks) { callbacks = {}; });
  }

 private:
  Guarded<DeliveryCallbacks> callbacks_;
};

}  // namespace natsession
