#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <sqlite3.h>

#include "query/grouped_sums.h"
#include "query/log_constraints.h"
#include "query/ready_sums.h"
#include "query/sql_functions.h"
#include "query/sums_statement.h"

namespace natsession {
namespace {

// Strict, where SQLite does not look again.
enum class TimeTest : char { kEqual = '=', kAbove = '>', kAtLeast = 'g', kBelow = '<', kAtMost = 'l' };

std::optional<TimeTest> time_test_of(const sqlite3_index_info* info, int constraint) {
  const auto& wanted = info->aConstraint[constraint];
  const bool time = wanted.iColumn == kTimeColumn || wanted.iColumn == static_cast<int>(Field::kEndTime) ||
                    wanted.iColumn == static_cast<int>(Field::kStartTime);
  if (!time || wanted.usable == 0) return std::nullopt;
  switch (wanted.op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
      return TimeTest::kEqual;
    case SQLITE_INDEX_CONSTRAINT_GT:
      return TimeTest::kAbove;
    case SQLITE_INDEX_CONSTRAINT_GE:
      return TimeTest::kAtLeast;
    case SQLITE_INDEX_CONSTRAINT_LT:
      return TimeTest::kBelow;
    case SQLITE_INDEX_CONSTRAINT_LE:
      return TimeTest::kAtMost;
    default:
      return std::nullopt;
  }
}

// The first ms whose seconds, as the column has them, are at least `seconds`, or above them.
std::int64_t first_ms(int column, double seconds, bool above) {
  if (column == kTimeColumn)
    return static_cast<std::int64_t>(above ? std::floor(seconds) + 1 : std::ceil(seconds)) * 1000;
  const auto passes = [&](std::int64_t ms) {
    const double value = static_cast<double>(ms) / 1000;
    return above ? value > seconds : value >= seconds;
  };
  std::int64_t ms = std::llround(seconds * 1000);
  while (passes(ms - 1)) --ms;
  while (!passes(ms)) ++ms;
  return ms;
}

// False for what cannot be told of ms.
bool add_time_test(int column, TimeTest test, sqlite3_value* value, Query& query) {
  const int type = sqlite3_value_type(value);
  const double seconds = sqlite3_value_double(value);
  constexpr double kLimit = 1e12;
  if ((type != SQLITE_INTEGER && type != SQLITE_FLOAT) || !(seconds > -kLimit && seconds < kLimit))
    return false;
  TimeRange& range = column == static_cast<int>(Field::kStartTime) ? query.start : query.end;
  const auto at = [](std::int64_t ms) { return UnixMs(std::chrono::milliseconds(ms)); };
  if (test != TimeTest::kBelow && test != TimeTest::kAtMost) {
    const UnixMs from = at(first_ms(column, seconds, test == TimeTest::kAbove));
    range.from = std::max(range.from.value_or(from), from);
  }
  if (test != TimeTest::kAbove && test != TimeTest::kAtLeast) {
    const UnixMs until = at(first_ms(column, seconds, test != TimeTest::kBelow) - 1);
    range.until = std::min(range.until.value_or(until), until);
  }
  return true;
}

// One pass over the groups.
class SumsCursor : public sqlite3_vtab_cursor {
 public:
  explicit SumsCursor(SqlContext& context) : sqlite3_vtab_cursor(), context_(context) {}

  // SQLite's codes; SqlContext::error says more.
  int begin(const char* plan, std::span<sqlite3_value*> values);
  void advance() { ++group_; }
  [[nodiscard]] bool at_end() const { return !sums_ || group_ == sums_->size(); }
  int give(int column, sqlite3_context* result) const;
  [[nodiscard]] sqlite3_int64 row_id() const { return static_cast<sqlite3_int64>(group_); }

 private:
  using Workers = std::vector<GroupedSums>;
  int add_up(const Query& query, bool may_be_ready);
  [[nodiscard]] Workers make_workers() const;
  // What stands ready of the answer. Nothing if records alone can tell.
  std::shared_ptr<const ReadyPart> add_ready(const Query& query, Workers& workers, std::string& note) const;
  // Likewise, of a store elsewhere that groups by itself.
  std::shared_ptr<const ReadyPart> add_groups(const Query& query, Workers& workers) const;
  // Lets the session ask the records instead.
  int give_up() const {
    context_.sums_gave_up = true;
    return SQLITE_ERROR;
  }
  int give_key(std::size_t key, sqlite3_context* result) const;
  int give_part(std::size_t part, SumsValue value, sqlite3_context* result) const;

