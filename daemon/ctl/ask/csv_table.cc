#include "ask/csv_table.h"

#include <algorithm>
#include <array>
#include <memory>

#include <csv.h>
#include <fmt/format.h>
#include <iconv.h>

namespace natsession::ctl {
namespace {

constexpr std::string_view kDelimiters = ",;\t";

Error wrong(const std::string& what) {
  return {ErrorKind::kUsage, "--file: " + what};
}

// With a byte order mark, or told by the zeros that every second byte of digits is.
const char* utf16_of(std::string_view bytes) {
  if (bytes.starts_with("\xff\xfe")) return "UTF-16";
  if (bytes.starts_with("\xfe\xff")) return "UTF-16";
  if (bytes.size() >= 4 && bytes[1] == '\0' && bytes[3] == '\0') return "UTF-16LE";
  if (bytes.size() >= 4 && bytes[0] == '\0' && bytes[2] == '\0') return "UTF-16BE";
  return nullptr;
}

Result<std::string> from_utf16(std::string_view bytes, const char* name) {
  const iconv_t opened = ::iconv_open("UTF-8", name);
  if (opened == reinterpret_cast<iconv_t>(-1))
    return wrong("is UTF-16, which cannot be read here: save it as UTF-8");
  const std::unique_ptr<void, int (*)(iconv_t)> conversion(opened, ::iconv_close);
  std::string text(bytes.size() * 3 / 2 + 4, '\0');  // a unit of two bytes is three at most
  std::string copy(bytes);
  char* in = copy.data();
  char* out = text.data();
  std::size_t in_left = copy.size();
  std::size_t out_left = text.size();
  if (::iconv(conversion.get(), &in, &in_left, &out, &out_left) == static_cast<std::size_t>(-1)) {
    return wrong(
        fmt::format("is UTF-16 that is broken at byte {}: save it as UTF-8", copy.size() - in_left + 1));
  }
  text.resize(text.size() - out_left);
  return text;
}

// What stands most often in the first line, outside quotes.
char delimiter_of(std::string_view text) {
  std::array<std::size_t, kDelimiters.size()> counts{};
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == '\n' || c == '\r')) break;
    const std::size_t which = quoted ? std::string_view::npos : kDelimiters.find(c);
    if (which != std::string_view::npos) ++counts[which];
  }
  return kDelimiters[static_cast<std::size_t>(std::max_element(counts.begin(), counts.end()) -
                                              counts.begin())];
}

// "sep=;" and its line's end, which Excel reads and writes.
std::size_t take_sep_line(std::string_view text, char& delimiter) {
  if (text.size() < 5 || !text.starts_with("sep=") || kDelimiters.find(text[4]) == std::string_view::npos)
    return 0;
  std::size_t end = 5;
  if (end < text.size() && text[end] == '\r') ++end;
  if (end < text.size() && text[end] != '\n') return 0;
  delimiter = text[4];
  return std::min(end + 1, text.size());
}

// What libcsv calls back.
struct Rows {
  std::vector<CsvTable::Row> rows;
  std::vector<std::string> cells;
  std::uint64_t line = 1;

  static void on_cell(void* bytes, std::size_t length, void* self) {
    std::string_view cell(static_cast<const char*>(bytes), length);
    while (cell.ends_with(' ')) cell.remove_suffix(1);
    while (cell.starts_with(' ')) cell.remove_prefix(1);
    static_cast<Rows*>(self)->cells.emplace_back(cell);
  }
  static void on_line(int end, void* self) {
    auto& rows = *static_cast<Rows*>(self);
    const bool blank =
        std::all_of(rows.cells.begin(), rows.cells.end(), [](const auto& cell) { return cell.empty(); });
    if (!blank) rows.rows.push_back({std::move(rows.cells), rows.line});
    rows.cells.clear();
    if (end != '\r') ++rows.line;
  }
};

}  // namespace

Result<CsvTable> read_csv_table(std::string_view bytes) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  std::string converted;
  if (const char* const name = utf16_of(bytes)) {
    auto text = from_utf16(bytes, name);
    if (!text) return text.error();
    converted = std::move(*text);
    bytes = converted;
  }
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  CsvTable table;
  Rows rows;
  if (const std::size_t taken = take_sep_line(bytes, table.delimiter); taken > 0) {
    bytes.remove_prefix(taken);
    rows.line = 2;
  } else {
    table.delimiter = delimiter_of(bytes);
  }
  csv_parser parser{};
  if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL) != 0)
    return Error{ErrorKind::kIo, "--file: no memory"};
  csv_set_delim(&parser, static_cast<unsigned char>(table.delimiter));
  const bool read =
      csv_parse(&parser, bytes.data(), bytes.size(), Rows::on_cell, Rows::on_line, &rows) == bytes.size() &&
      csv_fini(&parser, Rows::on_cell, Rows::on_line, &rows) == 0;
  const std::string why = read ? "" : csv_strerror(csv_error(&parser));
  csv_free(&parser);
  if (!read) return wrong(fmt::format("line {} is not CSV: {}", rows.line, why));
  table.rows = std::move(rows.rows);
  return table;
}

}  // namespace natsession::ctl
