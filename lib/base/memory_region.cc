#include "base/memory_region.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include <fcntl.h>

namespace natsession {
namespace {

// Memory that another process could cut short would end this one by SIGBUS.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Result<std::span<std::byte>> map_pages(std::size_t bytes, int flags, int fd) {
  void* const start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (start == MAP_FAILED) return system_error("map memory for the receive buffers", errno);
  return std::span(static_cast<std::byte*>(start), bytes);
}

}  // namespace

Result<MemoryRegion> MemoryRegion::anonymous(std::size_t bytes) {
  auto pages = map_pages(bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (!pages) return pages.error();
  return MemoryRegion(*pages, UniqueFd());
}

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
  auto pages = map_pages(static_cast<std::size_t>(status.st_size), MAP_SHARED, fd.get());
  if (!pages) return pages.error();
  return MemoryRegion(*pages, std::move(fd));
}

MemoryRegion::~MemoryRegion() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

}  // namespace natsession
