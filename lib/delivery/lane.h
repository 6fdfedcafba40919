// Lane: the queue of batches from one producer to one sink. SinkState: what the producers, the worker of one
// sink and the status share about it.
//
// Threads: stated for each member. A counter has one writer and any readers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "base/spsc_ring.h"
#include "delivery/doorbell.h"
#include "delivery/record_batch.h"
#include "sink/sink.h"

namespace natsession {

class Counter {
 public:
  void add(std::uint64_t count) {  // the one writer
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_release);
  }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

struct Lane {
  Lane(RecordBatchPool& batch_pool, std::size_t queue_batches)
      : pool(batch_pool), limit(queue_batches), queue(queue_batches + 1) {}

  // Producer. How many more batches may be queued. The ring has one place more, which is kept for a gap
  // record.
  [[nodiscard]] std::size_t room() const {
    const std::size_t size = queue.size();
    return size < limit ? limit - size : 0;
  }
  [[nodiscard]] bool half_empty() const { return queue.size() <= limit / 2; }
  // Any thread.
  [[nodiscard]] std::uint64_t waiting() const {
    const std::uint64_t done = taken.value();
    const std::uint64_t all = handed.value();
    return all > done ? all - done : 0;
  }

  RecordBatchPool& pool;
  const std::size_t limit;
  SpscRing<RecordBatch*> queue;

  Counter handed;        // records, written by the producer
  Counter dropped;       // likewise: records that were kept from this sink
  Counter taken;         // records that the sink is done with, written by the worker
  std::size_t read = 0;  // worker: so many records of the first batch are done
};

struct SinkState {
  explicit SinkState(std::unique_ptr<Sink> owned) : name(owned->name()), sink(std::move(owned)) {}

  [[nodiscard]] std::uint64_t progress() const { return delivered.value() + rejected.value(); }
  [[nodiscard]] std::uint64_t waiting() const {
    std::uint64_t sum = 0;
    for (const auto& lane : lanes) sum += lane->waiting();
    return sum;
  }
  [[nodiscard]] std::uint64_t dropped() const {
    std::uint64_t sum = discarded.value();
    for (const auto& lane : lanes) sum += lane->dropped.value();
    return sum;
  }

  const std::string name;
  std::unique_ptr<Sink> sink;                // the worker's while it runs
  std::vector<std::unique_ptr<Lane>> lanes;  // one for each producer; complete before any worker runs
  Doorbell doorbell;                         // the worker's

  std::atomic<bool> closed{false};             // written by the worker
  std::atomic<bool> in_trouble{false};         // likewise
  std::atomic<bool> finished{false};           // likewise: its last act
  std::atomic<bool> reopen_wanted{false};      // any thread asks, the worker answers
  std::atomic<std::uint32_t> lanes_behind{0};  // written by the producers

  Counter delivered;  // records; these four are written by the worker
  Counter retried;    // how often a rest was offered again
  Counter rejected;   // records
  Counter discarded;  // records that were waiting when the sink closed, or came behind that
  Guarded<std::string> last_failure;

  std::atomic<std::uint64_t> dropped_when_left{0};  // written by the producer that leaves it behind first
  std::atomic<bool> told_behind{false};             // written under the report desk's lock
};

}  // namespace natsession
