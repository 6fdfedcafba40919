// Lane: the queue of batches from one producer to one receiver. Receiver: where producers hand records to,
// the worker of a sink or the writer of the ledger. LaneReader: its side of the lanes.
//
// Threads: stated for each member. A counter has one writer and any readers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/spsc_ring.h"
#include "delivery/doorbell.h"
#include "delivery/record_batch.h"

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
  Counter dropped;       // likewise: records that were kept from this receiver
  Counter taken;         // records that the receiver is done with, written by it
  std::size_t read = 0;  // receiver: so many records of the first batch are behind it
};

struct Receiver {
  explicit Receiver(std::string called) : name(std::move(called)) {}

  // Any thread. Records that it is done with.
  [[nodiscard]] std::uint64_t progress() const { return sum(&Lane::taken); }
  [[nodiscard]] std::uint64_t handed() const { return sum(&Lane::handed); }
  // Records that were kept from it.
  [[nodiscard]] std::uint64_t kept_from_it() const { return sum(&Lane::dropped); }
  [[nodiscard]] std::uint64_t queued() const {
    std::uint64_t all = 0;
    for (const auto& lane : lanes) all += lane->waiting();
    return all;
  }

  const std::string name;
  std::vector<std::unique_ptr<Lane>> lanes;  // one for each producer; complete before any thread runs
  Doorbell doorbell;                         // the receiver's

  std::atomic<bool> closed{false};             // written by the receiver: nothing more is to be handed to it
  std::atomic<std::uint32_t> lanes_behind{0};  // written by the producers
  std::atomic<std::uint64_t> kept_when_left{0};  // written by the producer that leaves it behind first
  std::atomic<bool> told_behind{false};          // written under the report desk's lock

 private:
  [[nodiscard]] std::uint64_t sum(Counter Lane::*counter) const {
    std::uint64_t all = 0;
    for (const auto& lane : lanes) all += ((*lane).*counter).value();
    return all;
  }
};

// Threads: one, the receiver's.
class LaneReader {
 public:
  explicit LaneReader(Receiver& receiver) : receiver_(receiver) {}

  // Unread records from the front of one lane; empty when no lane has any. Lanes take turns: the next is
  // looked at when what was shown of one is behind the reader.
  [[nodiscard]] std::span<const SessionRecord> front();
  // The lane of what front() showed.
  [[nodiscard]] Lane& lane() const { return *lane_; }
  // `count` records more are behind the reader. They stay good until front() is called again.
  void advance(std::size_t count);

 private:
  static bool ready(Lane& lane);

  Receiver& receiver_;
  std::size_t turn_ = 0;   // the lane to look at next
  Lane* lane_ = nullptr;   // of what was shown last
  std::size_t shown_ = 0;  // so many of it are unread
};

}  // namespace natsession
