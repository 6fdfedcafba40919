#include "base/quoted_words.h"

#include <algorithm>

namespace natsession {
namespace {

// The place of the quote that ends what begins at 0.
std::size_t closing_quote(std::string_view line, Escapes escapes) {
  for (std::size_t at = 1; at < line.size(); ++at) {
    if (line[at] == '"') return at;
    if (line[at] == '\\' && escapes == Escapes::kBackslash) ++at;
  }
  return std::string_view::npos;
}

}  // namespace

std::vector<std::string_view> quoted_words(std::string_view line, Escapes escapes) {
  std::vector<std::string_view> words;
  while (true) {
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t")));
    if (line.empty()) return words;
    const bool quoted = line.front() == '"';
    std::size_t end = quoted ? closing_quote(line, escapes) : line.find_first_of(" \t");
    end = std::min(end, line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(line.size(), end + (quoted ? 1 : 0)));
  }
}

}  // namespace natsession
