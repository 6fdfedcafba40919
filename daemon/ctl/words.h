// Numbers, sizes, times and texts as people read them.
// Threads: one; times are in the time zone of the process.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "net/ip_address.h"

namespace natsession::ctl {

[[nodiscard]] std::string grouped(std::uint64_t number);        // 12,345
[[nodiscard]] std::string bytes_in_words(std::uint64_t bytes);  // 1.2 GiB
[[nodiscard]] std::string time_in_words(UnixMs time);           // 2026-11-21 14:57:03 CET
// Whether the locale of the environment names UTF-8, or none is named: else people are shown ASCII alone.
// What programs read, JSON and CSV, is UTF-8 always.
[[nodiscard]] bool takes_utf8();
[[nodiscard]] std::string span_in_words(std::chrono::milliseconds length);  // 3d 4h, 12s, 0.4s
// Text from elsewhere, without what would move a terminal's cursor: on one line.
[[nodiscard]] std::string printable(std::string_view text);

// One end of a session, as a user writes it and as it is shown.
// "10.0.0.5", "10.0.0.0/8", "10.0.0.5:4000", ":4000", "fd64::2", "[fd64::2]:4000", "fd64::2 4000", "10.0.0.5
// port 4000", "10.0.0.5#4000". Either part may be empty; neither is checked here.
struct Endpoint {
  std::string address;
  std::string port;
};
[[nodiscard]] Endpoint split_endpoint(std::string_view text);
// "203.0.113.7:40123", "[2001:db8::7]:40123"
[[nodiscard]] std::string endpoint_text(const IpAddress& address, std::uint16_t port);

// What an answer is shown on.
struct Screen {
  static constexpr std::size_t kAnyWidth = std::size_t{1} << 30;  // a file, a pipe: lines as long as they are

  Screen(bool with_colours, std::size_t columns = kAnyWidth)
      : colours(with_colours), width(columns) {}  // NOLINT: implicit
  bool colours;
  std::size_t width;  // in characters
};

// TextTable: rows of words under titles, in colours where they are wanted. Columns are as wide as they need;
// those that do not fit beside the others stand on further lines of the same row, indented, and so do their
// titles: nothing is left out on a narrow screen.
// Threads: one for each object.

enum class Paint : std::uint8_t { kPlain, kTitle, kGood, kWarning, kBad };

// `text` in its colour, or as it is.
[[nodiscard]] std::string painted(std::string_view text, Paint paint, bool colours);
// `text` as lines that fit, broken at spaces, each behind `indent` spaces and with a newline.
[[nodiscard]] std::string paragraph(std::string_view text, std::size_t indent, Paint paint,
                                    const Screen& screen);

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

  [[nodiscard]] std::string text(const Screen& screen) const;

 private:
  struct Row {
    std::vector<Cell> cells;
    std::vector<Cell> notes;
  };

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace natsession::ctl
