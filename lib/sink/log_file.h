// LogFile: an open file of the log: how it is opened, and what is known of it then.
// Threads: a plain value type; opening is for any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"

namespace natsession {

struct LogFile {
  UniqueFd fd;
  bool regular = false;  // else a FIFO, a terminal, /dev/null …
  std::uint64_t size = 0;
  bool torn = false;  // it does not end in a newline: a crash cut its last line
  UnixNs last_written;
  dev_t device = 0;
  ino_t inode = 0;

  // Opens `path` to append to it, and makes it, with `mode`, if there is none. A FIFO that nobody reads is
  // opened all the same; what is written to it then fails with EPIPE until somebody does.
  // Errors: kUsage if the name cannot be that of a log (its directory does not exist, it is a directory, a
  // disk, a socket), kPermission, or kIo.
  [[nodiscard]] static Result<LogFile> open(const std::string& path, mode_t mode) {
    return open_as(path, mode);
  }

  // Whether open() would succeed, as far as can be told without making the file.
  // Errors: as open().
  [[nodiscard]] static Result<void> probe(const std::string& path);

  [[nodiscard]] bool same_as(const LogFile& other) const {
    return device == other.device && inode == other.inode;
  }

 private:
  static Result<LogFile> open_as(const std::string& path, std::optional<mode_t> mode_to_make);
};

}  // namespace natsession
