#include <array>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <sqlite3.h>

#include "query/log_constraints.h"
#include "query/sql_functions.h"
#include "record/text_writer.h"

namespace natsession {
namespace {

// The tables: log, of the session log's records, and flow, of entries of flow logs.
struct TableShape {
  const char* name;
  bool of_flows;
  std::vector<Field> fields;  // of its columns

  [[nodiscard]] std::string_view name_of_field(Field field) const {
    return of_flows ? flow_name(field) : name_of(field);
  }
};

const TableShape& log_shape() {
  static const TableShape kShape = [] {
    TableShape shape{"log", false, {}};
    for (const FieldSpec& spec : session_fields()) shape.fields.push_back(spec.field);
    return shape;
  }();
  return kShape;
}
const TableShape& flow_shape() {
  static const TableShape kShape{"flow", true, flow_fields()};
  return kShape;
}

// The rows of one pass over the table, and their values as SQLite wants them.
class LogCursor {
 public:
  LogCursor(SqlContext& context, const TableShape& shape) : context_(context), shape_(shape) {}
  ~LogCursor() { end(); }
  LogCursor(const LogCursor&) = delete;
  LogCursor& operator=(const LogCursor&) = delete;

  // SQLite's codes; SqlContext::error says more.
  int begin(const LogPlan& plan, std::span<sqlite3_value*> values);
  int advance();
  [[nodiscard]] bool at_end() const { return batch_ == nullptr; }
  void give(int column, sqlite3_context* result);
  [[nodiscard]] sqlite3_int64 row_id() const;

 private:
  int next_batch();
  void end();
  void give_address(Field field, sqlite3_context* result);

  [[nodiscard]] Result<void> open_scan(Query query, ScanControl control);

