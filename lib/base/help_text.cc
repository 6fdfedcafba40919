#include "base/help_text.h"

#include <algorithm>

namespace natsession {

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (lines.empty() || width_of(lines.back()) + 1 + width_of(word) > width) {
      lines.emplace_back(word);
    } else {
      lines.back().append(" ").append(word);
    }
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return lines;
}

std::string help_row(std::size_t indent, std::string_view left, std::string_view right) {
  std::string out = std::string(indent, ' ') + std::string(left);
  const std::size_t width = width_of(out);
  out += width < kHelpColumn ? std::string(kHelpColumn - width, ' ') : "\n" + std::string(kHelpColumn, ' ');
  bool first = true;
  for (const std::string& line : wrapped(right, kHelpWidth - kHelpColumn)) {
    if (!first) out += "\n" + std::string(kHelpColumn, ' ');
    out += line;
    first = false;
  }
  return out + "\n";
}

}  // namespace natsession
