// SpscRing<T>: a bounded queue between exactly two threads, without locks.
// Threads: one producer calls push(), one consumer calls front() and pop(); size() any.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

namespace natsession {

// What two threads write must not share a cache line, or each write costs the other thread a miss.
inline constexpr std::size_t kCacheLine = 64;

template <typename T>
class SpscRing {
 public:
  explicit SpscRing(std::size_t capacity)
      : capacity_(capacity),
        mask_(std::bit_ceil(capacity) - 1),
        slots_(std::make_unique<T[]>(std::bit_ceil(capacity))) {}

  [[nodiscard]] std::size_t capacity() const { return capacity_; }

  // Producer. False, and `value` unchanged, if the ring is full.
  [[nodiscard]] bool push(T&& value) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - known_head_ >= capacity_) {
      known_head_ = head_.load(std::memory_order_acquire);
      if (tail - known_head_ >= capacity_) return false;
    }
    slots_[tail & mask_] = std::move(value);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }
  [[nodiscard]] bool push(const T& value) { return push(T(value)); }

  // Consumer. The oldest value, which stays in the ring until pop(); null if the ring is empty.
  [[nodiscard]] T* front() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == known_tail_) {
      known_tail_ = tail_.load(std::memory_order_acquire);
      if (head == known_tail_) return nullptr;
    }
    return &slots_[head & mask_];
  }

  // Consumer. Only after front() gave a value.
  void pop() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    slots_[head & mask_] = T();
    head_.store(head + 1, std::memory_order_release);
  }

  // Exact on the side that asks about its own doing: the producer never sees less than there is, the consumer
  // never more; a third thread sees about what there is.
  [[nodiscard]] std::size_t size() const {
    const std::size_t head = head_.load(std::memory_order_acquire);
    const std::size_t tail = tail_.load(std::memory_order_acquire);
    return tail - head;
  }

 private:
  const std::size_t capacity_;
  const std::size_t mask_;
  const std::unique_ptr<T[]> slots_;

  alignas(kCacheLine) std::atomic<std::size_t> tail_{0};  // positions only grow; a slot is position & mask
  std::size_t known_head_ = 0;                            // the producer's last look at head_
  alignas(kCacheLine) std::atomic<std::size_t> head_{0};
  std::size_t known_tail_ = 0;  // the consumer's last look at tail_
};

}  // namespace natsession
