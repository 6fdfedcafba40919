// LedgerLock: that there is one writer, and whether the one before it closed the ledger in order. Both stand
// in the file LOCK: the kernel's lock on it, and two lines of text: "pid 4711" and "state open" or "state
// closed".
// Threads: one.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace natsession {

class LedgerLock {
 public:
  // Errors: kUnavailable if another writer has it, naming its pid; kMalformed if LOCK is no regular file;
  // kPermission,
  //         kIo.
  [[nodiscard]] static Result<LedgerLock> take(const std::string& directory);

  // How the last writer left the ledger; not closed also when there was none.
  [[nodiscard]] bool was_closed() const { return was_closed_; }

  // Somebody removed the file: another writer would not see that it is held.
  [[nodiscard]] bool removed() const;

  // On the disk when it returns.
  [[nodiscard]] Result<void> mark_open() { return mark("open"); }
  [[nodiscard]] Result<void> mark_closed() { return mark("closed"); }

 private:
  LedgerLock(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  [[nodiscard]] Result<void> mark(const char* state);

  UniqueFd fd_;
  std::string path_;
  bool was_closed_ = false;
};

}  // namespace natsession
