#include "delivery/disabled_sinks.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace natsession {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 20;

Error file_error(const std::string& path, const char* operation, int error_number) {
  return system_error("disabled sinks " + path + ": " + operation, error_number);
}

}  // namespace

Result<SinkNames> read_disabled_sinks(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return SinkNames();
  if (!fd) return file_error(path, "open", errno);
  std::string text;
  std::array<char, 4096> part{};
  while (text.size() < kMaxFileBytes) {
    const ssize_t count = ::read(fd.get(), part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return file_error(path, "read", errno);
    if (count == 0) break;
    text.append(part.data(), static_cast<std::size_t>(count));
  }
  SinkNames names;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) names.insert(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

Result<void> write_disabled_sinks(const std::string& path, const SinkNames& names) {
  std::string text;
  for (const std::string& name : names) {
    if (name.find('\n') != std::string::npos)
      return Error{ErrorKind::kUsage, "sink name with a line break: " + name};
    text += name + '\n';
  }
  const std::string fresh = path + ".new";
  const UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!fd) return file_error(fresh, "open", errno);
  const auto give_up = [&](const char* operation, int error_number) {
    ::unlink(fresh.c_str());
    return file_error(fresh, operation, error_number);
  };
  const ssize_t written = ::write(fd.get(), text.data(), text.size());
  if (written < 0) return give_up("write", errno);
  if (static_cast<std::size_t>(written) != text.size()) return give_up("write", ENOSPC);
  if (::fsync(fd.get()) != 0) return give_up("fsync", errno);
  if (std::rename(fresh.c_str(), path.c_str()) != 0) return give_up("rename", errno);
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const UniqueFd folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return file_error(directory, "fsync", errno);
  return {};
}

}  // namespace natsession
