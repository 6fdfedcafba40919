// CsvTable: rows as spreadsheets and people save them: RFC 4180 with commas, semicolons or tabs between, told
// by a line "sep=;" or by what the first line has; UTF-8 or UTF-16, with a byte order mark or not; blank rows
// left out.
// Source:  RFC 4180; what Excel and LibreOffice write.
// Threads: one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace natsession::ctl {

struct CsvTable {
  struct Row {
    std::vector<std::string> cells;
    std::uint64_t line = 0;  // where it begins, from 1
  };
  char delimiter = ',';
  std::vector<Row> rows;
};

// Errors: kUsage for what is no such text, with the line.
[[nodiscard]] Result<CsvTable> read_csv_table(std::string_view bytes);

}  // namespace natsession::ctl
