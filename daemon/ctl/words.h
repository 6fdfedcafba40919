// Numbers, sizes, times and texts as people read them.
// Threads: one; times are in the time zone of the process.
#pragma once

#include <chrono>
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

// TextTable: rows of words under titles, as wide as they need, in colours where they are wanted.
// Threads: one for each object.

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
