// WakeFd: an eventfd, to wake a thread that polls.
// Threads: any.
#pragma once

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>

#include <unistd.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace natsession {

class WakeFd {
 public:
  WakeFd() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)), error_number_(fd_ ? 0 : errno) {}
  // Whether there is one.
  [[nodiscard]] Result<void> check() const {
    if (!fd_) return system_error("eventfd", error_number_, ErrorKind::kUnavailable);
    return {};
  }
  [[nodiscard]] int fd() const { return fd_.get(); }

  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(fd_.get(), &one, sizeof one);  // full is awake enough
  }
  void clear() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t taken = ::read(fd_.get(), &count, sizeof count);
  }

 private:
  UniqueFd fd_;
  int error_number_;
};

}  // namespace natsession
