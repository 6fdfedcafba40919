// RecordBatch: a run of records that one producer fills while the workers of all sinks read it; and the pool
// that batches come from and go back to.
//
// A batch is in the sinks' queues from its first record on, and grows there: append() fills it, publish()
// shows what was appended. So a trickle of records is delivered at once, and still fills a queue by records,
// not by trickles.
//
// Threads: each function says which.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "record/session_record.h"

namespace natsession {

class RecordBatch {
 public:
  static constexpr std::size_t kCapacity = 512;

  // What a reader may touch: the first `count` records. `sealed`: there will be no more.
  struct View {
    std::size_t count = 0;
    bool sealed = false;
  };

  // Producer. Only while not full().
  void append(const SessionRecord& record) { records_[filled_++] = record; }
  [[nodiscard]] bool full() const { return filled_ == kCapacity; }
  [[nodiscard]] std::size_t filled() const { return filled_; }
  void publish() { state_.store(static_cast<std::uint32_t>(filled_), std::memory_order_release); }
  void seal() { state_.store(static_cast<std::uint32_t>(filled_) | kSealed, std::memory_order_release); }

  // Any thread that holds a reference.
  [[nodiscard]] View view() const {
    const std::uint32_t state = state_.load(std::memory_order_acquire);
    return {state & ~kSealed, (state & kSealed) != 0};
  }
  [[nodiscard]] std::span<const SessionRecord> records(std::size_t from, std::size_t to) const {
    return {records_.data() + from, to - from};
  }

 private:
  friend class RecordBatchPool;
  static constexpr std::uint32_t kSealed = 1U << 31;

  std::atomic<std::uint32_t> state_{0};
  std::atomic<std::uint32_t> references_{0};
  std::size_t filled_ = 0;
  RecordBatch* next_ = nullptr;  // while it is on its way back to the pool
  std::array<SessionRecord, kCapacity> records_;
};

// Owns all batches of one producer. Batches are made when they are first needed, up to the limit, and then
// used over and over, the one that came back last first: a healthy run keeps to a few that stay in the
// processor's cache.
class RecordBatchPool {
 public:
  explicit RecordBatchPool(std::size_t limit) : limit_(limit) { batches_.reserve(limit); }

  // Producer. An empty batch with one reference, the caller's; null if `limit` batches are out.
  [[nodiscard]] RecordBatch* acquire();
  // Producer, on a batch that it holds a reference of.
  static void add_reference(RecordBatch* batch) {
    batch->references_.fetch_add(1, std::memory_order_relaxed);
  }
  // Any thread. Gives one reference back; the caller must not touch the batch again.
  void release(RecordBatch* batch);
  // Producer. How many acquire() could give now.
  [[nodiscard]] std::size_t available();

 private:
  void collect();

  const std::size_t limit_;
  std::vector<std::unique_ptr<RecordBatch>> batches_;
  std::vector<RecordBatch*> free_;
  std::atomic<RecordBatch*> returned_{nullptr};  // a list through next_: readers push, the producer takes all
};

}  // namespace natsession
