// FileWatch: wakes who waits when something at some paths may have changed. A help and no more: what is
// watched may be absent, on another machine, or changed without a word, so who uses it looks now and then all
// the same.
// Threads: one.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace natsession {

class FileWatch {
 public:
  // Errors: kUnavailable where the kernel gives no inotify any more.
  Result<void> open();
  [[nodiscard]] int fd() const { return fd_.get(); }
  // Watches what is at `path` now, and that something comes to be there; once more where that was replaced.
  // All in a folder: its path and "/.".
  void watch(const std::string& path);
  // Takes what is queued.
  void drain();

 private:
  UniqueFd fd_;
  std::map<std::string, int> watched_;  // by path, what is there
};

}  // namespace natsession
