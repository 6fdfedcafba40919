// MemoryRegion: a writable, zeroed range of pages that other code lays its buffers into.
// The ring of receive buffers takes its memory from here and nowhere else, so that it can be moved to a
// memfd, which outlives the process, by giving this class a second way to map.
// Threads: a plain owner; what lies in it is the business of who asked for it.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "base/result.h"

namespace natsession {

class MemoryRegion {
 public:
  // Private memory of at least `bytes`, aligned to a page, all zero.
  [[nodiscard]] static Result<MemoryRegion> anonymous(std::size_t bytes);

  MemoryRegion(MemoryRegion&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MemoryRegion& operator=(MemoryRegion&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  MemoryRegion(const MemoryRegion&) = delete;
  MemoryRegion& operator=(const MemoryRegion&) = delete;
  ~MemoryRegion();

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  explicit MemoryRegion(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

}  // namespace natsession
