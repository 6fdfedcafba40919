// What stands between the commas of a text.
// Threads: pure functions.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

namespace natsession {

// All parts, also empty ones: of a text without a comma it is one, the text itself. They point into `text`.
[[nodiscard]] inline std::vector<std::string_view> comma_list(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

}  // namespace natsession
