#include "base/option.h"

#include <charconv>

namespace natsession::option_text {
namespace {

std::string in_quotes(std::string_view text) {
  return "'" + std::string(text) + "'";
}

template <typename T>
std::string within(const Range<T>& range, const std::string& least, const std::string& most) {
  return range.most == Range<T>{}.most ? least + " or more" : least + " to " + most;
}

template <typename T>
Result<T> checked(std::string_view text, T value, const Range<T>& range) {
  if (value < range.least || value > range.most) {
    return Error{ErrorKind::kUsage, in_quotes(text) + " is out of range: " + of(range)};
  }
  return value;
}

}  // namespace

Result<std::chrono::milliseconds> time(std::string_view text, const DurationRange& range) {
  const auto time = parse_duration(text);
  if (!time) return time.error();
  return checked(text, *time, range);
}

Result<ByteCount> size(std::string_view text, const Range<ByteCount>& range) {
  const auto size = parse_byte_count(text);
  if (!size) return size.error();
  return checked(text, *size, range);
}

Result<std::uint64_t> number(std::string_view text, const Range<std::uint64_t>& range) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (rest != end || (error != std::errc() && error != std::errc::result_out_of_range)) {
    return Error{ErrorKind::kUsage, in_quotes(text) + " is not a number: " + of(range)};
  }
  if (error != std::errc()) {
    return Error{ErrorKind::kUsage, in_quotes(text) + " is out of range: " + of(range)};
  }
  return checked(text, number, range);
}

Result<std::size_t> word(std::string_view text, std::span<const std::string_view> words) {
  std::string known;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (text == words[i]) return i;
    if (i > 0) known += i + 1 < words.size() ? ", " : " or ";
    known += words[i];
  }
  return Error{ErrorKind::kUsage, in_quotes(text) + " is not one of " + known};
}

std::string of(const DurationRange& range) {
  return within(range, format_duration(range.least), format_duration(range.most));
}

std::string of(const Range<ByteCount>& range) {
  return within(range, format_byte_count(range.least), format_byte_count(range.most));
}

std::string of(const Range<std::uint64_t>& range) {
  return within(range, std::to_string(range.least), std::to_string(range.most));
}

std::string explained(std::string_view help, std::string_view range, std::string_view usual) {
  std::string text(range);
  if (!usual.empty()) text += (text.empty() ? "default: " : "; default: ") + std::string(usual);
  return text.empty() ? std::string(help) : std::string(help) + " (" + text + ")";
}

}  // namespace natsession::option_text
