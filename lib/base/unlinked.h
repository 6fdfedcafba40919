// Whether somebody removed the file or directory behind an open descriptor: what is written to it, nobody
// can find any more.
// Threads: any.
#pragma once

#include <sys/stat.h>

#include "base/unique_fd.h"

namespace natsession {

[[nodiscard]] inline bool is_unlinked(const UniqueFd& fd) {
  struct stat status {};
  return ::fstat(fd.get(), &status) == 0 && status.st_nlink == 0;
}

}  // namespace natsession
