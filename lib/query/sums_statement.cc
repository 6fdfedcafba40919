#include "query/sums_statement.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include <fmt/core.h>

#include "query/sql_tokens.h"

namespace natsession {
namespace {

using Words = std::span<const std::string_view>;

// Of expressions. CASE and AS (of CAST) are not for WHERE.
constexpr auto kAnywhere =
    std::to_array<std::string_view>({"and", "or", "not", "in", "is", "null", "between", "like", "glob",
                                     "isnull", "notnull", "true", "false"});
constexpr auto kOutsideWhere = std::to_array<std::string_view>(
    {"case", "when", "then", "else", "end", "as", "integer", "real", "text", "numeric"});
constexpr auto kOfOrder = std::to_array<std::string_view>({"asc", "desc", "nulls", "first", "last"});
constexpr auto kSqlAggregates =
    std::to_array<std::string_view>({"count", "sum", "total", "avg", "min", "max"});
// Functions whose answer depends on their arguments alone.
constexpr auto kPlainFunctions = std::to_array<std::string_view>(
    {"abs",     "cast",  "char",   "coalesce", "format", "hex",           "ifnull",
     "iif",     "instr", "length", "lower",    "nullif", "printf",        "in_prefix",
     "replace", "round", "substr", "trim",     "upper",  "from_unixtime", "to_unixtime"});
constexpr auto kSqlOperators = std::to_array<std::string_view>(
    {"+", "-", "*", "/", "%", "||", "(", ")", ",", "=", "==", "<>", "!=", "<", "<=", ">", ">="});
constexpr auto kComparisons = std::to_array<std::string_view>({"=", "==", "<", "<=", ">", ">="});
constexpr auto kSqlClauses =
    std::to_array<std::string_view>({"from", "where", "group", "having", "order", "limit"});

bool is_one_of(const SqlToken& token, Words words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return token.is(word); });
}

bool is_time_column(int column) {
  return column == kTimeColumn || kind_of(static_cast<Field>(column)) == FieldKind::kTime;
}

std::optional<Field> key_of(int column) {
  if (column == kTimeColumn) return std::nullopt;
  const Field field = static_cast<Field>(column);
  const Stored stored = spec_of(field).stored;
  const bool can = stored == Stored::kAddresses || stored == Stored::kPorts || stored == Stored::kSmall;
  return can ? std::optional(field) : std::nullopt;
}

bool same(const TimeStep& a, const TimeStep& b) {
  return a.unit == b.unit && a.span == b.span;
}

bool is_row_id(std::string_view name) {
  return same_sql_name(name, "rowid") || same_sql_name(name, "oid") || same_sql_name(name, "_rowid_");
}

