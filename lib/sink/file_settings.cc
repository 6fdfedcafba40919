#include "sink/file_settings.h"

#include <charconv>
#include <optional>

#include "base/time.h"

namespace natsession {
namespace {

constexpr ByteCount kMinRotateSize{1024};
constexpr std::chrono::milliseconds kMinRotateTime = std::chrono::seconds(1);
constexpr std::chrono::milliseconds kMaxRotateTime = std::chrono::days(366);

template <typename T>
std::optional<T> number(std::string_view text, int base) {
  T value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

std::string in_quotes(std::string_view text) {
  return "'" + std::string(text) + "'";
}

// Empty if the option was understood, else what would do. Options that are not the file sink's are left
// alone.
std::string put(FileSettings& settings, const SinkUrl::Option& option) {
  const std::string& value = option.value;
  if (option.key == "rotate_size") {
    const auto size = parse_byte_count(value);
    if (!size) return size.error().message;
    if (*size < kMinRotateSize) return in_quotes(value) + " is too small: 1K at least";
    settings.rotate_size = *size;
  } else if (option.key == "rotate_time") {
    const auto time = parse_duration(value);
    if (!time) return time.error().message;
    if (*time < kMinRotateTime || *time > kMaxRotateTime) return in_quotes(value) + " is not from 1s to 366d";
    settings.rotate_time = *time;
  } else if (option.key == "compress") {
    const auto compression = parse_compression(value);
    if (!compression) return compression.error().message;
    settings.compress = *compression;
  } else if (option.key == "keep") {
    const auto count = number<std::size_t>(value, 10);
    if (!count) return in_quotes(value) + " is not a number of files: 1 or more, or 0 for all";
    settings.keep = *count;
  } else if (option.key == "mode") {
    const auto mode = number<mode_t>(value, 8);
    if (!mode || *mode > 0777) return in_quotes(value) + " is not a file mode: octal digits such as 0640";
    settings.mode = *mode;
  }
  return {};
}

}  // namespace

Result<FileSettings> FileSettings::parse(const SinkUrl& url) {
  FileSettings settings;
  settings.path = url.target;
  if (settings.path.empty()) return url.wrong("a path is missing: file:PATH, such as file:/var/log/nat.json");
  for (const SinkUrl::Option& option : url.options) {
    const std::string why = put(settings, option);
    if (!why.empty()) return url.wrong(option, why);
  }
  for (const SinkUrl::Option& option : url.options) {
    if ((option.key == "compress" || option.key == "keep") && !settings.rotates()) {
      return url.wrong(option, "is about rotated files: give rotate_size or rotate_time too");
    }
  }
  return settings;
}

}  // namespace natsession
