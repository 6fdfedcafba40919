#include "delivery/disabled_sinks.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <unistd.h>

#include "base/files.h"

namespace natsession {
namespace {

constexpr ByteCount kMaxFile{1 << 20};

// Of an error that already names the file.
Error about_disabled(const Error& error) {
  return {error.kind, "disabled sinks " + error.message};
}

}  // namespace

Result<SinkNames> read_disabled_sinks(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return SinkNames();
  const auto file = read_file(path, kMaxFile, ErrorKind::kIo);
  if (!file) return about_disabled(file.error());
  const std::string& text = *file;
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
  if (!written) return about_disabled(written.error());
  return {};
}

}  // namespace natsession
