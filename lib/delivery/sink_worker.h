// SinkWorker: what the thread of one sink does, step by step: serve the lanes of all producers in turn, try
// again what was not taken, reopen and flush when it is time. It knows no thread and never sleeps: it says
// how its thread may.
//
// The rest of a batch is offered again before anything else, so order is kept and a half-written record is
// completed.
// Threads: one, the sink's worker thread (a test may be it).
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/time.h"
#include "delivery/backoff.h"
#include "delivery/doorbell.h"
#include "delivery/lane.h"
#include "delivery/report.h"
#include "delivery/settings.h"

namespace natsession {

// How a run ends. Written by the thread that stops it.
struct RunState {
  std::atomic<bool> stopping{false};   // nothing comes any more: deliver what is queued, then finish
  std::atomic<bool> abandoned{false};  // finish now, touch nothing outside
};

class SinkWorker {
 public:
  struct Next {
    enum class Kind { kStep, kSleep, kDone };
    Kind kind = Kind::kStep;
    Doorbell::Sleep depth = Doorbell::Sleep::kLight;     // kSleep only
    std::optional<std::chrono::nanoseconds> limit = {};  // likewise
  };

  // `all` are the sinks of the program, this one among them. All references outlive the worker.
  SinkWorker(SinkState& state, std::span<const std::unique_ptr<SinkState>> all, const RunState& run,
             const DeliverySettings& settings, const Clock& clock, ReportDesk& desk);

  // At most one delivery. The tally of the doorbell is to be taken before.
  Next step();

 private:
  bool ready(Lane& lane);
  Lane* next_ready();
  void deliver(Lane& lane);
  void settle(Lane& lane, std::size_t count);
  void fail(const Answer& answer);
  void recover();
  void close(const Answer& answer);
  void discard();
  void reopen();
  void flush();
  Next idle();
  void tell_who_is_left_behind();

  SinkState& state_;
  const std::span<const std::unique_ptr<SinkState>> all_;
  const RunState& run_;
  const DeliverySettings& settings_;
  const Clock& clock_;
  ReportDesk& desk_;

  std::size_t turn_ = 0;  // the lane to serve next
  Lane* owed_ = nullptr;  // the lane whose rest was not taken
  Backoff backoff_;
  std::optional<std::chrono::nanoseconds> retry_at_;  // steady
  bool saw_stopping_ = false;
  std::optional<std::chrono::nanoseconds> trouble_since_;  // steady
  std::uint64_t trouble_retries_ = 0;
  std::optional<std::chrono::nanoseconds> flush_at_;  // steady; set while idle
  std::string flush_failure_;                         // the last one told
};

}  // namespace natsession
