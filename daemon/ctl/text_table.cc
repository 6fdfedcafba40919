#include "text_table.h"

#include <algorithm>

namespace natsession::ctl {
namespace {

// In characters, as far as each takes one place.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string_view code_of(Paint paint) {
  switch (paint) {
    case Paint::kTitle:
      return "\x1b[1m";
    case Paint::kGood:
      return "\x1b[32m";
    case Paint::kWarning:
      return "\x1b[33m";
    case Paint::kBad:
      return "\x1b[31m";
    case Paint::kPlain:
      break;
  }
  return {};
}

}  // namespace

std::string painted(std::string_view text, Paint paint, bool colours) {
  const std::string_view code = code_of(paint);
  if (!colours || code.empty() || text.empty()) return std::string(text);
  return std::string(code) + std::string(text) + "\x1b[0m";
}

std::string TextTable::text(bool colours) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = width_of(columns_[i].title);
    for (const Row& row : rows_) width = std::max(width, width_of(row.cells[i].text));
    widths.push_back(width);
  }
  std::string out;
  const auto line = [&](const auto& cell_at) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const Cell cell = cell_at(i);
      const std::string gap(widths[i] - width_of(cell.text), ' ');
      const bool right = columns_[i].align == Align::kRight;
      if (i != 0) out += "  ";
      if (right) out += gap;
      out += painted(cell.text, cell.paint, colours);
      if (!right && i + 1 != columns_.size()) out += gap;
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  };
  line([&](std::size_t i) { return Cell(columns_[i].title, Paint::kTitle); });
  for (const Row& row : rows_) {
    line([&](std::size_t i) { return row.cells[i]; });
    for (const Cell& note : row.notes) out += "  " + painted(note.text, note.paint, colours) + "\n";
  }
  return out;
}

}  // namespace natsession::ctl
