#include "sink/log_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

namespace natsession {
namespace {

constexpr int kFlags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY;

std::string directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Error open_error(const std::string& path, int error_number) {
  const std::string operation = "open " + path;
  switch (error_number) {
    case ENOENT:
      if (!is_directory(directory_of(path))) {
        return {ErrorKind::kUsage, operation + ": the directory " + directory_of(path) + " does not exist"};
      }
      return system_error(operation, error_number, ErrorKind::kUsage);
    case EISDIR:
      return {ErrorKind::kUsage, operation + ": it is a directory: name a file in it"};
    case ENXIO:
      return {ErrorKind::kUsage, operation + ": it is a socket or a device without a driver: name a file"};
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return system_error(operation, error_number, ErrorKind::kUsage);
    case EROFS:
      return system_error(operation, error_number, ErrorKind::kPermission);
    default:
      return system_error(operation, error_number);
  }
}

// A FIFO can be opened for writing alone, without waiting, only while it has a reader. So for a moment it
// gets one.
UniqueFd open_fifo(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), kFlags | O_NONBLOCK));
  if (fd || errno != ENXIO) return fd;
  const UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  return UniqueFd(::open(path.c_str(), kFlags | O_NONBLOCK));
}

bool ends_in_newline(const std::string& path, std::uint64_t size) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  char last = '\n';
  // A file that may not be read is taken for whole.
  return !fd || pread(fd.get(), &last, 1, static_cast<off_t>(size) - 1) != 1 || last == '\n';
}

}  // namespace

// Without a mode a file that is not there is not made.
Result<LogFile> LogFile::open_as(const std::string& path, std::optional<mode_t> mode_to_make) {
  struct stat status {};
  const bool fifo = stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
  const int flags = mode_to_make ? kFlags | O_CREAT : kFlags;
  LogFile file;
  file.fd = fifo ? open_fifo(path) : UniqueFd(::open(path.c_str(), flags, mode_to_make.value_or(0)));
  if (!file.fd) return open_error(path, errno);
  if (fstat(file.fd.get(), &status) != 0) return open_error(path, errno);
  if (S_ISBLK(status.st_mode)) {
    return Error{ErrorKind::kUsage,
                 "open " + path + ": it is a disk, which a log would overwrite: name a file"};
  }
  file.regular = S_ISREG(status.st_mode);
  file.device = status.st_dev;
  file.inode = status.st_ino;
  if (!file.regular) return file;
  file.size = static_cast<std::uint64_t>(status.st_size);
  file.torn = file.size > 0 && !ends_in_newline(path, file.size);
  file.last_written =
      UnixNs(std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec));
  return file;
}

Result<void> LogFile::probe(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) == 0) {
    const auto file = open_as(path, std::nullopt);
    if (!file) return file.error();
    return {};
  }
  if (errno != ENOENT) return open_error(path, errno);
  const std::string directory = directory_of(path);
  if (!is_directory(directory)) return open_error(path, ENOENT);
  if (faccessat(AT_FDCWD, directory.c_str(), W_OK | X_OK, AT_EACCESS) != 0) return open_error(path, errno);
  return {};
}

}  // namespace natsession
