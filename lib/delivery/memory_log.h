// MemoryLog: the log in memory: a bounded ring of records with one sequence of ordinals, into which each
// collector's Producer puts its own. Its readers are the sinks; or, with a ledger, its writer alone, so that
// a disk that stalls does not block a collector.
//
// Pressure: a producer has room while the slowest reader that holds the ring leaves some; the collector else
// leaves its events in the kernel, which keeps them. A reader that has acknowledged nothing for the stall
// limit while another goes on is lagging: it holds the ring no longer, and what is overwritten before it
// reads on is Skipped. It then goes on in the middle of the ring, so that it has time to catch up and gets
// one gap record, not many. A reader that is alone never lags.
//
// Threads: stated for each. The lock is held for some hundred instructions; while a reader that missed them
// is passed, for a look at the times of one batch.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/guarded.h"
#include "base/time.h"
#include "delivery/job.h"
#include "delivery/log_reader.h"
#include "delivery/settings.h"
#include "ledger/coverage.h"
#include "record/record_output.h"

namespace natsession {

class MemoryLog;

// A run of records that one producer fills, and that is read where it lies.
struct RecordBatch {
  static constexpr std::size_t kCapacity = 512;
  std::array<SessionRecord, kCapacity> records;
  std::uint32_t references = 0;  // the producer's, those of the ring and of readers; under the log's lock
};

// One collector's way into the log.
// Threads: one, the collector's. It takes the log's lock once a batch and once a flush, and allocates nothing
// per record.
class Producer final : public RecordOutput {
 public:
  explicit Producer(MemoryLog& log) : log_(log) {}

  void emit(const SessionRecord& record) override;
  void keep_together(std::size_t count) override;
  [[nodiscard]] bool has_room() override;
  // Hands on what was emitted so far. To be called at the end of every turn of the collector; once its thread
  // has ended, by any.
  void flush();
  // `call` is told each time where what is handed on will end in the log, before anybody can read it. With
  // the log's lock held: it is to be short. Before the first record.
  void on_append(std::function<void(Ordinal end)> call) { on_append_ = std::move(call); }
  // What is complete with what was handed on so far; nothing: that is not known.
  void prove(std::optional<Coverage> coverage);
  // Threads: any.
  [[nodiscard]] std::optional<Coverage> proved() const {
    return proved_.with([](const std::optional<Coverage>& coverage) { return coverage; });
  }

 private:
  MemoryLog& log_;
  std::function<void(Ordinal end)> on_append_;
  Guarded<std::optional<Coverage>> proved_;
  RecordBatch* batch_ = nullptr;
  std::size_t filled_ = 0;
  std::size_t published_ = 0;  // of the batch
};

class MemoryLog {
 public:
  MemoryLog(const DeliverySettings& settings, const Clock& clock);  // `clock` outlives it
  ~MemoryLog();

  // Before any thread runs. Producers and readers live as long as the log. `notifier` is the reader's.
  Producer& add_producer();
  LogReader& add_reader(std::string_view name, Notifier& notifier);
  [[nodiscard]] const std::vector<std::unique_ptr<Producer>>& producers() const { return producers_; }

  // A reader that began to lag, or goes on.
  struct LagChange {
    std::string name;
    bool lagging = false;
    std::uint64_t waiting = 0;  // records
  };
  // Any thread: since the last call. A thread that hangs cannot tell of itself, so the others do.
  [[nodiscard]] bool lag_changed() const { return lag_changed_.load(std::memory_order_acquire); }
  [[nodiscard]] std::vector<LagChange> take_lag_changes();

 private:
  friend class Producer;
  class Ring;
  class Reader;

  RecordBatch* first_batch();
  // Returns the batch to go on with: another one if this is full, or to count as such.
  RecordBatch* append(RecordBatch* batch, std::size_t from, std::size_t to, bool is_full,
                      const std::function<void(Ordinal end)>& on_append);
  [[nodiscard]] bool has_room();

  const std::size_t queue_records_;  // of each producer
  const Clock& clock_;
  const std::unique_ptr<Guarded<Ring>> ring_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::unique_ptr<Reader>> readers_;
  std::vector<Notifier*> notifiers_;
  std::atomic<Ordinal> end_{0};
  std::atomic<bool> lag_changed_{false};
};

}  // namespace natsession
