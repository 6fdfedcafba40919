#include "conntrack/memory_region.h"

#include <sys/mman.h>

#include <cerrno>

namespace natsession {

Result<MemoryRegion> MemoryRegion::anonymous(std::size_t bytes) {
  void* start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return system_error("map memory for the receive buffers", errno);
  return MemoryRegion(std::span(static_cast<std::byte*>(start), bytes));
}

MemoryRegion::~MemoryRegion() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace natsession
