// What is done with files as a whole: replaced so that no reader sees half of one; and whether they are still
// there.
// Threads: any; two at once on one file are not kept apart.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/byte_count.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace natsession {

// Who may do what with a file.
struct FileAccess {
  uid_t owner;
  gid_t group;
  mode_t mode;
};

// Replaces a file as a whole: whoever looks finds the old one or the new one, also after the machine fell.
// The file `name` in `directory` becomes `parts`, one behind the other, with this access, or else this
// process's own and mode 0640; on the disk when it returns.
// Errors: kPermission, kIo with the path; the old file then stays.
Result<void> replace_file(const std::string& directory, const std::string& name,
                          std::span<const std::string_view> parts,
                          const std::optional<FileAccess>& access = {});

// The whole of a small file; of one that is larger than `limit`, the first bytes, one more than that. `flags`
// go to open(2) with the usual ones: O_NONBLOCK does not wait for a FIFO's writer.
// Errors: kPermission, or `otherwise`, with the path: it cannot be opened or read.
Result<std::string> read_file(const std::string& path, ByteCount limit, ErrorKind otherwise, int flags = 0);

// Whether nobody else may change what is at a path, of which this is the status: it belongs to root or to
// this process's user, and its mode lets neither others write, nor a group (but root's own). A folder's
// sticky bit keeps others from taking the place of what is in it; of devices, such as /dev/null, nothing is
// asked.
// Errors: kPermission, with path, cause, and what to do.
Result<void> check_writers(const std::string& path, const struct stat& status);

// read_file() of a file that passes `check`, which is asked of what is then read: a path may come to mean
// another file in between.
// Errors: also those of `check`.
using FileCheck = Result<void> (*)(const std::string& path, const struct stat& status);
Result<std::string> read_checked_file(const std::string& path, ByteCount limit, ErrorKind otherwise,
                                      int flags, FileCheck check);

// read_file() of what decides what this program does, or is a secret: check_writers() holds for the file.
Result<std::string> read_trusted_file(const std::string& path, ByteCount limit, ErrorKind otherwise,
                                      int flags = 0);

// Whether a directory can be made at `path`, with those above it that are absent, or files made in it if it
// is there.
// Errors: kPermission, kUnavailable, naming the directory that stands in the way and the cause.
Result<void> can_make_in(const std::string& path);

// Whether somebody removed the file or directory behind an open descriptor: what is written to it, nobody
// can find any more.
[[nodiscard]] inline bool is_unlinked(const UniqueFd& fd) {
  struct stat status {};
  return ::fstat(fd.get(), &status) == 0 && status.st_nlink == 0;
}

}  // namespace natsession
