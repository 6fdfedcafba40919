#include "delivery/record_batch.h"

#include <new>

namespace natsession {

RecordBatch* RecordBatchPool::acquire() {
  collect();
  RecordBatch* batch = nullptr;
  if (!free_.empty()) {
    batch = free_.back();
    free_.pop_back();
  } else if (batches_.size() < limit_) {
    batches_.emplace_back(new (std::nothrow) RecordBatch);
    batch = batches_.back().get();
    if (batch == nullptr) {
      batches_.pop_back();
      return nullptr;
    }
    free_.reserve(batches_.capacity());
  } else {
    return nullptr;
  }
  batch->filled_ = 0;
  batch->state_.store(0, std::memory_order_relaxed);
  batch->references_.store(1, std::memory_order_relaxed);
  return batch;
}

void RecordBatchPool::release(RecordBatch* batch) {
  if (batch->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  RecordBatch* head = returned_.load(std::memory_order_relaxed);
  do {
    batch->next_ = head;
  } while (
      !returned_.compare_exchange_weak(head, batch, std::memory_order_release, std::memory_order_relaxed));
}

std::size_t RecordBatchPool::available() {
  collect();
  return free_.size() + (limit_ - batches_.size());
}

void RecordBatchPool::collect() {
  if (returned_.load(std::memory_order_relaxed) == nullptr) return;
  for (RecordBatch* batch = returned_.exchange(nullptr, std::memory_order_acquire); batch != nullptr;) {
    free_.push_back(batch);
    batch = batch->next_;
  }
}

}  // namespace natsession