  SqlContext& context_;
  std::optional<GroupedSums> sums_;
  std::size_t group_ = 0;
};

int SumsCursor::begin(const char* plan, std::span<sqlite3_value*> values) {
  sums_.reset();
  group_ = 0;
  if (context_.sums == nullptr) return SQLITE_MISUSE;
  Query query;
  query.gap_records = !context_.sums->no_gaps;
  const LogPlan constraints = decode_plan(plan);
  for (std::size_t i = 0; i < constraints.constraints.size() && i < values.size(); ++i) {
    const LogConstraint& constraint = constraints.constraints[i];
    const bool time = constraint.column == kTimeColumn ||
                      kind_of(static_cast<Field>(constraint.column)) == FieldKind::kTime;
    if (time) {
      const auto test = static_cast<TimeTest>(constraint.comparison);
      if (!add_time_test(constraint.column, test, values[i], query)) return give_up();
      continue;
    }
    const auto possible = add_constraint(constraint, values[i], query);
    if (!possible || !*possible) return give_up();  // the other way has the words, and is as soon done
  }
  for (const Field field : context_.sums->keys) query.columns.add(field);
  for (const SumsPlan::Part& part : context_.sums->parts) query.columns.add(sums_field_of(part.column));
  if (!context_.sums->steps.empty()) query.columns.add(Field::kEndTime);
  return add_up(query, /*may_be_ready=*/true);
}

SumsCursor::Workers SumsCursor::make_workers() const {
  const unsigned threads = Scan::threads_of(context_.control);
  const SumsPlan& plan = *context_.sums;
  const std::size_t max_groups = GroupedSums::kMaxBytes / GroupedSums::group_bytes(plan) / threads;
  Workers workers;
  workers.reserve(threads);
  for (unsigned i = 0; i < threads; ++i) workers.emplace_back(plan, max_groups, context_.utc);
  return workers;
}

std::shared_ptr<const ReadyPart> SumsCursor::add_ready(const Query& query, Workers& workers,
                                                       std::string& note) const {
  if (!can_be_ready(*context_.sums)) return nullptr;
  auto ready = ReadySums::by_end(query, context_.sums->keys);
  if (!ready) return add_groups(query, workers);
  if (context_.sums->steps.empty()) ready->add_up_periods();
  std::atomic<bool> fits = true;
  auto part = ready->read(
      context_.ledger, context_.control,
      [&](unsigned worker, SumsKind kind, std::span<const SumsEntry> entries) {
        if (fits && !workers[worker].add(kind, entries)) fits = false;
      },
      note);
  if (!fits || part == nullptr) {
    workers = make_workers();
    note.clear();
    return nullptr;
  }
  // When gaps were is in the records.
  const bool gaps = std::any_of(part->segments.begin(), part->segments.end(),
                                [](const ReadyPart::Segment& segment) { return !segment.gaps.empty(); });
  if (gaps && query.gap_records && !context_.sums->steps.empty()) {
    workers = make_workers();
    return nullptr;
  }
  return part;
}

std::shared_ptr<const ReadyPart> SumsCursor::add_groups(const Query& query, Workers& workers) const {
  const SumsPlan& plan = *context_.sums;
  if (context_.ledger.remote() == nullptr || !plan.steps.empty()) return nullptr;
  const bool told =
      context_.ledger.remote()->groups(query, plan.keys, [&](const SessionRecord& key, const Sums& sums) {
        return workers[0].add(key, sums) && !context_.control.cancelled();
      });
  if (told) return std::make_shared<ReadyPart>(ReadyPart{query.end, {}});
  workers = make_workers();
  return nullptr;
}

int SumsCursor::add_up(const Query& wanted, bool may_be_ready) {
  Workers workers = make_workers();
  std::string note;
  Query query = wanted;
  if (may_be_ready) query.ready = add_ready(query, workers, note);
  const bool sessions_only =
      !query.gap_records || !query.where.empty();  // a gap record has none of the values
  std::atomic<bool> gave_up = false;
  Scan scan(context_.ledger, query, context_.control);
  scan.run([&](unsigned worker, const ScanBatch& batch) {
    if (gave_up.load(std::memory_order_relaxed) || workers[worker].add(batch)) return;
    gave_up = true;
    scan.give_up();
  });
  GroupedSums& all = workers[0];
  for (std::size_t i = 1; i < workers.size() && !gave_up; ++i) gave_up = !all.add(workers[i]);
  ScanReport report = scan.report();
  // Of a remote log all gap records were rows.
  const bool gaps_left_out = query.ready && !query.ready->segments.empty();
  if (gaps_left_out && !sessions_only && !gave_up && report.gap_count > all.gaps_seen())
    gave_up = !all.add_gaps(report.gap_count - all.gaps_seen());
  if (!gave_up && all.unclear()) return add_up(wanted, /*may_be_ready=*/false);
  if (gave_up || !all.exact()) return give_up();
  report.note = note;
  context_.report.merge(report);
  if (auto good = scan.error(); !good) {
    context_.error = good.error();
    return SQLITE_ERROR;
  }
  if (report.cancelled) return SQLITE_INTERRUPT;
  sums_.emplace(std::move(all));
  // Without GROUP BY there is a group of nothing, which is no row.
  if (sums_->size() == 1 && sums_->number(0, 0) == 0) group_ = 1;
  return SQLITE_OK;
}

int SumsCursor::give(int column, sqlite3_context* result) const {
  const SumsPlan& plan = *context_.sums;
  if (column < kTimeColumn) {
    const auto key = std::find(plan.keys.begin(), plan.keys.end(), static_cast<Field>(column));
    if (key != plan.keys.end()) return give_key(static_cast<std::size_t>(key - plan.keys.begin()), result);
  } else if (column == kSumsRecords) {
    sqlite3_result_int64(result, static_cast<sqlite3_int64>(sums_->number(group_, 0)));
    return SQLITE_OK;
  } else if (column >= kSumsParts) {
    const auto place = static_cast<std::size_t>(column - kSumsParts);
    const std::size_t part = place / kSumsValues;
    if (part < plan.parts.size()) return give_part(part, static_cast<SumsValue>(place % kSumsValues), result);
  } else if (column >= kSumsSteps) {
    const auto step = static_cast<std::size_t>(column - kSumsSteps);
    if (step < plan.steps.size()) {
      const std::string& text = sums_->text(sums_->id(group_, plan.keys.size() + step));
      sqlite3_result_text64(result, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
      return SQLITE_OK;
    }
  }
  // SQLite wants to look itself at what the scan has seen to.
  return give_up();
}

int SumsCursor::give_key(std::size_t key, sqlite3_context* result) const {
  const std::uint32_t id = sums_->id(group_, key);
  if (id == 0) return SQLITE_OK;  // NULL
  const FieldSpec& spec = spec_of(context_.sums->keys[key]);
  if (spec.stored == Stored::kAddresses) {
    std::array<char, IpAddress::kMaxTextLength> text;
    const char* const end = sums_->address(key, id).write(text.data());
    sqlite3_result_text64(result, text.data(), static_cast<sqlite3_uint64>(end - text.data()),
                          SQLITE_TRANSIENT, SQLITE_UTF8);
  } else if (spec.word != nullptr) {
    const std::string_view word = spec.word(id - 1);
    sqlite3_result_text64(result, word.data(), word.size(), SQLITE_STATIC, SQLITE_UTF8);
  } else {
    sqlite3_result_int64(result, id - 1);
  }
  return SQLITE_OK;
}

int SumsCursor::give_part(std::size_t part, SumsValue value, sqlite3_context* result) const {
  const SumsLayout::Part& place = sums_->layout().parts[part];
  const std::uint64_t count = sums_->number(group_, place.count);
  const bool most = value == SumsValue::kMost;
  if (value == SumsValue::kCount) {
    sqlite3_result_int64(result, static_cast<sqlite3_int64>(count));
    return SQLITE_OK;
  }
  if (count == 0) return SQLITE_OK;  // NULL
  const std::size_t at = value == SumsValue::kSum ? place.sum : place.extremes + (most ? 1 : 0);
  const auto number = static_cast<std::int64_t>(sums_->number(group_, at));
  const int column = context_.sums->parts[part].column;
  if (column == kTimeColumn) {
    sqlite3_result_int64(result, number / 1000 - (number % 1000 < 0 ? 1 : 0));
  } else if (kind_of(static_cast<Field>(column)) == FieldKind::kTime) {
    sqlite3_result_double(result, static_cast<double>(number) / 1000);
  } else {
    sqlite3_result_int64(result, number);
  }
  return SQLITE_OK;
}

struct SumsTable : sqlite3_vtab {
  explicit SumsTable(SqlContext& shared) : sqlite3_vtab(), context(&shared) {}
  SqlContext* context;
};

SumsCursor& sums_cursor(sqlite3_vtab_cursor* cursor) {
  return *static_cast<SumsCursor*>(cursor);
}

// What is no column of the log has no type, as an expression has none.
std::string sums_declaration() {
  std::string text = "CREATE TABLE log_sums(";
  for (const FieldSpec& spec : session_fields())
    text += fmt::format("{} {}, ", spec.name, sql_type(spec.kind));
  text += fmt::format("{} INTEGER, sums_records", kTimeColumnName);
  for (std::size_t i = 0; i < SumsPlan::kMaxKeys; ++i) text += fmt::format(", sums_step{}", i);
  for (std::size_t i = 0; i < SumsPlan::kMaxParts; ++i)
    text += fmt::format(", sums_count{0}, sums_sum{0}, sums_least{0}, sums_most{0}", i);
  return text + ")";
}

int connect_sums(sqlite3* database, void* shared, int, const char* const*, sqlite3_vtab** table, char**) {
  const int code = sqlite3_declare_vtab(database, sums_declaration().c_str());
  if (code != SQLITE_OK) return code;
  *table = new (std::nothrow) SumsTable(*static_cast<SqlContext*>(shared));
  return *table != nullptr ? SQLITE_OK : SQLITE_NOMEM;
}

int disconnect_sums(sqlite3_vtab* table) {
  delete static_cast<SumsTable*>(table);
  return SQLITE_OK;
}

int best_sums_index(sqlite3_vtab* table, sqlite3_index_info* info) {
  const bool other_collations = static_cast<SumsTable*>(table)->context->other_collations;
  std::vector<LogConstraint> used;
  const auto use = [&](int i, Comparison comparison) {
    used.push_back({info->aConstraint[i].iColumn, comparison});
    info->aConstraintUsage[i].argvIndex = static_cast<int>(used.size());
  };
  // SQLite can be told not to look again for the first sixteen only.
  for (int i = 0; i < info->nConstraint; ++i) {
    const auto test = time_test_of(info, i);
    if (!test || sqlite3_vtab_in(info, i, -1) != 0) continue;
    use(i, static_cast<Comparison>(*test));
    info->aConstraintUsage[i].omit = 1;
  }
  for (int i = 0; i < info->nConstraint; ++i) {
    if (time_test_of(info, i)) continue;
    const auto comparison = usable_comparison(info, i, other_collations);
    if (!comparison || *comparison == Comparison::kAtLeast || *comparison == Comparison::kAtMost) continue;
    use(i, *comparison);
    if (*comparison == Comparison::kIn) sqlite3_vtab_in(info, i, 1);
    if (*comparison == Comparison::kInPrefix) info->aConstraintUsage[i].omit = 1;
  }
  const std::string plan = encode_plan(info->colUsed, used);
  info->idxStr = static_cast<char*>(sqlite3_malloc64(plan.size() + 1));
  if (info->idxStr == nullptr) return SQLITE_NOMEM;
  std::memcpy(info->idxStr, plan.c_str(), plan.size() + 1);
  info->needToFreeIdxStr = 1;
  info->estimatedCost = 1e6;
  return SQLITE_OK;
}

int open_sums(sqlite3_vtab* table, sqlite3_vtab_cursor** cursor) {
  *cursor = new (std::nothrow) SumsCursor(*static_cast<SumsTable*>(table)->context);
  return *cursor != nullptr ? SQLITE_OK : SQLITE_NOMEM;
}

int close_sums(sqlite3_vtab_cursor* cursor) {
  delete &sums_cursor(cursor);
  return SQLITE_OK;
}

int filter_sums(sqlite3_vtab_cursor* cursor, int, const char* plan, int count, sqlite3_value** values) {
  return sums_cursor(cursor).begin(plan, {values, static_cast<std::size_t>(count)});
}

int next_sums(sqlite3_vtab_cursor* cursor) {
  sums_cursor(cursor).advance();
  return SQLITE_OK;
}

int at_sums_end(sqlite3_vtab_cursor* cursor) {
  return sums_cursor(cursor).at_end() ? 1 : 0;
}

int sums_column(sqlite3_vtab_cursor* cursor, sqlite3_context* result, int number) {
  return sums_cursor(cursor).give(number, result);
}

int sums_row_id(sqlite3_vtab_cursor* cursor, sqlite3_int64* id) {
  *id = sums_cursor(cursor).row_id();
  return SQLITE_OK;
}

const sqlite3_module kSumsModule = [] {
  sqlite3_module module{};
  module.iVersion = 1;
  module.xConnect = connect_sums;
  module.xDisconnect = disconnect_sums;
  module.xDestroy = disconnect_sums;
  module.xBestIndex = best_sums_index;
  module.xOpen = open_sums;
  module.xClose = close_sums;
  module.xFilter = filter_sums;
  module.xNext = next_sums;
  module.xEof = at_sums_end;
  module.xColumn = sums_column;
  module.xRowid = sums_row_id;
  module.xFindFunction = find_in_prefix;
  return module;
}();

}  // namespace

int add_sums_table(sqlite3* database, SqlContext& context) {
  return sqlite3_create_module_v2(database, "log_sums", &kSumsModule, &context, nullptr);
}

}  // namespace natsession
