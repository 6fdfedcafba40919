// HugePageAllocator: memory for tables that are looked into all over. Large blocks are asked for in huge
// pages (MADV_HUGEPAGE), where a look costs no walk through the page tables; small ones come from the heap.
// Threads: any.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace natsession {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

template <typename T>
struct HugePageAllocator {
  using value_type = T;

  HugePageAllocator() = default;
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>&) {}  // NOLINT: converts, as allocators do

  [[nodiscard]] T* allocate(std::size_t count) {
    const std::size_t size = count * sizeof(T);
    if (size < kHugePage) return static_cast<T*>(::operator new(size));
    const std::size_t whole = (size + kHugePage - 1) / kHugePage * kHugePage;
    void* const block = std::aligned_alloc(kHugePage, whole);
    if (block == nullptr) throw std::bad_alloc();
    (void)::madvise(block, whole, MADV_HUGEPAGE);  // a kernel without them gives small ones
    return static_cast<T*>(block);
  }
  void deallocate(T* block, std::size_t count) noexcept {
    if (count * sizeof(T) < kHugePage) {
      ::operator delete(block);
    } else {
      std::free(block);  // NOLINT: from aligned_alloc
    }
  }

  friend bool operator==(const HugePageAllocator&, const HugePageAllocator&) { return true; }
};

}  // namespace natsession
