// TextTable: rows of words under titles, as wide as they need, in colours where they are wanted.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace natsession::ctl {

enum class Paint : std::uint8_t { kPlain, kTitle, kGood, kWarning, kBad };

// `text` in its colour, or as it is.
[[nodiscard]] std::string painted(std::string_view text, Paint paint, bool colours);

class TextTable {
 public:
  enum class Align : std::uint8_t { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  struct Cell {
    Cell(std::string shown, Paint how = Paint::kPlain)
        : text(std::move(shown)), paint(how) {}  // NOLINT: implicit
    Cell(const char* shown) : text(shown) {}     // NOLINT
    std::string text;                            // one line, nothing that moves the cursor
    Paint paint = Paint::kPlain;
  };

  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns.
  void add_row(std::vector<Cell> cells) { rows_.push_back({std::move(cells), {}}); }
  // A line of its own below the last row, indented.
  void add_note(std::string text, Paint paint) { rows_.back().notes.emplace_back(std::move(text), paint); }

  [[nodiscard]] std::string text(bool colours) const;

 private:
  struct Row {
    std::vector<Cell> cells;
    std::vector<Cell> notes;
  };

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace natsession::ctl
