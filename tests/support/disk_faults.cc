#include "support/disk_faults.h"

#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <mutex>

#include <unistd.h>

namespace natsession::testing {
namespace {

std::atomic<bool> active{false};
std::mutex guard;
DiskFaults present;
std::vector<std::string> history;

std::string path_of(int fd) {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored).string();
}

// The error of a call on `fd`; 0 if it is to be made.
int fault_of(int fd, int DiskFaults::*kind, const char* name) {
  if (!active.load(std::memory_order_acquire)) return 0;
  const std::string path = path_of(fd);
  const std::lock_guard lock(guard);
  if (present.*kind != 0 && path.starts_with(present.only_below)) return present.*kind;
  history.push_back(std::string(name) + " " + path);
  return 0;
}

}  // namespace

FailingDisk::FailingDisk(DiskFaults faults) {
  set(std::move(faults));
  const std::lock_guard lock(guard);
  history.clear();
  active.store(true, std::memory_order_release);
}

FailingDisk::~FailingDisk() {
  active.store(false, std::memory_order_release);
}

void FailingDisk::set(DiskFaults faults) {
  const std::lock_guard lock(guard);
  present = std::move(faults);
}

std::vector<std::string> FailingDisk::done() const {
  const std::lock_guard lock(guard);
  return history;
}

namespace {

long faulty(int fd, int DiskFaults::*kind, const char* name, long (*call)(int fd, const void* argument),
            const void* argument) {
  if (const int error = fault_of(fd, kind, name); error != 0) {
    errno = error;
    return -1;
  }
  return call(fd, argument);
}

}  // namespace
}  // namespace natsession::testing

using natsession::testing::DiskFaults;
using natsession::testing::faulty;

// In place of the C library's.
extern "C" {

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  struct Arguments {
    const void* bytes;
    size_t count;
    off_t offset;
  };
  const Arguments arguments{bytes, count, offset};
  return faulty(
      fd, &DiskFaults::write, "write",
      [](int to, const void* all) {
        const auto& call = *static_cast<const Arguments*>(all);
        return ::syscall(SYS_pwrite64, to, call.bytes, call.count, call.offset);
      },
      &arguments);
}

int fdatasync(int fd) {
  return static_cast<int>(faulty(
      fd, &DiskFaults::sync, "sync", [](int to, const void*) { return ::syscall(SYS_fdatasync, to); },
      nullptr));
}

int fsync(int fd) {
  return static_cast<int>(faulty(
      fd, &DiskFaults::sync, "sync", [](int to, const void*) { return ::syscall(SYS_fsync, to); }, nullptr));
}

}  // extern "C"
