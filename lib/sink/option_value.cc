#include "sink/option_value.h"

#include <charconv>

#include "base/time.h"

namespace natsession {
namespace {

std::string out_of_range(const std::string& value, const std::string& least, const std::string& most) {
  return "'" + value + "' is out of range: " + least + " to " + most;
}

}  // namespace

Result<std::uint64_t> option_number(const SinkUrl& url, const SinkUrl::Option& option, std::uint64_t least,
                                    std::uint64_t most) {
  std::uint64_t number = 0;
  const char* const end = option.value.data() + option.value.size();
  const auto [rest, error] = std::from_chars(option.value.data(), end, number);
  if (rest != end || (error != std::errc() && error != std::errc::result_out_of_range)) {
    return url.wrong(option, "'" + option.value + "' is not a number: " + std::to_string(least) + " to " +
                                 std::to_string(most));
  }
  if (error != std::errc() || number < least || number > most) {
    return url.wrong(option, out_of_range(option.value, std::to_string(least), std::to_string(most)));
  }
  return number;
}

Result<ByteCount> option_size(const SinkUrl& url, const SinkUrl::Option& option, ByteCount least,
                              ByteCount most) {
  const auto size = parse_byte_count(option.value);
  if (!size) return url.wrong(option, size.error().message);
  if (*size < least || *size > most) {
    return url.wrong(option, out_of_range(option.value, format_byte_count(least), format_byte_count(most)));
  }
  return *size;
}

Result<std::chrono::milliseconds> option_time(const SinkUrl& url, const SinkUrl::Option& option,
                                              std::chrono::milliseconds least,
                                              std::chrono::milliseconds most) {
  const auto time = parse_duration(option.value);
  if (!time) return url.wrong(option, time.error().message);
  if (*time < least || *time > most) {
    return url.wrong(option, out_of_range(option.value, format_duration(least), format_duration(most)));
  }
  return *time;
}

Result<std::size_t> option_word(const SinkUrl& url, const SinkUrl::Option& option,
                                std::span<const std::string_view> words) {
  std::string known;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (option.value == words[i]) return i;
    if (i > 0) known += i + 1 < words.size() ? ", " : " or ";
    known += words[i];
  }
  return url.wrong(option, "'" + option.value + "' is not one of " + known);
}

Result<std::string> option_text(const SinkUrl& url, const SinkUrl::Option& option, std::string_view what) {
  if (option.value.empty()) return url.wrong(option, "is empty: give " + std::string(what));
  return option.value;
}

}  // namespace natsession
