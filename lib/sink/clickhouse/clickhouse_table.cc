#include "sink/clickhouse/clickhouse_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <type_traits>

#include "record/labels.h"
#include "sink/clickhouse/clickhouse_coverage.h"

namespace natsession::clickhouse {
namespace {

static_assert(std::endian::native == std::endian::little, "RowBinary is little-endian, and so are we");

// A text of a table is no larger: a label is not.
constexpr std::size_t kMaxTextBytes = kMaxLabelBytes;
constexpr std::size_t kMaxLengthBytes = 5;
// Versions of ClickHouse from which on it has these.
constexpr Version kModern{21, 4};       // IPv6, DateTime64, codecs, TTL, LowCardinality
constexpr Version kLocalWindow{22, 3};  // non_replicated_deduplication_window

template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};

// How a field's value is handed out: with none as a possibility, or not.
template <Field kField>
inline constexpr bool kMayBeNone = IsOptional<
    std::remove_cvref_t<decltype(field_value<kField>(std::declval<const SessionRecord&>()))>>::value;

template <Field kField>
constexpr ColumnKind kind_in_table() {
  using Type = FieldType<kField>;
  if constexpr (std::is_same_v<Type, IpAddress>) {
    return ColumnKind::kAddress;
  } else if constexpr (std::is_same_v<Type, UnixMs>) {
    return kMayBeNone<kField> ? ColumnKind::kMaybeTime : ColumnKind::kTime;
  } else if constexpr (std::is_same_v<Type, Count>) {
    return ColumnKind::kMaybeUInt64;
  } else if constexpr (std::is_same_v<Type, SessionId>) {
    return ColumnKind::kUInt64;
  } else if constexpr (std::is_enum_v<Type> || std::is_same_v<Type, std::string_view>) {
    return ColumnKind::kText;
  } else {
    static_assert(std::is_unsigned_v<Type>);
    return sizeof(Type) == 1   ? ColumnKind::kUInt8
           : sizeof(Type) == 2 ? ColumnKind::kUInt16
           : sizeof(Type) == 4 ? ColumnKind::kUInt32
                               : ColumnKind::kUInt64;
  }
}

// `event` says it.
constexpr bool in_table(Field field) {
  return field != Field::kLogStatus;
}

constexpr std::size_t kColumnCount = kFieldCount - 1;

constexpr auto kColumns = [] {
  std::array<Column, kColumnCount> all{};
  std::size_t count = 0;
  visit_fields([&]<Field kField>() {
    if constexpr (in_table(kField)) all[count++] = {kField, name_of(kField), kind_in_table<kField>()};
  });
  return all;
}();

constexpr std::size_t fixed_bytes(ColumnKind kind) {
  switch (kind) {
    case ColumnKind::kText:
      return kMaxLengthBytes + kMaxWordLength;
    case ColumnKind::kAddress:
      return 16;
    case ColumnKind::kUInt8:
      return 1;
    case ColumnKind::kUInt16:
      return 2;
    case ColumnKind::kUInt32:
      return 4;
    case ColumnKind::kUInt64:
    case ColumnKind::kTime:
      return 8;
    case ColumnKind::kMaybeUInt64:
    case ColumnKind::kMaybeTime:
      break;
  }
  return 9;
}

constexpr std::size_t kMostBytesWithoutTexts = [] {
  std::size_t bytes = 0;
  for (const Column& column : kColumns) bytes += fixed_bytes(column.kind);
  return bytes;
}();

template <typename T>
char* put(char* out, T value) {
  std::memcpy(out, &value, sizeof value);
  return out + sizeof value;
}

char* put_text(char* out, std::string_view text) {
  std::size_t rest = text.size();
  for (; rest >= 0x80; rest >>= 7) *out++ = static_cast<char>(rest | 0x80);
  *out++ = static_cast<char>(rest);
  text.copy(out, text.size());  // not memcpy: an empty text may have no address
  return out + text.size();
}

std::string_view cut(std::string_view text) {
  return text.substr(0, kMaxTextBytes);
}

// `has`: this record gives the field a value, if it has one.
template <Field kField>
char* put_field(char* out, const SessionRecord& record, bool has) {
  constexpr ColumnKind kKind = kind_in_table<kField>();
  using Type = FieldType<kField>;
  std::optional<Type> value;
  if (has) value = field_value<kField>(record);
  if constexpr (kKind == ColumnKind::kText) {
    if constexpr (std::is_enum_v<Type>) {
      return put_text(out, value ? to_string(*value) : std::string_view());
    } else {
      return put_text(out, cut(value.value_or(std::string_view())));
    }
  } else if constexpr (kKind == ColumnKind::kAddress) {
    const auto bytes = value.value_or(IpAddress()).bytes();
    std::memcpy(out, bytes.data(), bytes.size());
    return out + bytes.size();
  } else if constexpr (kKind == ColumnKind::kTime) {
    return put(out, static_cast<std::int64_t>(value.value_or(UnixMs()).time_since_epoch().count()));
  } else if constexpr (kKind == ColumnKind::kMaybeTime) {
    if (!value) return put(out, std::uint8_t{1});
    return put(put(out, std::uint8_t{0}), static_cast<std::int64_t>(value->time_since_epoch().count()));
  } else if constexpr (kKind == ColumnKind::kMaybeUInt64) {
    if (!value || !value->known()) return put(out, std::uint8_t{1});
    return put(put(out, std::uint8_t{0}), value->value());
  } else if constexpr (std::is_same_v<Type, SessionId>) {
    return put(out, value.value_or(SessionId{}).value);
  } else {
    return put(out, value.value_or(Type{}));
  }
}

// Of rows that are read.

template <typename T>
bool get(std::string_view& bytes, T& value) {
  if (bytes.size() < sizeof value) return false;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes.remove_prefix(sizeof value);
  return true;
}

enum class Got { kText, kMore, kBad };

Got get_text(std::string_view& bytes, std::string_view& text) {
  std::size_t length = 0;
  for (unsigned shift = 0;; shift += 7) {
    std::uint8_t byte = 0;
    if (shift > 28) return Got::kBad;
    if (!get(bytes, byte)) return Got::kMore;
    length |= static_cast<std::size_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  if (length > kMaxTextBytes) return Got::kBad;
  if (bytes.size() < length) return Got::kMore;
  text = bytes.substr(0, length);
  bytes.remove_prefix(length);
  return Got::kText;
}

std::string_view type_name(ColumnKind kind, bool modern) {
  switch (kind) {
    case ColumnKind::kText:
      return modern ? "LowCardinality(String)" : "String";
    case ColumnKind::kAddress:
      return modern ? "IPv6" : "FixedString(16)";
    case ColumnKind::kUInt8:
      return "UInt8";
    case ColumnKind::kUInt16:
      return "UInt16";
    case ColumnKind::kUInt32:
      return "UInt32";
    case ColumnKind::kUInt64:
      return "UInt64";
    case ColumnKind::kMaybeUInt64:
      return "Nullable(UInt64)";
    case ColumnKind::kTime:
      return modern ? "DateTime64(3, 'UTC')" : "Int64";
    case ColumnKind::kMaybeTime:
      break;
  }
  return modern ? "Nullable(DateTime64(3, 'UTC'))" : "Nullable(Int64)";
}

// Measured (tests/bench/RESULTS.md): Delta makes times larger in this order, T64 makes counters smaller.
std::string_view codec_of(const Column& column) {
  return column.kind == ColumnKind::kMaybeUInt64 ? "CODEC(T64, ZSTD(1))" : "CODEC(ZSTD(1))";
}

}  // namespace

std::span<const Column> columns() {
  return kColumns;
}

const Column* find_column(Field field) {
  const auto found = std::find_if(kColumns.begin(), kColumns.end(),
                                  [field](const Column& one) { return one.field == field; });
  return found == kColumns.end() ? nullptr : &*found;
}

bool is_type_of(ColumnKind kind, std::string_view type) {
  const auto within = [](std::string_view text, std::string_view outer) -> std::optional<std::string_view> {
    if (!text.starts_with(outer) || text.size() < outer.size() + 2 || text[outer.size()] != '(' ||
        text.back() != ')')
      return std::nullopt;
    return text.substr(outer.size() + 1, text.size() - outer.size() - 2);
  };
  const auto is_time = [&within](std::string_view text) {
    const auto inside = within(text, "DateTime64");
    return text == "Int64" || (inside && (*inside == "3" || inside->starts_with("3,")));
  };
  const bool maybe = kind == ColumnKind::kMaybeTime || kind == ColumnKind::kMaybeUInt64;
  if (maybe) {
    const auto inside = within(type, "Nullable");
    return inside && (kind == ColumnKind::kMaybeTime ? is_time(*inside) : *inside == "UInt64");
  }
  if (kind == ColumnKind::kTime) return is_time(type);
  return type == type_name(kind, true) || type == type_name(kind, false);
}

std::string_view types_of(ColumnKind kind) {
  switch (kind) {
    case ColumnKind::kText:
      return "LowCardinality(String) or String";
    case ColumnKind::kAddress:
      return "IPv6 or FixedString(16)";
    case ColumnKind::kTime:
      return "DateTime64(3) or Int64";
    case ColumnKind::kMaybeTime:
      return "Nullable(DateTime64(3)) or Nullable(Int64)";
    default:
      return type_name(kind, true);
  }
}

Result<Version> Version::parse(std::string_view text) {
  Version version;
  const char* const end = text.data() + text.size();
  const auto year = std::from_chars(text.data(), end, version.year);
  if (year.ec == std::errc() && year.ptr != end && *year.ptr == '.') {
    const auto number = std::from_chars(year.ptr + 1, end, version.number);
    if (number.ec == std::errc() && (number.ptr == end || *number.ptr == '.' || *number.ptr == '-'))
      return version;
  }
  return usage_error("'" + std::string(text) + "' is no version of ClickHouse: write it as 24.3");
}

std::string quoted_name(std::string_view name) {
  std::string text = "`";
  for (const char byte : name) {
    if (byte == '`' || byte == '\\') text += '\\';
    text += byte;
  }
  return text + "`";
}

std::string quoted_text(std::string_view value) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = "'";
  for (const char byte : value) {
    const auto code = static_cast<unsigned char>(byte);
    if (byte == '\'' || byte == '\\') {
      text += '\\';
      text += byte;
    } else if (code < ' ' || code == 0x7f) {
      text += "\\x";
      text += kDigits[code >> 4];
      text += kDigits[code & 15];
    } else {
      text += byte;
    }
  }
  return text + "'";
}

