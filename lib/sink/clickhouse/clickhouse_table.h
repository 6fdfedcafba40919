// ClickHouseTable: what records are in ClickHouse: the columns of their table, the types that each server has
// for them, and the bytes of a row in the format RowBinary. The columns follow from record/fields.h.
//
// A column that may have no value is Nullable, but for what a table is ordered by or what has a value of its
// own for none: addresses are ::, ports, zone, mark, protocol, session_id and seq 0, texts empty. So it is
// with what a gap record does not have.
// Threads: any; the functions keep no state.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "record/fields.h"
#include "record/session_record.h"

namespace natsession::clickhouse {

enum class ColumnKind : std::uint8_t {
  kText,
  kAddress,  // 16 bytes in network byte order, IPv4 as ::ffff:a.b.c.d
  kUInt8,
  kUInt16,
  kUInt32,
  kUInt64,
  kMaybeUInt64,
  kTime,  // ms since 1970
  kMaybeTime,
};

// A column of any table.
struct NamedColumn {
  std::string_view name;
  ColumnKind kind;
};

struct Column {
  Field field;
  std::string_view name;
  ColumnKind kind;
};
// All of them, in the order of the fields.
[[nodiscard]] std::span<const Column> columns();
[[nodiscard]] const Column* find_column(Field field);  // null: it has none

// Whether a column of that type has the bytes of this kind.
[[nodiscard]] bool is_type_of(ColumnKind kind, std::string_view type);
// What would do, for people: "IPv6 or FixedString(16)".
[[nodiscard]] std::string_view types_of(ColumnKind kind);

// "MAJOR.MINOR…" as version() says it; ordered. Nothing else of it is looked at.
struct Version {
  unsigned year = 0;
  unsigned number = 0;
  friend auto operator<=>(const Version&, const Version&) = default;
  // Errors: kUsage, naming the text.
  [[nodiscard]] static Result<Version> parse(std::string_view text);
};

// A name of a database, table or column, in backquotes; and a text, in quotes. Any bytes.
[[nodiscard]] std::string quoted_name(std::string_view name);
[[nodiscard]] std::string quoted_text(std::string_view text);

// What the table of records is to be.
struct TableWish {
  std::string database = "default";
  std::string table = "nat_sessions";
  Version version{24, 3};
  unsigned keep_days = 180;  // 0: for ever
  bool replicated = false;
};
// The statements that make it, and the table of coverage beside it (clickhouse_coverage.h), for people to
// read and for clickhouse-client to run.
[[nodiscard]] std::string create_statements(const TableWish& wish);

// Appends a row with all columns().
void append_row(const SessionRecord& record, std::string& out);

// Takes rows apart, of some columns.
class RowReader {
 public:
  // Shape: `columns` are of columns().
  explicit RowReader(std::span<const Column* const> columns, bool marked = true);

  enum class Outcome { kRow, kMore, kBad };
  // Takes a row from the front of `bytes`; `record` then has what the row has, and its other fields are as
  // they were. kMore: the row goes on behind `bytes`. kBad: that is no row; see why(). Of a record that is
  // not whole the fields mean nothing.
  // Shape:  a row begins with kRowMark, where rows are marked.
  Outcome take(std::string_view& bytes, SessionRecord& record);
  [[nodiscard]] const std::string& why() const { return why_; }

 private:
  using Taker = Outcome (RowReader::*)(std::string_view&, SessionRecord&);
  template <Field kField>
  Outcome take_field(std::string_view& bytes, SessionRecord& record);
  Outcome bad(std::string why);

  bool marked_;
  std::vector<Taker> takers_;
  std::string_view instance_, netns_;  // of the row that is being taken
  std::string why_;
};
// So each row that is asked for begins: an error message in the middle of an answer is no row.
inline constexpr std::uint32_t kRowMark = 0x4e534c31;

}  // namespace natsession::clickhouse
