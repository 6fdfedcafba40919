// MemoryRegion: a writable range of pages that other code lays its buffers into: a memfd, which other
// processes can map as well, and that is there as long as any of them holds it.
// Threads: a plain owner; what lies in it is the business of who asked for it.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "base/result.h"
#include "base/unique_fd.h"

namespace natsession {

class MemoryRegion {
 public:
  // A memfd of `bytes`, all zero, whose size nobody can change; /proc shows it by `name`.
  [[nodiscard]] static Result<MemoryRegion> shared(const char* name, std::size_t bytes);
  // One that shared() made, here or in another process.
  // Errors: kMalformed if it is none, or its size could be changed by somebody.
  [[nodiscard]] static Result<MemoryRegion> map(UniqueFd fd);

  MemoryRegion(MemoryRegion&& other) noexcept
      : bytes_(std::exchange(other.bytes_, {})), fd_(std::move(other.fd_)) {}
  MemoryRegion& operator=(MemoryRegion&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(fd_, other.fd_);
    return *this;
  }
  MemoryRegion(const MemoryRegion&) = delete;
  MemoryRegion& operator=(const MemoryRegion&) = delete;
  ~MemoryRegion();

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  MemoryRegion(std::span<std::byte> bytes, UniqueFd fd) : bytes_(bytes), fd_(std::move(fd)) {}

  std::span<std::byte> bytes_;
  UniqueFd fd_;
};

}  // namespace natsession
