// What delivery tells the program while it runs. The library does not log: the program gives it these
// callbacks.
// Threads: calls come from delivery's own threads, one at a time; none comes after drain_and_stop() returned.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/guarded.h"

namespace natsession {

// Only changes are reported. A fault that lasts is one kTrouble and, when it has passed, one kTroubleOver.
struct Report {
  enum class Kind {
    kTrouble,      // the sink takes nothing; it is tried again and again. why
    kTroubleOver,  // lasted, retries
    kLagging,      // it took nothing for long while others went on: the oldest records that wait for it are
                   // dropped. records: waiting
    kLaggingOver,  // it takes records again; kSkipped says what it missed
    kRejected,     // it will never take `records` records, which were passed over. Told at once, then at most
                   // once a second. why: of the last
    kNotice,       // something went wrong beside the delivery (a rotation, a compression). why
    kReopenFailed,  // the old destination stays in use. why
    kFlushFailed,   // why

    kSuspended,  // a target failure, or the test after one failed: nothing is sent for `lasted`. code, why
    kTestBatch,  // the time is over and there is new data: one batch is sent as a test. code: of the
                 // suspension
    kResumed,    // the test succeeded. code: of the suspension; lasted, retries

    kSkipped,  // records are not in the log any more, or damaged: a gap record says so. records, why
    kDeadLetterTrouble,  // what the sink rejects is not kept. why
    kDeadLetterTroubleOver,
    kCursorTrouble,  // the sink's place cannot be stored: a restart would repeat what was delivered. why
    kCursorTroubleOver,
    kPlaceLost,  // it is damaged, or a newer version's: the sink gets nothing until somebody has mended that.
                 // why, with the way out

    // These are about the ledger: `sink` is its directory.
    kLedgerTrouble,      // nothing can be written; the collectors are held back when memory is full. why
    kLedgerTroubleOver,  // lasted
    kUpkeepTrouble,      // sealing or retention fails. why
    kUpkeepTroubleOver,
    kSegmentDeleted,  // retention took it. why: what it held and by which rule
  };
  Kind kind = Kind::kTrouble;
  std::string_view sink = {};  // its name
  std::string why = {};
  std::chrono::nanoseconds lasted{};
  std::uint64_t retries = 0;
  std::uint64_t records = 0;
  std::string code = {};  // of the specification: ProjectNotExist …
};

struct DeliveryCallbacks {
  std::function<void(const Report&)> report;
  // The sink is finished for good: its reader has gone. The program is expected to stop.
  std::function<void(std::string_view sink, const std::string& why)> on_closed;
  // A thread found no memory. The program is expected to stop; until then what failed is tried again.
  std::function<void()> on_no_memory = {};
};

// Makes the calls, one at a time, until silenced.
class Reporter {
 public:
  explicit Reporter(DeliveryCallbacks callbacks) : callbacks_(std::move(callbacks)) {}

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
  void no_memory() {
    callbacks_.with([](DeliveryCallbacks& callbacks) {
      if (callbacks.on_no_memory) callbacks.on_no_memory();
    });
  }
  void silence() {
    callbacks_.with([](DeliveryCallbacks& callbacks) { callbacks = {}; });
  }

 private:
  Guarded<DeliveryCallbacks> callbacks_;
};

}  // namespace natsession