namespace {

// A table's engine, by its kind and what it takes.
std::string engine_of(const TableWish& wish, const std::string& table, const std::string& kind,
                      const std::string& argument) {
  if (!wish.replicated) return kind + "(" + argument + ")";
  return "Replicated" + kind + "('/clickhouse/tables/{shard}/" + wish.database + "/" + table +
         "', '{replica}'" + (argument.empty() ? "" : ", " + argument) + ")";
}

std::string create_coverage_statement(const TableWish& wish) {
  const bool modern = wish.version >= kModern;
  const std::string table = coverage_table(wish.table);
  std::string sql =
      "\nCREATE TABLE IF NOT EXISTS " + quoted_name(wish.database) + "." + quoted_name(table) + "\n(\n";
  for (const NamedColumn& column : coverage_columns()) {
    sql += "    " + quoted_name(column.name) + " " + std::string(type_name(column.kind, modern));
    sql += &column == &coverage_columns().back() ? "\n" : ",\n";
  }
  sql += ")\nENGINE = " + engine_of(wish, table, "ReplacingMergeTree", "version");
  sql += "\nORDER BY (instance, netns, stream, from_time)";
  if (modern && wish.keep_days > 0)
    sql += "\nTTL toDateTime(until_time) + INTERVAL " + std::to_string(wish.keep_days) + " DAY";
  return sql + ";\n";
}

}  // namespace

