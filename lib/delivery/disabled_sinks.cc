#include "delivery/disabled_sinks.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"
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
  const std::filesystem::path file(path);
  const std::string directory = file.has_parent_path() ? file.parent_path().string() : ".";
  const std::string_view parts[] = {text};
  auto written = replace_file(directory, file.filename().string(), parts);
  if (!written) return Error{written.error().kind, "disabled sinks " + written.error().message};
  return {};
}

}  // namespace natsession