template <typename T>
bool has(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

class Shaper {
 public:
  explicit Shaper(std::string_view sql) : sql_(sql), tokens_(sql_tokens(sql)) {
    while (!tokens_.empty() && tokens_.back().is(";")) tokens_.pop_back();
  }

  std::optional<SumsStatement> shape();

 private:
  // Tokens, from one to before another.
  struct Part {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  struct Item {
    Part expression;
    std::string alias;
  };
  enum class Scope { kItem, kHaving, kOrder, kWhere };

  [[nodiscard]] bool is(std::size_t i, std::string_view word) const {
    return i < tokens_.size() && tokens_[i].is(word);
  }
  [[nodiscard]] bool is_name(std::size_t i) const {
    return i < tokens_.size() && tokens_[i].kind == SqlToken::Kind::kName;
  }
  [[nodiscard]] bool is_text(std::size_t i) const {
    return i < tokens_.size() && tokens_[i].kind == SqlToken::Kind::kText;
  }
  [[nodiscard]] bool is_number(std::size_t i) const {
    return i < tokens_.size() && tokens_[i].kind == SqlToken::Kind::kOther && tokens_[i].text.empty() &&
           sql_[tokens_[i].begin] >= '0' && sql_[tokens_[i].begin] <= '9';
  }
  [[nodiscard]] std::optional<int> column_at(std::size_t i) const {
    return is_name(i) && !tokens_[i].quoted && !is(i + 1, "(") && !is(i + 1, ".")
               ? log_column_of(tokens_[i].text)
               : std::nullopt;
  }

  bool find_clauses();
  [[nodiscard]] std::vector<Part> split(Part part, std::string_view at) const;
  bool read_items();
  bool read_groups();
  bool read_group(Part term);
  [[nodiscard]] std::optional<TimeStep> step_at(std::size_t i, std::size_t end) const;
  std::optional<std::size_t> step_place(const TimeStep& step, bool make);
  bool add_key(Field field);
  [[nodiscard]] const Item* item_named(std::string_view alias) const;

  bool put(Part part, Scope scope);
  bool put_where(Part part);
  bool put_limit(Part part);
  bool put_name(std::size_t& i, Scope scope);
  bool put_aggregate(std::size_t& i);
  [[nodiscard]] std::optional<std::size_t> part_of(int column, bool sum, bool extremes, bool exact);
  [[nodiscard]] std::size_t behind_number(std::size_t i) const;
  [[nodiscard]] bool compares_time(Part term) const;
  [[nodiscard]] bool tests_prefix(Part term) const;
  [[nodiscard]] bool leaves_gaps_out(Part term) const;
  [[nodiscard]] bool has_time(Part term) const;
  void put_raw(std::size_t i);
  void put_raw(Part part) {
    for (std::size_t i = part.begin; i < part.end; ++i) put_raw(i);
  }

  std::string_view sql_;
  std::vector<SqlToken> tokens_;
  std::array<std::optional<Part>, kSqlClauses.size()> clauses_;  // what stands behind each word
  std::size_t items_end_ = 0;
  std::vector<Item> items_;
  std::vector<int> grouped_;  // columns that GROUP BY names
  bool has_aggregate_ = false;
  SumsStatement out_;
};

enum Clause { kFrom, kWhere, kGroup, kHaving, kOrder, kLimit };

// Each at most once, in their order.
bool Shaper::find_clauses() {
  if (tokens_.size() < 4 || !is(0, "select")) return false;
  int depth = 0;
  std::size_t next = 0;
  std::optional<std::size_t> open;
  const auto end_open = [&](std::size_t i) {
    if (open) {
      clauses_[*open]->end = i;
    } else {
      items_end_ = i;
    }
  };
  for (std::size_t i = 1; i < tokens_.size(); ++i) {
    depth += is(i, "(") ? 1 : is(i, ")") ? -1 : 0;
    if (depth != 0 || !is_one_of(tokens_[i], kSqlClauses)) continue;
    while (next < kSqlClauses.size() && !is(i, kSqlClauses[next])) ++next;
    if (next == kSqlClauses.size()) return false;
    end_open(i);
    const bool by = next == kGroup || next == kOrder;
    if (by && !is(i + 1, "by")) return false;
    i += by ? 1U : 0U;
    clauses_[next] = Part{i + 1, tokens_.size()};
    open = next++;
  }
  const auto& from = clauses_[kFrom];
  return depth == 0 && from && from->end == from->begin + 1 && is(from->begin, "log");
}

std::vector<Shaper::Part> Shaper::split(Part part, std::string_view at) const {
  std::vector<Part> parts{{part.begin, part.end}};
  int depth = 0;
  bool between = false;  // whose AND is not one between conditions
  for (std::size_t i = part.begin; i < part.end; ++i) {
    depth += is(i, "(") ? 1 : is(i, ")") ? -1 : 0;
    if (depth != 0) continue;
    if (is(i, "between")) {
      between = true;
    } else if (is(i, at) && between && at == "and") {
      between = false;
    } else if (is(i, at)) {
      parts.back().end = i;
      parts.push_back({i + 1, part.end});
    }
  }
  return parts;
}

bool Shaper::read_items() {
  for (const Part& part : split({1, items_end_}, ",")) {
    Item item{part, {}};
    if (part.begin >= part.end) return false;
    const std::size_t last = part.end - 1;
    if (last > part.begin && is_name(last) && !is_one_of(tokens_[last], kOutsideWhere) &&
        !is_one_of(tokens_[last], kAnywhere)) {
      const bool as = is(last - 1, "as");
      item.alias = tokens_[last].text;
      item.expression.end = as ? last - 1 : last;
      // A name that means something already would hide it, or be hidden.
      if (item.alias.empty() || log_column_of(item.alias) || is_row_id(item.alias) ||
          item_named(item.alias) != nullptr ||
          same_sql_name(std::string_view(item.alias).substr(0, kSumsPrefix.size()), kSumsPrefix))
        return false;
    }
    if (item.expression.begin >= item.expression.end) return false;
    items_.push_back(std::move(item));
  }
  return true;
}

const Shaper::Item* Shaper::item_named(std::string_view alias) const {
  const auto found = std::find_if(items_.begin(), items_.end(), [&](const Item& item) {
    return !item.alias.empty() && same_sql_name(item.alias, alias);
  });
  return found != items_.end() ? &*found : nullptr;
}

// date_trunc ( 'unit' , time )
std::optional<TimeStep> Shaper::step_at(std::size_t i, std::size_t end) const {
  if (i + 6 > end || !is(i, "date_trunc") || !is(i + 1, "(") || !is_text(i + 2) || !is(i + 3, ",") ||
      !is(i + 5, ")"))
    return std::nullopt;
  const auto column = column_at(i + 4);
  if (column != kTimeColumn && column != static_cast<int>(Field::kEndTime)) return std::nullopt;
  return parse_time_step(tokens_[i + 2].text);
}

std::optional<std::size_t> Shaper::step_place(const TimeStep& step, bool make) {
  auto& steps = out_.plan.steps;
  const auto found =
      std::find_if(steps.begin(), steps.end(), [&](const TimeStep& known) { return same(known, step); });
  if (found != steps.end()) return static_cast<std::size_t>(found - steps.begin());
  if (!make || steps.size() + out_.plan.keys.size() == SumsPlan::kMaxKeys) return std::nullopt;
  steps.push_back(step);
  return steps.size() - 1;
}

bool Shaper::add_key(Field field) {
  if (has(out_.plan.keys, field)) return true;
  if (out_.plan.steps.size() + out_.plan.keys.size() == SumsPlan::kMaxKeys) return false;
  out_.plan.keys.push_back(field);
  return true;
}

bool Shaper::read_group(Part term) {
  if (const auto step = step_at(term.begin, term.end); step && term.end == term.begin + 6)
    return step_place(*step, /*make=*/true).has_value();
  if (term.end != term.begin + 1) return false;
  if (const auto column = column_at(term.begin)) {
    const auto field = key_of(*column);
    if (!field || !add_key(*field)) return false;
    grouped_.push_back(*column);
    return true;
  }
  return false;
}

bool Shaper::read_groups() {
  if (!clauses_[kGroup]) return true;
  for (Part term : split(*clauses_[kGroup], ",")) {
    if (term.end == term.begin + 1) {
      const Item* item = is_name(term.begin) ? item_named(tokens_[term.begin].text) : nullptr;
      if (is_number(term.begin)) {
        const std::string_view number =
            sql_.substr(tokens_[term.begin].begin, tokens_[term.begin].end - tokens_[term.begin].begin);
        for (std::size_t i = 0; i < items_.size(); ++i) {
          if (std::to_string(i + 1) == number) item = &items_[i];
        }
        if (item == nullptr) return false;
      }
      if (item != nullptr) term = item->expression;
    }
    if (!read_group(term)) return false;
  }
  return true;
}

void Shaper::put_raw(std::size_t i) {
  const SqlToken& token = tokens_[i];
  if (i > 0 && tokens_[i - 1].end != token.begin) out_.sql += ' ';
  out_.sql += sql_.substr(token.begin, token.end - token.begin);
}

std::optional<std::size_t> Shaper::part_of(int column, bool sum, bool extremes, bool exact) {
  const bool time = is_time_column(column);
  if (time ? sum : spec_of(static_cast<Field>(column)).stored != Stored::kCounts) return std::nullopt;
  auto& parts = out_.plan.parts;
  auto found = std::find_if(parts.begin(), parts.end(),
                            [&](const SumsPlan::Part& known) { return known.column == column; });
  if (found == parts.end()) {
    if (parts.size() == SumsPlan::kMaxParts) return std::nullopt;
    found = parts.insert(parts.end(), {column});
  }
  found->sum = found->sum || sum;
  found->extremes = found->extremes || extremes;
  found->exact = found->exact || exact;
  return static_cast<std::size_t>(found - parts.begin());
}

// name ( column ), count ( * ), count ( DISTINCT column )
bool Shaper::put_aggregate(std::size_t& i) {
  if (is(i, "count") && is(i + 2, "distinct") && is(i + 4, ")")) {
    const auto counted = column_at(i + 3);
    const auto field = counted ? key_of(*counted) : std::nullopt;
    if (!field || !add_key(*field)) return false;
    has_aggregate_ = true;
    out_.sql += fmt::format(" count(DISTINCT {})", name_of(*field));
    i += 4;
    return true;
  }
  if (!is(i + 3, ")")) return false;
  out_.sql += ' ';
  has_aggregate_ = true;
  if (is(i, "count") && is(i + 2, "*")) {
    out_.sql += "ifnull(sum(sums_records), 0)";
    i += 3;
    return true;
  }
  const auto column = column_at(i + 2);
  if (!column) return false;
  const bool extremes = is(i, "min") || is(i, "max");
  const bool exact = is(i, "avg") || is(i, "total");
  const auto part = part_of(*column, exact || is(i, "sum"), extremes, exact);
  if (!part) return false;
  if (is(i, "count") || is(i, "avg")) out_.plan.parts[*part].counted = true;
  if (is(i, "count")) out_.sql += fmt::format("ifnull(sum(sums_count{}), 0)", *part);
  if (is(i, "sum")) out_.sql += fmt::format("sum(sums_sum{})", *part);
  if (is(i, "total")) out_.sql += fmt::format("total(sums_sum{})", *part);
  if (is(i, "avg")) out_.sql += fmt::format("(total(sums_sum{0}) / nullif(sum(sums_count{0}), 0))", *part);
  if (is(i, "min")) out_.sql += fmt::format("min(sums_least{})", *part);
  if (is(i, "max")) out_.sql += fmt::format("max(sums_most{})", *part);
  i += 3;
  return true;
}

// Leaves `i` at the last token of what it put.
bool Shaper::put_name(std::size_t& i, Scope scope) {
  const SqlToken& token = tokens_[i];
  if (is_one_of(token, kAnywhere) || (scope != Scope::kWhere && is_one_of(token, kOutsideWhere)) ||
      (scope == Scope::kOrder && is_one_of(token, kOfOrder))) {
    put_raw(i);
    return true;
  }
  if (is(i + 1, "(") && !token.quoted) {
    if (is_one_of(token, kPlainFunctions)) {
      put_raw(i);
      return true;
    }
    if (scope == Scope::kWhere) return false;
    if (const auto step = step_at(i, tokens_.size())) {
      const auto place = step_place(*step, /*make=*/false);
      if (!place) return false;
      out_.sql += fmt::format(" sums_step{}", *place);
      i += 5;
      return true;
    }
    return is_one_of(token, kSqlAggregates) && put_aggregate(i);
  }
  if (const auto column = column_at(i)) {
    const auto field = key_of(*column);
    if (scope == Scope::kWhere ? !field || !add_key(*field) : !has(grouped_, *column)) return false;
    put_raw(i);
    return true;
  }
  if ((scope == Scope::kHaving || scope == Scope::kOrder) && item_named(token.text) != nullptr) {
    put_raw(i);
    return true;
  }
  return false;
}

bool Shaper::put(Part part, Scope scope) {
  for (std::size_t i = part.begin; i < part.end; ++i) {
    const SqlToken& token = tokens_[i];
    if (token.kind == SqlToken::Kind::kName) {
      if (!put_name(i, scope)) return false;
      continue;
    }
    if (token.kind == SqlToken::Kind::kOther && !token.text.empty()) {
      const bool all = token.is("*") && (i == part.begin || is(i - 1, ",") || is(i - 1, "("));
      const bool point =
          token.is(".") && (is_number(i - 1) || is_number(i + 1)) && !is_name(i - 1) && !is_name(i + 1);
      if (all || (!point && !is_one_of(token, kSqlOperators))) return false;
    }
    put_raw(i);
  }
  return true;
}

// Of "12", "12.5", "-12", to_unixtime('…'); `i` itself if there is none.
std::size_t Shaper::behind_number(std::size_t i) const {
  if (is(i, "to_unixtime") && is(i + 1, "(") && is_text(i + 2) && is(i + 3, ")")) return i + 4;
  const std::size_t first = is(i, "-") ? i + 1 : i;
  if (!is_number(first)) return i;
  return is(first + 1, ".") && is_number(first + 2) ? first + 3 : first + 1;
}

bool Shaper::has_time(Part term) const {
  for (std::size_t i = term.begin; i < term.end; ++i) {
    if (const auto column = column_at(i); column && is_time_column(*column)) return true;
  }
  return false;
}

bool Shaper::compares_time(Part term) const {
  const auto is_column = [&](std::size_t i) {
    const auto column = column_at(i);
    return column && is_time_column(*column) && *column != static_cast<int>(Field::kSessionStart);
  };
  if (is_column(term.begin)) {
    const std::size_t i = term.begin + 1;
    const std::size_t behind = behind_number(i + 1);
    if (behind == i + 1) return false;
    if (is_one_of(tokens_[i], kComparisons)) return behind == term.end;
    return is(i, "between") && is(behind, "and") && behind_number(behind + 1) != behind + 1 &&
           behind_number(behind + 1) == term.end;
  }
  const std::size_t i = behind_number(term.begin);
  return i != term.begin && i + 2 == term.end && is_one_of(tokens_[i], kComparisons) && is_column(i + 1);
}

bool Shaper::tests_prefix(Part term) const {
  const std::size_t i = term.begin;
  if (term.end != i + 6 || !is(i, "in_prefix") || !is(i + 1, "(") || !is(i + 3, ",") || !is_text(i + 4) ||
      !is(i + 5, ")"))
    return false;
  const auto column = column_at(i + 2);
  return column && !is_time_column(*column) &&
         spec_of(static_cast<Field>(*column)).stored == Stored::kAddresses;
}

bool Shaper::leaves_gaps_out(Part term) const {
  const std::size_t i = term.begin;
  return term.end == i + 3 && column_at(i) == static_cast<int>(Field::kEvent) &&
         (is(i + 1, "<>") || is(i + 1, "!=")) && is_text(i + 2) &&
         tokens_[i + 2].text == to_string(RecordEvent::kGap);
}

bool Shaper::put_where(Part part) {
  const auto terms = split(part, "or").size() > 1 ? std::vector<Part>{part} : split(part, "and");
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (i > 0) out_.sql += " AND ";
    if (terms[i].begin >= terms[i].end) return false;
    // These are the scan's alone: SQLite is not to look at the rows again.
    if (leaves_gaps_out(terms[i])) {
      out_.plan.no_gaps = true;
      out_.sql += '1';
    } else if (compares_time(terms[i]) || tests_prefix(terms[i])) {
      put_raw(terms[i]);
    } else if (has_time(terms[i]) || !put(terms[i], Scope::kWhere)) {
      return false;
    }
  }
  return true;
}

bool Shaper::put_limit(Part part) {
  for (std::size_t i = part.begin; i < part.end; ++i) {
    if (!is_number(i) && !is(i, "offset") && !is(i, ",") && !is(i, "-")) return false;
    put_raw(i);
  }
  return true;
}

std::optional<SumsStatement> Shaper::shape() {
  if (!find_clauses() || !read_items() || !read_groups()) return std::nullopt;
  out_.sql = "SELECT ";
  for (std::size_t i = 0; i < items_.size(); ++i) {
    if (i > 0) out_.sql += ", ";
    if (!put(items_[i].expression, Scope::kItem)) return std::nullopt;
    if (items_[i].alias.empty()) continue;
    out_.sql += " AS \"";
    for (const char byte : items_[i].alias) out_.sql += byte == '"' ? "\"\"" : std::string(1, byte);
    out_.sql += '"';
  }
  if (!has_aggregate_ && !clauses_[kGroup]) return std::nullopt;
  out_.sql += fmt::format(" FROM {}", kSumsTable);
  if (clauses_[kWhere]) {
    out_.sql += " WHERE ";
    if (!put_where(*clauses_[kWhere])) return std::nullopt;
  }
  if (clauses_[kGroup]) {
    out_.sql += " GROUP BY ";
    const auto terms = split(*clauses_[kGroup], ",");
    for (std::size_t i = 0; i < terms.size(); ++i) {
      if (i > 0) out_.sql += ", ";
      if (const auto step = step_at(terms[i].begin, terms[i].end)) {
        out_.sql += fmt::format("sums_step{}", *step_place(*step, /*make=*/false));
      } else {
        put_raw(terms[i]);
      }
    }
  }
  if (clauses_[kHaving]) {
    out_.sql += " HAVING ";
    if (!put(*clauses_[kHaving], Scope::kHaving)) return std::nullopt;
  }
  if (clauses_[kOrder]) {
    out_.sql += " ORDER BY ";
    if (!put(*clauses_[kOrder], Scope::kOrder)) return std::nullopt;
  }
  if (clauses_[kLimit]) {
    out_.sql += " LIMIT ";
    if (!put_limit(*clauses_[kLimit])) return std::nullopt;
  }
  return std::move(out_);
}

}  // namespace

std::optional<SumsStatement> as_sums_statement(std::string_view sql) {
  return Shaper(sql).shape();
}

}  // namespace natsession