std::string create_statements(const TableWish& wish) {
  const bool modern = wish.version >= kModern;
  const std::string name = quoted_name(wish.database) + "." + quoted_name(wish.table);
  std::string sql = "CREATE DATABASE IF NOT EXISTS " + quoted_name(wish.database) + ";\n\n";
  sql += "CREATE TABLE IF NOT EXISTS " + name + "\n(\n";
  for (const Column& column : kColumns) {
    sql += "    " + quoted_name(column.name) + " " + std::string(type_name(column.kind, modern));
    if (modern) sql += " " + std::string(codec_of(column));
    sql += &column == &kColumns.back() && !modern ? "\n" : ",\n";
  }
  // The order is by hours of end_time, which a condition on end_time itself does not use; nor does one on
  // start_time.
  if (modern) {
    sql +=
        "    INDEX end_time_range end_time TYPE minmax GRANULARITY 1,\n"
        "    INDEX start_time_range start_time TYPE minmax GRANULARITY 1\n";
  }
  const std::string second = modern ? "end_time" : "toDateTime(intDiv(end_time, 1000), 'UTC')";
  sql += ")\nENGINE = " + engine_of(wish, wish.table, "MergeTree", "");
  sql += "\nPARTITION BY toYYYYMMDD(" + second + ")";
  sql += "\nORDER BY (toStartOfHour(" + second + "), nat_ip, nat_port, end_time)";
  if (modern && wish.keep_days > 0) {
    sql += "\nTTL toDateTime(end_time) + INTERVAL " + std::to_string(wish.keep_days) + " DAY";
  }
  std::string settings;
  if (modern && wish.keep_days > 0) settings += "ttl_only_drop_parts = 1";
  if (!wish.replicated && wish.version >= kLocalWindow) {
    settings += std::string(settings.empty() ? "" : ", ") + "non_replicated_deduplication_window = 1000";
  }
  if (!settings.empty()) sql += "\nSETTINGS " + settings;
  return sql + ";\n" + create_coverage_statement(wish);
}

void append_row(const SessionRecord& record, std::string& out) {
  const std::size_t before = out.size();
  out.resize(before + kMostBytesWithoutTexts + cut(record.origin->instance).size() +
             cut(record.origin->netns).size() + cut(record.vpc_id).size());
  char* end = out.data() + before;
  const bool gap = record.event == RecordEvent::kGap;
  visit_fields([&]<Field kField>() {
    if constexpr (in_table(kField)) end = put_field<kField>(end, record, !gap || kSpec<kField>.in_gap);
  });
  out.resize(static_cast<std::size_t>(end - out.data()));
}

