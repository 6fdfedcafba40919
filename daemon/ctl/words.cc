#include "words.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>

#include <fmt/format.h>

#include "base/help_text.h"

namespace natsession::ctl {
namespace {

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

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

std::string bytes_in_words(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

bool takes_utf8() {
  for (const char* const name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string text(value);
    std::transform(text.begin(), text.end(), text.begin(), [](char byte) {
      return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
    });
    return text.find("utf-8") != std::string::npos || text.find("utf8") != std::string::npos;
  }
  return true;
}

std::string time_in_words(UnixMs time) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm parts{};
  std::array<char, 64> text{};
  if (::localtime_r(&seconds, &parts) == nullptr) return "?";
  return {text.data(), std::strftime(text.data(), text.size(), "%F %T %Z", &parts)};
}

std::string span_in_words(std::chrono::milliseconds length) {
  const std::int64_t ms = length.count() < 0 ? 0 : length.count();
  const std::int64_t seconds = ms / 1000;
  const std::int64_t minutes = seconds / 60;
  const std::int64_t hours = minutes / 60;
  if (ms < 10'000) return fmt::format("{}.{}s", seconds, ms % 1000 / 100);
  if (minutes < 1) return fmt::format("{}s", seconds);
  if (hours < 1) return fmt::format("{}m {}s", minutes, seconds % 60);
  if (hours < 24) return fmt::format("{}h {}m", hours, minutes % 60);
  return fmt::format("{}d {}h", hours / 24, hours % 24);
}

std::string printable(std::string_view text) {
  const bool ascii = !takes_utf8();
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c1) ++i;  // the control characters beyond ASCII
    if (byte == '\n' || byte == '\r' || byte == '\t') {
      out += ' ';
    } else if (byte < 0x20 || byte == 0x7f || c1 || (ascii && byte >= 0xc0)) {
      out += '?';
    } else if (!ascii || byte < 0x80) {  // else it goes on a character that has its question mark
      out += text[i];
    }
  }
  return out;
}

Endpoint split_endpoint(std::string_view text) {
  // "ADDRESS port PORT", "ADDRESS PORT", "ADDRESS#PORT".
  if (const std::size_t end = text.find_first_of(" #"); end != std::string_view::npos && end > 0) {
    std::string_view port = text.substr(text.find_first_not_of(" #", end) == std::string_view::npos
                                            ? text.size()
                                            : text.find_first_not_of(" #", end));
    if (port.starts_with("port ")) port.remove_prefix(5);
    std::string_view address = text.substr(0, end);
    if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
    return {std::string(address), std::string(port)};
  }
  const std::size_t first = text.find(':');
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close != std::string_view::npos) {
      const std::string_view behind = text.substr(close + 1);
      const std::string address(text.substr(1, close - 1));
      if (behind.empty()) return {address, {}};
      if (behind.starts_with(':')) return {address, std::string(behind.substr(1))};
    }
    return {std::string(text), {}};
  }
  const bool one_colon =
      first != std::string_view::npos && text.find(':', first + 1) == std::string_view::npos;
  if (!one_colon) return {std::string(text), {}};
  return {std::string(text.substr(0, first)), std::string(text.substr(first + 1))};
}

std::string endpoint_text(const IpAddress& address, std::uint16_t port) {
  const std::string text = address.to_string();
  return (address.is_v4() ? text : "[" + text + "]") + ":" + std::to_string(port);
}

std::string painted(std::string_view text, Paint paint, bool colours) {
  const std::string_view code = code_of(paint);
  if (!colours || code.empty() || text.empty()) return std::string(text);
  return std::string(code) + std::string(text) + "\x1b[0m";
}

std::string paragraph(std::string_view text, std::size_t indent, Paint paint, const Screen& screen) {
  std::string out;
  for (const std::string& line : wrapped(text, screen.width - std::min(screen.width, indent)))
    out += std::string(indent, ' ') + painted(line, paint, screen.colours) + "\n";
  return out;
}

std::string TextTable::text(const Screen& screen) const {
  constexpr std::size_t kGap = 2;
  constexpr std::size_t kFurther = 4;  // how far the further lines of a row are indented
  std::vector<std::size_t> widths;
  std::vector<std::size_t> begins;  // the columns that begin a line
  std::size_t used = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = width_of(columns_[i].title);
    for (const Row& row : rows_) width = std::max(width, width_of(row.cells[i].text));
    if (i == 0 || used + kGap + width > screen.width) {
      used = i == 0 ? 0 : kFurther;
      begins.push_back(i);
    } else {
      used += kGap;
    }
    used += width;
    widths.push_back(width);
  }
  begins.push_back(columns_.size());
  std::string out;
  const auto lines = [&](const auto& cell_at) {
    for (std::size_t line = 0; line + 1 < begins.size(); ++line) {
      const std::size_t indent = line == 0 ? 0 : kFurther;
      if (begins[line] + 1 == begins[line + 1] && indent + widths[begins[line]] > screen.width) {
        const Cell cell = cell_at(begins[line]);
        out += cell.text.empty() ? "\n" : paragraph(cell.text, indent, cell.paint, screen);
        continue;
      }
      out += std::string(indent, ' ');
      for (std::size_t i = begins[line]; i < begins[line + 1]; ++i) {
        const Cell cell = cell_at(i);
        const std::string gap(widths[i] - width_of(cell.text), ' ');
        const bool right = columns_[i].align == Align::kRight;
        if (i != begins[line]) out += std::string(kGap, ' ');
        if (right) out += gap;
        out += painted(cell.text, cell.paint, screen.colours);
        if (!right && i + 1 != begins[line + 1]) out += gap;
      }
      out.erase(out.find_last_not_of(' ') + 1);
      out += '\n';
    }
  };
  lines([&](std::size_t i) { return Cell(columns_[i].title, Paint::kTitle); });
  for (const Row& row : rows_) {
    lines([&](std::size_t i) { return row.cells[i]; });
    for (const Cell& note : row.notes) out += paragraph(note.text, 2, note.paint, screen);
  }
  return out;
}

}  // namespace natsession::ctl
