// Slab: objects of one type in chunks that never move, named by 32-bit indices, with a free list.
// Threads: one.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

namespace natsession {

template <typename T>
class Slab {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) >= sizeof(std::uint32_t));

 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  // The index of a value-initialised object.
  [[nodiscard]] std::uint32_t allocate() {
    if (free_ == kNone) grow();
    const std::uint32_t index = free_;
    T& object = (*this)[index];
    std::memcpy(&free_, &object, sizeof free_);
    object = T{};
    ++used_;
    return index;
  }

  // Its first four bytes become the link of the free list; the others stay as they are.
  void release(std::uint32_t index) {
    std::memcpy(static_cast<void*>(&(*this)[index]), &free_, sizeof free_);
    free_ = index;
    --used_;
  }

  [[nodiscard]] T& operator[](std::uint32_t index) { return chunks_[index >> kChunkBits][index & kChunkMask]; }
  [[nodiscard]] const T& operator[](std::uint32_t index) const {
    return chunks_[index >> kChunkBits][index & kChunkMask];
  }

  [[nodiscard]] std::size_t used() const { return used_; }
  [[nodiscard]] std::size_t bytes() const { return chunks_.size() * kChunkSize * sizeof(T); }

 private:
  static constexpr std::uint32_t kChunkBits = 12;
  static constexpr std::uint32_t kChunkSize = 1U << kChunkBits;
  static constexpr std::uint32_t kChunkMask = kChunkSize - 1;

  void grow() {
    const auto first = static_cast<std::uint32_t>(chunks_.size() * kChunkSize);
    chunks_.push_back(std::make_unique<T[]>(kChunkSize));
    for (std::uint32_t i = kChunkSize; i-- > 0;) {  // so that the lowest index is given out first
      std::memcpy(static_cast<void*>(&chunks_.back()[i]), &free_, sizeof free_);
      free_ = first + i;
    }
  }

  std::vector<std::unique_ptr<T[]>> chunks_;
  std::uint32_t free_ = kNone;
  std::size_t used_ = 0;
};

}  // namespace natsession
