// Slab: objects of one type in chunks that never move, named by 32-bit indices, with a free list.
// A chunk is as many as fit a huge page: in a table of a million sessions nearly every look is at another
// page.
// Threads: one.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "base/huge_pages.h"

namespace natsession {

template <typename T>
class Slab {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) >= sizeof(std::uint32_t));

 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  // The index of a value-initialised object. The lowest that was never used, if none was released.
  [[nodiscard]] std::uint32_t allocate() {
    std::uint32_t index = free_;
    if (index != kNone) {
      std::memcpy(&free_, &(*this)[index], sizeof free_);
    } else {
      if (fresh_ == chunks_.size() * kChunkSize) grow();
      index = fresh_++;
    }
    new (&(*this)[index]) T{};
    ++used_;
    return index;
  }

  // Its first four bytes become the link of the free list; the others stay as they are.
  void release(std::uint32_t index) {
    std::memcpy(static_cast<void*>(&(*this)[index]), &free_, sizeof free_);
    free_ = index;
    --used_;
  }

  [[nodiscard]] T& operator[](std::uint32_t index) {
    return chunks_[index >> kChunkBits][index & kChunkMask];
  }
  [[nodiscard]] const T& operator[](std::uint32_t index) const {
    return chunks_[index >> kChunkBits][index & kChunkMask];
  }

  [[nodiscard]] std::size_t used() const { return used_; }
  [[nodiscard]] std::size_t bytes() const { return chunks_.size() * kHugePage; }

 private:
  static constexpr std::uint32_t kChunkBits = std::bit_width(kHugePage / sizeof(T)) - 1;
  static constexpr std::uint32_t kChunkSize = 1U << kChunkBits;
  static constexpr std::uint32_t kChunkMask = kChunkSize - 1;

  using Allocator = HugePageAllocator<std::byte>;
  struct Free {
    void operator()(T* chunk) const {
      Allocator().deallocate(reinterpret_cast<std::byte*>(chunk), kHugePage);
    }
  };

  // What was never used is never touched.
  void grow() { chunks_.emplace_back(reinterpret_cast<T*>(Allocator().allocate(kHugePage))); }

  std::vector<std::unique_ptr<T[], Free>> chunks_;
  std::uint32_t free_ = kNone;
  std::uint32_t fresh_ = 0;  // the lowest index that was never given out
  std::size_t used_ = 0;
};

}  // namespace natsession
