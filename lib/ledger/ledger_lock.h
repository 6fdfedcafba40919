// LedgerLock: that there is one writer, and whether and when the one before it closed the ledger in order. It
// stands in the file LOCK: the kernel's lock on it, and lines of text: "pid 4711", "state open" or "state
// closed", and behind the latter "until 1795263662108": until when there are records of all that happened, in
// ms.
// Threads: one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"

namespace natsession {

class LedgerLock {
 public:
  // Errors: kUnavailable if another writer has it, naming its pid; kMalformed if LOCK is no regular file;
  // kPermission, kIo.
  [[nodiscard]] static Result<LedgerLock> take(const std::string& directory);

  // How the last writer left the ledger; not closed also when there was none.
  [[nodiscard]] bool was_closed() const { return was_closed_; }
  // Until when it logged, if it closed the ledger and said so.
  [[nodiscard]] std::optional<UnixMs> closed_until() const { return closed_until_; }

  // Somebody removed the file: another writer would not see that it is held.
  [[nodiscard]] bool removed() const;

  // On the disk when it returns.
  [[nodiscard]] Result<void> mark_open() { return mark("open"); }
  [[nodiscard]] Result<void> mark_closed(UnixMs until);

 private:
  LedgerLock(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  [[nodiscard]] Result<void> mark(std::string_view state);

  UniqueFd fd_;
  std::string path_;
  bool was_closed_ = false;
  std::optional<UnixMs> closed_until_;
};

}  // namespace natsession
