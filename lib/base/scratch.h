// Scratch: a vector whose new elements are not set: for what is written before it is read. What is never
// written of it takes no memory, where it is large.
// Threads: as of std::vector.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace natsession {

template <typename T>
struct ScratchAllocator : std::allocator<T> {
  static_assert(std::is_trivially_default_constructible_v<T>);
  template <typename U>
  struct rebind {
    using other = ScratchAllocator<U>;
  };
  template <typename U, typename... Arguments>
  void construct(U* at, Arguments&&... arguments) {
    ::new (static_cast<void*>(at)) U(std::forward<Arguments>(arguments)...);
  }
  template <typename U>
  void construct(U* at) {
    ::new (static_cast<void*>(at)) U;
  }
};

template <typename T>
using Scratch = std::vector<T, ScratchAllocator<T>>;

}  // namespace natsession
