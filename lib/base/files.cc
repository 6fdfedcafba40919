#include "base/files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

namespace natsession {
namespace {

Result<std::string> read_all(const UniqueFd& fd, const std::string& path, ByteCount limit,
                             ErrorKind otherwise) {
  std::string text;
  for (std::size_t size = 0; size <= limit.bytes;) {
    text.resize(size + std::min<std::size_t>(limit.bytes + 1 - size, 16384));
    const ssize_t count = ::read(fd.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno != EINTR) return system_error(path + ": cannot be read", errno, otherwise);
    size += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    text.resize(size);
    if (count == 0) break;
  }
  return text;
}

}  // namespace

Result<void> replace_file(const std::string& directory, const std::string& name,
                          std::span<const std::string_view> parts, const std::optional<FileAccess>& access) {
  const std::string path = directory + "/" + name;
  const std::string fresh = path + ".tmp";
  const auto give_up = [&](const char* operation, int cause) {
    ::unlink(fresh.c_str());
    return system_error(path + ": " + operation, cause);
  };
  ::unlink(fresh.c_str());
  const UniqueFd fd(
      ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, access ? 0600 : 0640));
  if (!fd) return system_error(fresh + ": open", errno);
  for (std::string_view left : parts) {
    while (!left.empty()) {
      const ssize_t count = ::write(fd.get(), left.data(), left.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return give_up("write", count < 0 ? errno : ENOSPC);
      left.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  if (access && ::fchown(fd.get(), access->owner, access->group) != 0) return give_up("chown", errno);
  if (access && ::fchmod(fd.get(), access->mode) != 0) return give_up("chmod", errno);
  if (::fsync(fd.get()) != 0) return give_up("fsync", errno);
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return give_up("rename", errno);
  const UniqueFd folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return system_error(directory + ": fsync", errno);
  return {};
}

Result<void> check_writers(const std::string& path, const struct stat& status) {
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) return {};
  const auto refused = [&](const std::string& why, const std::string& way_out) {
    return Error{ErrorKind::kPermission,
                 path + ": not read, because " + why + " write it: " + way_out + " " + path};
  };
  if (status.st_uid != 0 && status.st_uid != ::geteuid())
    return refused("its owner, who is neither root nor this program's user, may", "chown root:");
  if (S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0) return {};
  if ((status.st_mode & S_IWOTH) != 0) return refused("everybody may", "chmod o-w");
  if ((status.st_mode & S_IWGRP) != 0 && status.st_gid != 0) return refused("its group may", "chmod g-w");
  return {};
}

Result<std::string> read_file(const std::string& path, ByteCount limit, ErrorKind otherwise, int flags) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
  if (!fd) return system_error(path + ": cannot be opened", errno, otherwise);
  return read_all(fd, path, limit, otherwise);
}

Result<std::string> read_checked_file(const std::string& path, ByteCount limit, ErrorKind otherwise,
                                      int flags, FileCheck check) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0)
    return system_error(path + ": cannot be opened", errno, otherwise);
  if (auto fit = check(path, status); !fit) return fit.error();
  return read_all(fd, path, limit, otherwise);
}

Result<std::string> read_trusted_file(const std::string& path, ByteCount limit, ErrorKind otherwise,
                                      int flags) {
  return read_checked_file(path, limit, otherwise, flags, check_writers);
}

Result<void> can_make_in(const std::string& path) {
  std::filesystem::path folder = std::filesystem::absolute(path.empty() ? "." : path).lexically_normal();
  struct stat status {};
  while (::stat(folder.c_str(), &status) != 0) {
    if (errno != ENOENT || folder == folder.root_path())
      return system_error(folder.string(), errno, ErrorKind::kUnavailable);
    folder = folder.has_filename() ? folder.parent_path() : folder.parent_path().parent_path();
  }
  if (!S_ISDIR(status.st_mode)) return system_error(folder.string(), ENOTDIR, ErrorKind::kUnavailable);
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) != 0)
    return system_error("write in " + folder.string(), errno, ErrorKind::kUnavailable);
  return {};
}

}  // namespace natsession
