#include "base/byte_count.h"

#include <charconv>
#include <limits>

namespace natsession {
namespace {

constexpr std::string_view kSuffixes = "KMGT";  // 1024 to the power of position + 1

}  // namespace

Result<ByteCount> parse_byte_count(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  if (error == std::errc() && suffix.size() <= 1) {
    const std::size_t position = suffix.empty() ? 0 : kSuffixes.find(suffix.front());
    const unsigned shift = suffix.empty() ? 0 : 10 * (static_cast<unsigned>(position) + 1);
    if (position != std::string_view::npos &&
        number <= (std::numeric_limits<std::uint64_t>::max() >> shift)) {
      return ByteCount{number << shift};
    }
  }
  return Error{ErrorKind::kUsage,
               "'" + std::string(text) +
                   "' is not a size: a whole number of bytes, or with K, M, G or T, such as 64M"};
}

std::string format_byte_count(ByteCount count) {
  std::uint64_t number = count.bytes;
  std::size_t steps = 0;
  while (number != 0 && number % 1024 == 0 && steps < kSuffixes.size()) {
    number /= 1024;
    ++steps;
  }
  std::string text = std::to_string(number);
  if (steps > 0) text += kSuffixes[steps - 1];
  return text;
}

}  // namespace natsession
