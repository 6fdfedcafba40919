#include "base/files.h"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

namespace natsession {

Result<void> replace_file(const std::string& directory, const std::string& name,
                          std::span<const std::string_view> parts) {
  const std::string path = directory + "/" + name;
  const std::string fresh = path + ".tmp";
  const auto give_up = [&](const char* operation, int cause) {
    ::unlink(fresh.c_str());
    return system_error(path + ": " + operation, cause);
  };
  ::unlink(fresh.c_str());
  const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640));
  if (!fd) return system_error(fresh + ": open", errno);
  for (std::string_view left : parts) {
    while (!left.empty()) {
      const ssize_t count = ::write(fd.get(), left.data(), left.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return give_up("write", count < 0 ? errno : ENOSPC);
      left.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  if (::fsync(fd.get()) != 0) return give_up("fsync", errno);
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return give_up("rename", errno);
  const UniqueFd folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return system_error(directory + ": fsync", errno);
  return {};
}

}  // namespace natsession
