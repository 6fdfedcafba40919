// SinkWorker: what the thread of one sink does, step by step: make batches of what comes from the log,
// deliver them, try again what was not taken, keep what is rejected, comply when it is enabled or disabled,
// reopen and flush when it is time. It knows no thread and never sleeps: it says how its thread may.
//
// The rest of a batch is offered again before anything else, so order is kept and a half-written record is
// completed. Its place in the log moves only behind what was delivered, or rejected and counted: where the
// place outlives the program, dead letters are on the disk before it moves behind them.
// Threads: one, the sink's worker thread (a test may be it).
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/time.h"
#include "delivery/dead_letters.h"
#include "delivery/report.h"
#include "delivery/settings.h"
#include "delivery/sink_health.h"
#include "delivery/sink_state.h"

namespace natsession {

class SinkWorker {
 public:
  SinkWorker(SinkState& state, std::unique_ptr<LogConsumer> consumer, DeadLetters dead_letters,
             const DeliveryContext& context);

  // At most one delivery. The mark of the notifier is to be taken before.
  Turn step();

 private:
  using Time = std::chrono::nanoseconds;  // steady

  Turn work();
  void comply();
  bool note_stop();
  [[nodiscard]] bool in_vain() const;
  Turn offer(Time now);
  void deliver(std::span<const SessionRecord> records);
  void acknowledge(std::span<const SessionRecord> records, const Answer& answer);
  void judge(const Answer& answer, std::size_t taken, std::uint64_t high_watermark);
  void commit();
  bool tell_proof(Time now, bool last);
  void write_dead_letter(const SessionRecord& record, const std::string& why);
  void report_dead_letters(const Result<void>& written);
  void report_rejected();
  void reopen();
  void flush();
  Turn stand_by();
  Turn idle(Time now);
  Turn sleep(Notifier::Sleep depth, std::optional<Time> limit);
  Turn leave();

  SinkState& state_;
  const std::unique_ptr<LogConsumer> consumer_;
  DeadLetters dead_letters_;
  const DeliveryContext context_;
  SinkHealth health_;

  bool owed_ = false;               // the sink has seen the first record, perhaps a part of it is out
  bool stopping_ = false;           // seen
  bool last_try_ = false;           // the stop came in lasting trouble
  bool tried_ = false;              // since the stop
  bool slept_lightly_ = true;       // before this step: what is there now has come just now
  Time looked_at_{};                // when the log was looked at last
  std::optional<Time> due_;         // the consumer wants to be called again within that
  std::optional<Time> flush_at_;    // steady; set while idle
  std::string flush_failure_;       // the last one told
  Time proof_at_{};                 // steady: not before then the sink is told what is proved
  std::string proof_failure_;       // the last one told
  bool dead_letters_fail_ = false;  // told
  std::uint64_t letters_ = 0;       // dead, since the last commit
  bool uncommitted_ = false;        // its place is to move
  std::uint64_t unreported_rejected_ = 0;
  std::optional<Time> rejected_reported_at_;
  std::string rejected_why_;  // of the last one
};

}  // namespace natsession
