// AnswerPrinter: the rows of an answer while they come: as a table for people, as JSON or as CSV.
//
// JSON is one object: the facts, "rows" (an array of objects) and, behind them, what the ledger could not
// tell: "complete", "gaps", "damage". CSV is a header line and the rows alone. Tables come in parts, each as
// wide as it needs, and folded where the screen is not.
// Units: times are shown in the zone of the process, with it; shares are 0 to 1, and percent in tables.
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"
#include "query/scan_batch.h"
#include "words.h"

namespace natsession::ctl {

enum class Shape : std::uint8_t { kTable, kJson, kCsv };

// How people read a column's numbers.
enum class Unit : std::uint8_t { kNone, kCount, kBytes, kShare };

struct AnswerColumn {
  std::string name;
  Unit unit = Unit::kNone;
};

using AnswerValue = std::variant<std::monostate, std::int64_t, std::uint64_t, double, std::string, UnixMs>;

// Appends one value of a line of CSV, in quotes where it must be; no comma.
void append_csv(std::string_view text, std::string& out);

class AnswerPrinter {
 public:
  // Takes a piece of the answer; false when nobody wants more.
  using Write = std::function<bool(std::string_view)>;

  AnswerPrinter(Shape shape, const Screen& screen);  // to stdout
  AnswerPrinter(Shape shape, const Screen& screen, Write write);
  ~AnswerPrinter();

  // Before the first begin(): a member of the JSON object; nothing in tables and CSV.
  void fact(std::string_view name, const AnswerValue& value);
  // A line of its own in tables; nothing else where.
  void remark(std::string_view line);
  // The columns of the rows that follow. In a table several lists may follow each other.
  void begin(std::vector<AnswerColumn> columns);
  // As many values as there are columns. False when nobody takes the output any more.
  [[nodiscard]] bool row(std::vector<AnswerValue> values);
  // Writes what is left; returns the exit status.
  [[nodiscard]] int finish(const ScanReport& report);

 private:
  class Form;
  class TableForm;
  class JsonForm;
  class CsvForm;
  void write_some(std::size_t at_least);

  std::unique_ptr<Form> form_;
  Write write_;
  std::string out_;
  bool broken_ = false;
};

// What an answer must say beside the answer: gaps in the log, damage in the ledger.
// Threads: one; times are in the zone of the process.

// "2026-11-21 14:57:03.000 CET to 2026-11-21 14:58:00.000 CET: overrun, 1,200 events lost"
[[nodiscard]] std::string gap_text(const KnownGap& gap);
[[nodiscard]] std::string trouble_text(const Trouble& trouble);
// One line for all gaps and one for all troubles: how many, and the first.
[[nodiscard]] std::vector<std::string> notes_of(const std::vector<KnownGap>& gaps, std::uint64_t gap_count,
                                                const std::vector<Trouble>& troubles,
                                                std::uint64_t trouble_count);

// The same on stderr, as warnings of `command`; nothing when the log is complete.
void warn(std::string_view command, const ScanReport& report);
void warn(std::string_view command, const std::vector<std::string>& notes);

// JSON arrays, and the members "complete", "cancelled", "gap_count", "gaps", "damage" … with a newline behind
// the last.
[[nodiscard]] std::string gaps_json(const std::vector<KnownGap>& gaps);
[[nodiscard]] std::string troubles_json(const std::vector<Trouble>& troubles);
[[nodiscard]] std::string report_members_json(const ScanReport& report);

}  // namespace natsession::ctl
