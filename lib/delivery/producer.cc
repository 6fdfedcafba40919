#include "delivery/producer.h"

#include <algorithm>

namespace natsession {
namespace {

// Batches that kRoom records may need: one may be half full already, and another be closed early to let a
// sink back in.
constexpr std::size_t kRoomBatches =
    (RecordOutput::kRoom + RecordBatch::kCapacity - 1) / RecordBatch::kCapacity + 2;
// A sink that is let back in with its queue half empty must not count as full at once.
static_assert(kRoomBatches < kMinQueueBatches / 2);

std::size_t queue_limit(const DeliverySettings& settings) {
  return std::max(settings.queue_batches, kMinQueueBatches);
}

}  // namespace

// The pool's limit is what all queues together can hold, and the open batch: it is never the first to be
// exhausted.
Producer::Producer(std::span<Receiver* const> receivers, const DeliverySettings& settings, const Clock& clock)
    : stall_limit_(settings.stall_limit),
      clock_(clock),
      pool_(receivers.size() * (queue_limit(settings) + 1) + 1) {
  outlets_.reserve(receivers.size());
  for (Receiver* const receiver : receivers) {
    receiver->lanes.push_back(std::make_unique<Lane>(pool_, queue_limit(settings)));
    Outlet& outlet = outlets_.emplace_back();
    outlet.receiver = receiver;
    outlet.lane = receiver->lanes.back().get();
  }
}

void Producer::emit(const SessionRecord& record) {
  if (open_ == nullptr && !open_batch()) {
    drop(record);
    return;
  }
  open_->append(record);
  if (open_->full()) seal();
}

bool Producer::has_room() {
  take_back_those_with_room();
  bool anyone_open = false;
  bool all_have_room = true;
  for (Outlet& outlet : outlets_) {
    if (outlet.behind || outlet.receiver->closed.load(std::memory_order_relaxed)) continue;
    anyone_open = true;
    if (outlet.lane->room() < kRoomBatches) {
      all_have_room = false;
    } else {
      outlet.full_since.reset();
    }
  }
  if (!all_have_room) watch_for_stalls();
  return anyone_open && all_have_room && pool_.available() >= kRoomBatches;
}

void Producer::flush() {
  publish();
  take_back_those_with_room();
}

void Producer::finish() {
  if (open_ != nullptr) seal();
  for (Outlet& outlet : outlets_) {
    if (outlet.behind) take_back(outlet);
  }
}

bool Producer::open_batch() {
  open_ = pool_.acquire();
  published_ = 0;
  if (open_ == nullptr) return false;
  for (Outlet& outlet : outlets_) {
    outlet.has_open = false;
    if (outlet.behind || outlet.receiver->closed.load(std::memory_order_relaxed)) continue;
    if (outlet.lane->room() == 0) {  // more was emitted than has_room() had promised
      leave_behind(outlet);
      continue;
    }
    RecordBatchPool::add_reference(open_);
    outlet.has_open = outlet.lane->queue.push(open_);  // there is room: only the worker changes that, to more
  }
  return true;
}

void Producer::publish() {
  if (open_ == nullptr || open_->filled() == published_) return;
  const std::span<const SessionRecord> fresh = open_->records(published_, open_->filled());
  published_ = open_->filled();
  open_->publish();
  for (Outlet& outlet : outlets_) {
    if (outlet.has_open) {
      outlet.lane->handed.add(fresh.size());
      outlet.receiver->doorbell.ring();
      continue;
    }
    outlet.lane->dropped.add(fresh.size());
    if (outlet.behind) outlet.gap.add(fresh);
  }
}

void Producer::seal() {
  publish();
  open_->seal();
  pool_.release(open_);
  open_ = nullptr;
}

// No memory, or a caller that never asks has_room(). No sink gets the record, and each is told so by a gap.
void Producer::drop(const SessionRecord& record) {
  for (Outlet& outlet : outlets_) {
    if (!outlet.behind) leave_behind(outlet);
    outlet.gap.add({&record, 1});
    outlet.lane->dropped.add(1);
  }
}

// Called while some healthy sink's queue is full. Its time runs only while another one goes on: when all are
// stuck (one full disk under two files), the first to recover must not cost the others their records.
void Producer::watch_for_stalls() {
  const bool another_goes_on = std::any_of(outlets_.begin(), outlets_.end(), [](const Outlet& outlet) {
    return !outlet.behind && !outlet.receiver->closed.load(std::memory_order_relaxed) &&
           outlet.lane->room() >= kRoomBatches;
  });
  const std::chrono::nanoseconds now = clock_.steady();
  for (Outlet& outlet : outlets_) {
    if (outlet.behind || outlet.receiver->closed.load(std::memory_order_relaxed)) continue;
    if (!another_goes_on || outlet.lane->room() >= kRoomBatches) {
      outlet.full_since.reset();
      continue;
    }
    const std::uint64_t progress = outlet.receiver->progress();
    if (!outlet.full_since || progress != outlet.progress_then) {
      outlet.full_since = now;
      outlet.progress_then = progress;
    } else if (now - *outlet.full_since >= stall_limit_) {
      leave_behind(outlet);
    }
  }
}

void Producer::leave_behind(Outlet& outlet) {
  // A sink misses whole batches or none: this one is still for it, the next is not.
  if (open_ != nullptr && outlet.has_open) seal();
  outlet.behind = true;
  outlet.gap = {};
  outlet.full_since.reset();
  ++behind_count_;
  if (outlet.receiver->lanes_behind.load(std::memory_order_acquire) == 0) {
    outlet.receiver->kept_when_left.store(outlet.receiver->kept_from_it(), std::memory_order_relaxed);
  }
  outlet.receiver->lanes_behind.fetch_add(1, std::memory_order_acq_rel);
}

void Producer::take_back(Outlet& outlet) {
  if (open_ != nullptr) seal();  // the gap ends where a batch ends
  if (!outlet.gap.empty()) {
    RecordBatch* const batch = pool_.acquire();
    if (batch == nullptr) return;  // no memory: the next call tries again
    batch->append(outlet.gap.record(RecordReason::kSinkStalled));
    batch->seal();
    if (!outlet.lane->queue.push(batch)) {
      pool_.release(batch);
      return;
    }
    outlet.lane->handed.add(1);
  }
  outlet.behind = false;
  --behind_count_;
  outlet.receiver->lanes_behind.fetch_sub(1, std::memory_order_acq_rel);
  outlet.receiver->doorbell.ring();
}

void Producer::take_back_those_with_room() {
  if (behind_count_ == 0) return;
  for (Outlet& outlet : outlets_) {
    if (outlet.behind && outlet.lane->half_empty()) take_back(outlet);
  }
}

}  // namespace natsession
