#include <algorithm>
#include <span>
#include <string>
#include <string_view>

#include "sink/registry.h"

namespace natsession {
namespace {

constexpr std::size_t kHelpWidth = 80;
constexpr std::size_t kHelpColumn = 30;

// `left` at `indent`, and `right` beside it, broken into lines.
void append_help(std::string& out, std::size_t indent, std::string_view left, std::string_view right) {
  std::string line = std::string(indent, ' ') + std::string(left);
  if (line.size() >= kHelpColumn) {
    out += line + "\n";
    line.clear();
  }
  line.resize(kHelpColumn, ' ');
  std::size_t words = 0;
  while (!right.empty()) {
    const std::string_view word = right.substr(0, right.find(' '));
    if (words > 0 && line.size() + 1 + word.size() > kHelpWidth) {
      out += line + "\n";
      line.assign(kHelpColumn, ' ');
      words = 0;
    }
    if (words++ > 0) line += ' ';
    line += word;
    right.remove_prefix(std::min(right.size(), word.size() + 1));
  }
  out += line + "\n";
}

void append_options(std::string& out, std::span<const SinkOption> options) {
  for (const SinkOption& option : options) {
    append_help(out, 4, std::string(option.key) + "=" + std::string(option.values), option.help);
  }
}

}  // namespace

std::string sink_help() {
  std::string out;
  for (const SinkKind& kind : sink_kinds()) {
    append_help(out, 2, kind.usage, kind.help);
    append_options(out, kind.options);
  }
  append_help(out, 2, "any sink",
              "may have options, as in 'file:/var/log/nat.json?rotate_size=100M&keep=14'");
  append_options(out, common_sink_options());
  return out;
}

}  // namespace natsession
