#include "base/memory_region.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include <fcntl.h>

namespace natsession {
namespace {

// Memory that another process could cut short would end this one by SIGBUS.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

}  // namespace

Result<MemoryRegion> MemoryRegion::shared(const char* name, std::size_t bytes) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return system_error("make memory that another process can map", errno, ErrorKind::kUnavailable);
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 || ::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0)
    return system_error("size memory that another process can map", errno, ErrorKind::kUnavailable);
  return map(std::move(fd));
}

Result<MemoryRegion> MemoryRegion::map(UniqueFd fd) {
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  struct stat status {};
  if (seals < 0 || (seals & kSeals) != kSeals || ::fstat(fd.get(), &status) != 0 || status.st_size <= 0)
    return Error{ErrorKind::kMalformed, "the memory that was handed over is not what this program makes"};
  const auto bytes = static_cast<std::size_t>(status.st_size);
  void* const start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (start == MAP_FAILED) return system_error("map memory for the receive buffers", errno);
  return MemoryRegion(std::span(static_cast<std::byte*>(start), bytes), std::move(fd));
}

MemoryRegion::~MemoryRegion() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace natsession
