#include "query/sql_literals.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/core.h>
#include <sqlite3.h>

#include "net/protocol.h"
#include "query/log_constraints.h"
#include "query/sql_tokens.h"
#include "query/time_text.h"

namespace natsession {
namespace {

// A text's neighbour: a column of the log, and how they are compared.
struct Neighbour {
  int column = 0;
  enum class By : std::uint8_t {
    kEquality,
    kOrder,
    kPattern
  } by = By::kEquality;  // =, IN, IS …; <, BETWEEN …; LIKE, GLOB
};

using By = Neighbour::By;

class Meanings {
 public:
  Meanings(std::string_view sql, UnixMs now) : sql_(sql), now_(now), tokens_(sql_tokens(sql)) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (names_something_else(i)) taken_.push_back(*log_column_of(tokens_[i].text));
    }
  }

  Result<SqlText> put() {
    SqlText out;
    std::size_t done = 0;
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_[i].kind != SqlToken::Kind::kText) continue;
      const auto beside = neighbour(i);
      if (!beside || std::count(taken_.begin(), taken_.end(), beside->column) != 0) continue;
      const auto meaning = meaning_of(tokens_[i].text, *beside);
      if (!meaning) {
        return usage_error("SQL: " + meaning.error().message + place_text(sql_, tokens_[i].begin));
      }
      if (meaning->empty()) continue;
      out.sql += sql_.substr(done, tokens_[i].begin - done);
      out.sql += *meaning;
      done = tokens_[i].end;
      out.edits.push_back({out.sql.size(), done});
    }
    out.sql += sql_.substr(done);
    return out;
  }

 private:
  [[nodiscard]] bool is(std::size_t i, std::string_view word) const {
    return i < tokens_.size() && tokens_[i].is(word);
  }
  [[nodiscard]] bool is_one_of(std::size_t i, std::initializer_list<std::string_view> words) const {
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return is(i, word); });
  }

  // Whether a column's name is an alias here: behind AS, behind an operand, or in WITH t(name, …) AS (.
  [[nodiscard]] bool names_something_else(std::size_t i) const {
    if (tokens_[i].kind != SqlToken::Kind::kName || !log_column_of(tokens_[i].text) || i == 0) return false;
    const SqlToken& before = tokens_[i - 1];
    if (before.is("as") || before.is(")") || before.is("end") || before.kind == SqlToken::Kind::kText)
      return true;
    if (before.kind == SqlToken::Kind::kName) {
      return before.quoted || log_column_of(before.text).has_value();
    }
    std::size_t end = i;
    while (end < tokens_.size() && (tokens_[end].kind == SqlToken::Kind::kName || is(end, ","))) ++end;
    return (before.is("(") || before.is(",")) && is(end, ")") && is(end + 1, "as") &&
           is_one_of(end + 2, {"(", "not", "materialized"});
  }

  // The column whose name ends at `last`, if that is the whole operand.
  [[nodiscard]] std::optional<int> column_before(std::size_t last) const {
    if (last >= tokens_.size() || tokens_[last].kind != SqlToken::Kind::kName) return std::nullopt;
    std::size_t first = last;
    while (first >= 2 && is(first - 1, ".") && tokens_[first - 2].kind == SqlToken::Kind::kName) first -= 2;
    if (first > 0 && is_one_of(first - 1, {"||", "->", "collate"})) return std::nullopt;
    return log_column_of(tokens_[last].text);
  }
  // Likewise the one whose name begins at `first`.
  [[nodiscard]] std::optional<int> column_behind(std::size_t first) const {
    if (first >= tokens_.size() || tokens_[first].kind != SqlToken::Kind::kName) return std::nullopt;
    std::size_t last = first;
    while (is(last + 1, ".") && last + 2 < tokens_.size()) last += 2;
    if (tokens_[last].kind != SqlToken::Kind::kName || is_one_of(last + 1, {"||", "->", "("}))
      return std::nullopt;
    return log_column_of(tokens_[last].text);
  }

  // A comparison that ends at `last`: its first token, and how it compares.
  [[nodiscard]] std::optional<std::pair<std::size_t, By>> comparison_before(std::size_t last) const {
    if (is_one_of(last, {"<", "<=", ">", ">="})) return std::pair(last, By::kOrder);
    if (is_one_of(last, {"=", "==", "<>", "!="})) return std::pair(last, By::kEquality);
    if (is_one_of(last, {"like", "glob"})) return std::pair(last, By::kPattern);
    std::size_t first = last;
    if (is(first, "from") && first >= 1 && is(first - 1, "distinct")) first -= 2;
    if (is(first, "not") && first >= 1) --first;
    if (is(first, "is")) return std::pair(first, By::kEquality);
    return std::nullopt;
  }

  [[nodiscard]] std::optional<Neighbour> neighbour(std::size_t text) {
    if (is_one_of(text + 1, {"||", "->", "collate"}) || (text > 0 && is_one_of(text - 1, {"||", "->"}))) {
      return std::nullopt;
    }
    if (auto before = neighbour_before(text)) return before;
    // text <= column, text BETWEEN column AND …
    std::size_t behind = text + 1;
    const bool ordered = is_one_of(behind, {"<", "<=", ">", ">="});
    if (is(behind, "not")) ++behind;
    const bool between = is(behind, "between");
    if (!ordered && !between && !is_one_of(behind, {"=", "==", "<>", "!="})) return std::nullopt;
    const auto column = column_behind(behind + 1);
    return column ? std::optional(Neighbour{*column, ordered || between ? By::kOrder : By::kEquality})
                  : std::nullopt;
  }

  [[nodiscard]] std::optional<Neighbour> neighbour_before(std::size_t text) {
    if (text < 2) return std::nullopt;
    std::size_t before = text - 1;
    std::size_t operand = 0;
    By by = By::kOrder;
    if (const auto comparison = comparison_before(before)) {
      std::tie(operand, by) = *comparison;
    } else if (is_one_of(before, {"(", ","})) {  // IN (…, text
      const bool further = is(before, ",") && before - 1 == list_text_;
      if (further) before = list_;
      while (before > 0 && !is(before, "(") && !is(before, ")")) --before;
      list_ = before;
      list_text_ = text;
      if (!is(before, "(") || before == 0 || !is(before - 1, "in")) return std::nullopt;
      operand = before - 1;
      by = By::kEquality;
    } else {
      if (is(before, "and")) {  // BETWEEN … AND text
        int depth = 0;
        for (--before; before > 0 && (depth > 0 || !is_one_of(before, {"between", "and", "or", "("}));
             --before) {
          depth += is(before, ")") ? 1 : is(before, "(") ? -1 : 0;
        }
      }
      if (!is(before, "between")) return std::nullopt;
      operand = before;
    }
    if (operand > 0 && is(operand - 1, "not")) --operand;
    if (operand == 0) return std::nullopt;
    const auto column = column_before(operand - 1);
    return column ? std::optional(Neighbour{*column, by}) : std::nullopt;
  }

  static std::string_view name_of_column(int column) {
    return column == kTimeColumn ? kTimeColumnName : name_of(static_cast<Field>(column));
  }

  // A pattern for a number, which has no letters.
  [[nodiscard]] static Result<std::string> digits_like(const std::string& text, int column) {
    const bool has_letter = std::any_of(
        text.begin(), text.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
    if (!has_letter) return std::string();
    const std::string_view name = name_of_column(column);
    return usage_error(
        fmt::format("{} is a number, of which no digits are like '{}'{}", name, text,
                    column == static_cast<int>(Field::kProtocol) ? ": say protocol = 'tcp'" : ""));
  }

  // The text to put in its place; empty if it may stay.
  [[nodiscard]] Result<std::string> meaning_of(const std::string& text, const Neighbour& beside) const {
    const auto refuse = [&](std::string_view name, const std::string& why) {
      return usage_error(fmt::format("{}: {}", name, why));
    };
    const bool is_time =
        beside.column == kTimeColumn || kind_of(static_cast<Field>(beside.column)) == FieldKind::kTime;
    if (beside.by == By::kPattern) {
      if (!is_time && kind_of(static_cast<Field>(beside.column)) != FieldKind::kNumber) return std::string();
      return digits_like(text, beside.column);
    }
    if (is_time) {
      const std::string_view name = name_of_column(beside.column);
      if (is_sql_number(text)) return std::string();
      const auto time = parse_time_text(text, now_);
      if (!time) return refuse(name, time.error().message);
      if (time->again || time->skipped) return refuse(name, fmt::format("'{}' is {}", text, describe(*time)));
      const std::chrono::milliseconds exact(beside.column == kTimeColumn ? 1000 : 1);
      if (beside.by == By::kEquality && time->precision > exact) {
        return refuse(name,
                      fmt::format("'{}' means {}, and a time is seldom equal to its beginning: say >= and <",
                                  text, format_duration(time->precision)));
      }
      return fmt::format("{:.3f}", static_cast<double>(time->time.time_since_epoch().count()) / 1000);
    }
    const Field field = static_cast<Field>(beside.column);
    const std::string_view name = name_of(field);
    switch (kind_of(field)) {
      case FieldKind::kNumber: {
        if (is_sql_number(text)) return std::string();
        if (field != Field::kProtocol) return refuse(name, fmt::format("'{}' is no number", text));
        std::string lower = text;
        std::transform(lower.begin(), lower.end(), lower.begin(),
                       [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
        const auto protocol = parse_protocol(lower);
        if (!protocol) return refuse(name, protocol.error().message);
        return std::to_string(*protocol);
      }
      case FieldKind::kAddress: {
        if (beside.by != By::kEquality) return std::string();
        const auto address = IpAddress::parse(text);
        if (address) return std::string();
        const bool prefix = text.find('/') != std::string::npos && Prefix::parse(text);
        return refuse(name, address.error().message +
                                (prefix ? fmt::format("; in_prefix({}, '{}') is true in a prefix", name, text)
                                        : std::string()));
      }
      case FieldKind::kWord: {
        if (beside.by != By::kEquality) return std::string();
        std::string known;
        for (std::uint64_t word = zero_is_none(field) ? 1 : 0; word <= spec_of(field).limit; ++word) {
          const std::string one(spec_of(field).word(word));
          if (sqlite3_stricmp(one.c_str(), text.c_str()) == 0) return "'" + one + "'";
          known += " " + one;
        }
        return refuse(name, fmt::format("'{}' is none of:{}", text, known));
      }
      case FieldKind::kId: {
        if (beside.by != By::kEquality) return std::string();
        std::uint64_t id = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
        if (error == std::errc() && end == text.data() + text.size()) return fmt::format("'{:016x}'", id);
        return refuse(name, fmt::format("'{}' is not up to 16 hexadecimal digits", text));
      }
      default:
        return std::string();
    }
  }

  std::string_view sql_;
  UnixMs now_;
  std::vector<SqlToken> tokens_;
  std::vector<int> taken_;  // columns whose names the statement gives to something else
  std::size_t list_ =
      0;  // where the list begins that list_text_, the last text that was looked at, stands in
  std::size_t list_text_ = 0;
};

}  // namespace

std::size_t SqlText::origin_of(std::size_t place) const {
  const Edit* last = nullptr;
  for (const Edit& edit : edits) {
    if (edit.place <= place) last = &edit;
  }
  return last != nullptr ? last->origin + (place - last->place) : place;
}

Result<SqlText> with_meanings(std::string_view sql, UnixMs now) {
  return Meanings(sql, now).put();
}

std::string place_text(std::string_view sql, std::size_t offset) {
  std::size_t line = 1;
  std::size_t column = 1;
  for (const char byte : sql.substr(0, offset)) {
    column = byte == '\n' ? 1 : column + 1;
    line += byte == '\n' ? 1U : 0U;
  }
  return fmt::format(", at line {}, column {}", line, column);
}

bool is_sql_number(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return false;
  std::string_view number = text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
  if (number.starts_with('+') || number.starts_with('-')) number.remove_prefix(1);
  if (number.empty() || ((number[0] < '0' || number[0] > '9') && number[0] != '.')) return false;
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  return (error == std::errc() || error == std::errc::result_out_of_range) &&
         end == number.data() + number.size();
}

}  // namespace natsession