// A field's value, by its kind.
template <Field kField>
RowReader::Outcome RowReader::take_field(std::string_view& bytes, SessionRecord& record) {
  using Type = FieldType<kField>;
  constexpr ColumnKind kKind = kind_in_table<kField>();
  if constexpr (kKind == ColumnKind::kText) {
    std::string_view text;
    const Got got = get_text(bytes, text);
    if (got == Got::kMore) return Outcome::kMore;
    if (got == Got::kBad) return bad("the answer has a text that is too long");
    if constexpr (std::is_enum_v<Type>) {
      // A word that a newer program wrote is none to this one.
      const auto word = text.empty() ? std::optional<std::uint64_t>(0) : parse_word(kField, text);
      record.*(kRow<kField>.kMember) = static_cast<Type>(word.value_or(0));
      if (kField == Field::kEvent && (!word || text.empty())) {
        return bad("the event '" + std::string(text.substr(0, 40)) + "' is none that this program knows");
      }
    } else if constexpr (kField == Field::kInstance) {
      instance_ = text;
    } else if constexpr (kField == Field::kNetns) {
      netns_ = text;
    } else if (record.vpc_id != text) {
      const auto label = intern_label(text);
      if (!label) return bad(label.error().message);
      record.vpc_id = *label;
    }
  } else if constexpr (kKind == ColumnKind::kAddress) {
    std::array<std::uint8_t, 16> address{};
    if (!get(bytes, address)) return Outcome::kMore;
    record.*(kRow<kField>.kMember) = IpAddress::from_v6(address);
    if constexpr (kField == Field::kOrigDstIp) record.has_orig_dst = record.orig_dst_ip != IpAddress();
  } else if constexpr (kKind == ColumnKind::kTime) {
    std::int64_t ms = 0;
    if (!get(bytes, ms)) return Outcome::kMore;
    record.*(kRow<kField>.kMember) = UnixMs(std::chrono::milliseconds(ms));
  } else if constexpr (kKind == ColumnKind::kMaybeTime || kKind == ColumnKind::kMaybeUInt64) {
    std::uint8_t none = 0;
    std::uint64_t value = 0;
    if (!get(bytes, none) || (none == 0 && !get(bytes, value))) return Outcome::kMore;
    if constexpr (kKind == ColumnKind::kMaybeUInt64) {
      record.*(kRow<kField>.kMember) = none != 0 ? Count() : Count(value);
    } else {
      const UnixMs time{std::chrono::milliseconds(static_cast<std::int64_t>(value))};
      if constexpr (kField == Field::kStartTime) {
        record.start_time = none != 0 ? kUnknownStart : time;
      } else {
        record.*(kRow<kField>.kMember) = none != 0 ? std::optional<UnixMs>() : std::optional(time);
      }
    }
  } else if constexpr (kField == Field::kSessionId) {
    if (!get(bytes, record.session_id)) return Outcome::kMore;
  } else {
    Type value{};
    if (!get(bytes, value)) return Outcome::kMore;
    record.*(kRow<kField>.kMember) = value;
    if constexpr (kField == Field::kOrigDstPort) record.has_orig_dst = record.has_orig_dst || value != 0;
  }
  return Outcome::kRow;
}

RowReader::RowReader(std::span<const Column* const> wanted, bool marked) : marked_(marked) {
  for (const Column* column : wanted) {
    visit_fields([&]<Field kField>() {
      if constexpr (in_table(kField)) {
        if (column->field == kField) takers_.push_back(&RowReader::take_field<kField>);
      }
    });
  }
}

RowReader::Outcome RowReader::bad(std::string why) {
  why_ = std::move(why);
  return Outcome::kBad;
}

RowReader::Outcome RowReader::take(std::string_view& bytes, SessionRecord& record) {
  std::string_view rest = bytes;
  std::uint32_t mark = 0;
  if (marked_ && !get(rest, mark)) return Outcome::kMore;
  if (marked_ && mark != kRowMark) return bad("the answer has what is no row");
  instance_ = netns_ = {};
  for (const Taker taker : takers_) {
    const Outcome outcome = (this->*taker)(rest, record);
    if (outcome != Outcome::kRow) return outcome;
  }
  if (record.origin == nullptr || record.origin->instance != instance_ || record.origin->netns != netns_) {
    const auto origin = intern_origin(instance_, netns_);
    if (!origin) return bad(origin.error().message);
    record.origin = *origin;
  }
  bytes = rest;
  return Outcome::kRow;
}

}  // namespace natsession::clickhouse
