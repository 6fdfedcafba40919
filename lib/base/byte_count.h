// ByteCount: a size in bytes that cannot be mistaken for another number, and its text form.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace natsession {

struct ByteCount {
  std::uint64_t bytes = 0;
  friend auto operator<=>(const ByteCount&, const ByteCount&) = default;
};

// Reads "4096", "512K", "64M", "20G", "1T"; the units are powers of 1024.
// Errors: kUsage, naming the text.
[[nodiscard]] Result<ByteCount> parse_byte_count(std::string_view text);

// The shortest text that parse_byte_count() reads back to the same value.
[[nodiscard]] std::string format_byte_count(ByteCount count);

}  // namespace natsession