  SqlContext& context_;
  const TableShape& shape_;
  std::optional<Scan> scan_;
  const ScanBatch* batch_ = nullptr;
  std::size_t place_ = 0;  // in the batch
  // Of each address column, the text of each different address, when it has been asked for.
  std::array<std::vector<const std::string*>, kAllFields> address_texts_;
};

void give_static(std::string_view text, sqlite3_context* result) {
  sqlite3_result_text64(result, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void give_copy(std::string_view text, sqlite3_context* result) {
  sqlite3_result_text64(result, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void give_number(std::uint64_t number, sqlite3_context* result) {
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<sqlite3_int64>::max());
  if (number <= kLargest) {
    sqlite3_result_int64(result, static_cast<sqlite3_int64>(number));
  } else {
    sqlite3_result_double(result, static_cast<double>(number));
  }
}

void give_time(std::int64_t ms, sqlite3_context* result) {
  sqlite3_result_double(result, static_cast<double>(ms) / 1000);
}

std::int64_t whole_seconds(std::int64_t ms) {
  return ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
}

// A value of a field that only whole records have. Labels and words live as long as the process.
void give_value(const FieldSpec& spec, const FieldValue& value, sqlite3_context* result) {
  if (const auto* const text = std::get_if<std::string_view>(&value)) return give_static(*text, result);
  if (const auto* const address = std::get_if<IpAddress>(&value))
    return give_copy(address->to_string(), result);
  const auto* const number = std::get_if<std::uint64_t>(&value);
  if (number == nullptr) return;
  if (spec.kind != FieldKind::kId) return give_number(*number, result);
  std::array<char, kHex64Length> text;
  give_copy({text.data(), write_hex64(text.data(), *number)}, result);
}

int LogCursor::begin(const LogPlan& plan, std::span<sqlite3_value*> values) {
  end();
  Query query;
  query.gap_records = true;
  for (std::size_t i = 0; i < plan.constraints.size() && i < values.size(); ++i) {
    const auto possible = add_constraint(plan.constraints[i], values[i], query);
    if (!possible) {
      context_.error = possible.error();
      return SQLITE_ERROR;
    }
    if (!*possible) return SQLITE_OK;  // at the end
  }
  for (std::size_t column = 0; column < shape_.fields.size(); ++column) {
    if ((plan.columns_used >> column & 1) != 0) query.columns.add(shape_.fields[column]);
  }
  if ((plan.columns_used >> shape_.fields.size() & 1) != 0) query.columns.add(Field::kEndTime);
  if (context_.scans == SqlContext::kMaxScans) {
    context_.error = Error{ErrorKind::kUsage, "SQL: the statement reads the log in more than " +
                                                  std::to_string(SqlContext::kMaxScans) + " places at once"};
    return SQLITE_ERROR;
  }
  ScanControl control = context_.control;
  if (context_.scans >= SqlContext::kScansWithThreads) control.threads = 1;
  if (auto opened = open_scan(std::move(query), std::move(control)); !opened) {
    context_.error = opened.error();
    return SQLITE_ERROR;
  }
  ++context_.scans;
  return next_batch();
}

Result<void> LogCursor::open_scan(Query query, ScanControl control) {
  if (!shape_.of_flows) {
    scan_.emplace(context_.ledger, std::move(query), std::move(control));
    return {};
  }
  if (!context_.segments)
    return Error{ErrorKind::kUsage, "SQL: a store has the table log alone; flows are in a ledger"};
  if (!context_.flows) {
    auto flows = FlowStore::open(*context_.segments, std::nullopt, context_.control);
    if (!flows) return flows.error();
    context_.flows = std::move(*flows);
  }
  scan_.emplace(LogStore(*context_.flows), std::move(query), std::move(control));
  return {};
}

int LogCursor::next_batch() {
  place_ = 0;
  batch_ = scan_->next();
  for (auto& texts : address_texts_) texts.clear();
  if (batch_ != nullptr) return SQLITE_OK;
  const auto good = scan_->error();
  const bool cancelled = scan_->report().cancelled;
  end();  // SQLite keeps the cursor, perhaps as one of many
  if (!good) {
    context_.error = good.error();
    return SQLITE_ERROR;
  }
  return cancelled ? SQLITE_INTERRUPT : SQLITE_OK;
}

int LogCursor::advance() {
  if (++place_ < batch_->size()) return SQLITE_OK;
  return next_batch();
}

void LogCursor::end() {
  batch_ = nullptr;
  if (!scan_) return;
  scan_->stop();
  context_.report.merge(scan_->report());
  scan_.reset();
  --context_.scans;
}

sqlite3_int64 LogCursor::row_id() const {
  return static_cast<sqlite3_int64>(batch_->ordinal(place_));
}

// What is not given is NULL.
void LogCursor::give(int column, sqlite3_context* result) {
  const std::uint32_t row = batch_->rows()[place_];
  if (static_cast<std::size_t>(column) == shape_.fields.size()) {
    sqlite3_result_int64(result, whole_seconds(batch_->times(Field::kEndTime)[row]));
    return;
  }
  const Field field = shape_.fields[static_cast<std::size_t>(column)];
  const FieldSpec& spec = spec_of(field);
  if (!spec.in_gap && batch_->is_gap(place_)) return;
  switch (spec.stored) {
    case Stored::kAddresses:
      return give_address(field, result);
    case Stored::kPorts:
      return give_number(batch_->ports(field)[row], result);
    case Stored::kTimes: {
      const std::int64_t time = batch_->times(field)[row];
      if (time != kUnknownTime || field != Field::kSessionStart) give_time(time, result);
      return;
    }
    case Stored::kCounts: {
      const std::uint64_t count = batch_->counters(field)[row];
      if (count != kUnknownCount) give_number(count, result);
      return;
    }
    case Stored::kSmall: {
      const std::uint8_t number = batch_->small(field)[row];
      if (spec.word == nullptr) return give_number(number, result);
      const std::string_view word = spec.word(number);
      if (!word.empty()) give_static(word, result);
      return;
    }
    default:
      return give_value(spec, value_of(*batch_->record(place_), field), result);
  }
}

void LogCursor::give_address(Field field, sqlite3_context* result) {
  const AddressColumn& column = batch_->addresses(field);
  auto& texts = address_texts_[static_cast<std::size_t>(field)];
  if (texts.empty()) texts.resize(column.distinct.size());
  const std::size_t index = column.index[batch_->rows()[place_]];
  if (texts[index] == nullptr) texts[index] = context_.texts.address(column.distinct[index]);
  if (texts[index] != nullptr) {
    give_static(*texts[index], result);
  } else {
    give_copy(column.distinct[index].to_string(), result);
  }
}

struct LogTable : sqlite3_vtab {
  LogTable(SqlContext& shared, const TableShape& of) : sqlite3_vtab(), context(&shared), shape(&of) {}
  SqlContext* context;
  const TableShape* shape;
};

struct Cursor : sqlite3_vtab_cursor {
  explicit Cursor(const LogTable& table) : sqlite3_vtab_cursor(), rows(*table.context, *table.shape) {}
  LogCursor rows;
};

LogCursor& rows_of(sqlite3_vtab_cursor* cursor) {
  return static_cast<Cursor*>(cursor)->rows;
}

std::string declaration(const TableShape& shape) {
  std::string text = "CREATE TABLE " + std::string(shape.name) + "(";
  for (const Field field : shape.fields)
    text += std::string(shape.name_of_field(field)) + " " + sql_type(kind_of(field)) + ", ";
  return text + std::string(kTimeColumnName) + " INTEGER)";
}

int connect(sqlite3* database, void* shared, int, const char* const* words, sqlite3_vtab** table, char**) {
  const TableShape& shape = std::string_view(words[0]) == flow_shape().name ? flow_shape() : log_shape();
  const int code = sqlite3_declare_vtab(database, declaration(shape).c_str());
  if (code != SQLITE_OK) return code;
  *table = new (std::nothrow) LogTable(*static_cast<SqlContext*>(shared), shape);
  return *table != nullptr ? SQLITE_OK : SQLITE_NOMEM;
}

int disconnect(sqlite3_vtab* table) {
  delete static_cast<LogTable*>(table);
  return SQLITE_OK;
}

// How much of a ledger is left, about, by what is known of it.
double share_left(Comparison comparison, int column) {
  if (comparison == Comparison::kAtLeast || comparison == Comparison::kAtMost) return 0.05;
  const Field field = static_cast<Field>(column);
  if (column == kTimeColumn || kind_of(field) == FieldKind::kTime) return 0.0001;
  if (kind_of(field) == FieldKind::kId) return 0.000'001;
  const bool one_of_many = field == Field::kPriIp || field == Field::kPubIp || field == Field::kNatPort ||
                           field == Field::kPriPort;
  if (!one_of_many) return 0.3;
  return comparison == Comparison::kInPrefix ? 0.1 : 0.001;
}

// Where the column stands in the table log, whose constraints are known; none: it has no such column.
std::optional<int> column_in_log(const TableShape& shape, int column) {
  if (!shape.of_flows || column < 0) return column;
  const auto place = static_cast<std::size_t>(column);
  if (place >= shape.fields.size()) return kTimeColumn;
  return is_of_flows(shape.fields[place]) ? std::nullopt
                                          : std::optional(static_cast<int>(shape.fields[place]));
}

int best_index(sqlite3_vtab* table, sqlite3_index_info* info) {
  const LogTable& of = *static_cast<LogTable*>(table);
  std::vector<LogConstraint> used;
  double rows = 1e9;
  for (int i = 0; i < info->nConstraint; ++i) {
    int& column = info->aConstraint[i].iColumn;
    const auto place = column_in_log(*of.shape, column);
    if (!place) continue;
    const int asked = std::exchange(column, *place);
    const auto comparison = usable_comparison(info, i, of.context->other_collations);
    const int in_log = std::exchange(column, asked);
    if (!comparison) continue;
    used.push_back({in_log, *comparison});
    info->aConstraintUsage[i].argvIndex = static_cast<int>(used.size());
    if (*comparison == Comparison::kIn) sqlite3_vtab_in(info, i, 1);
    rows *= share_left(*comparison, in_log);
  }
  const std::string plan = encode_plan(info->colUsed, used);
  info->idxStr = static_cast<char*>(sqlite3_malloc64(plan.size() + 1));
  if (info->idxStr == nullptr) return SQLITE_NOMEM;
  std::memcpy(info->idxStr, plan.c_str(), plan.size() + 1);
  info->needToFreeIdxStr = 1;
  info->estimatedCost = 1e6 + rows;
  info->estimatedRows = static_cast<sqlite3_int64>(rows) + 1;
  return SQLITE_OK;
}

int open(sqlite3_vtab* table, sqlite3_vtab_cursor** cursor) {
  *cursor = new (std::nothrow) Cursor(*static_cast<LogTable*>(table));
  return *cursor != nullptr ? SQLITE_OK : SQLITE_NOMEM;
}

int close(sqlite3_vtab_cursor* cursor) {
  delete static_cast<Cursor*>(cursor);
  return SQLITE_OK;
}

int filter(sqlite3_vtab_cursor* cursor, int, const char* plan, int count, sqlite3_value** values) {
  return rows_of(cursor).begin(decode_plan(plan), {values, static_cast<std::size_t>(count)});
}

int next(sqlite3_vtab_cursor* cursor) {
  return rows_of(cursor).advance();
}

int at_end(sqlite3_vtab_cursor* cursor) {
  return rows_of(cursor).at_end() ? 1 : 0;
}

int column(sqlite3_vtab_cursor* cursor, sqlite3_context* result, int number) {
  rows_of(cursor).give(number, result);
  return SQLITE_OK;
}

int row_id(sqlite3_vtab_cursor* cursor, sqlite3_int64* id) {
  *id = rows_of(cursor).row_id();
  return SQLITE_OK;
}

// No xCreate: the table is there by itself, and there can be no other one of its kind.
const sqlite3_module kModule = [] {
  sqlite3_module module{};
  module.iVersion = 1;
  module.xConnect = connect;
  module.xDisconnect = disconnect;
  module.xDestroy = disconnect;
  module.xBestIndex = best_index;
  module.xOpen = open;
  module.xClose = close;
  module.xFilter = filter;
  module.xNext = next;
  module.xEof = at_end;
  module.xColumn = column;
  module.xRowid = row_id;
  module.xFindFunction = find_in_prefix;
  return module;
}();

}  // namespace

int add_log_table(sqlite3* database, SqlContext& context) {
  for (const TableShape* const shape : {&log_shape(), &flow_shape()}) {
    if (const int code = sqlite3_create_module_v2(database, shape->name, &kModule, &context, nullptr);
        code != SQLITE_OK)
      return code;
  }
  return SQLITE_OK;
}

}  // namespace natsession
