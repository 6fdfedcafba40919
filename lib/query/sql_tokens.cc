#include "query/sql_tokens.h"

#include <algorithm>
#include <array>

#include <sqlite3.h>

#include "query/log_constraints.h"

namespace natsession {

bool same_sql_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && sqlite3_strnicmp(a.data(), b.data(), static_cast<int>(a.size())) == 0;
}

namespace {

bool is_name_byte(char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         byte == '_' || byte == '$' || (static_cast<unsigned char>(byte) & 0x80) != 0;
}

// As SQLite takes a statement apart, as far as it matters here: comments and blanks are left out, what does
// not end, ends with the statement.
class Tokenizer {
 public:
  explicit Tokenizer(std::string_view sql) : sql_(sql) {}

  std::vector<SqlToken> all() {
    std::vector<SqlToken> tokens;
    while (at_ < sql_.size()) {
      if (skip_blank()) continue;
      SqlToken token;
      token.begin = at_;
      read(token);
      token.end = at_;
      tokens.push_back(std::move(token));
    }
    return tokens;
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < sql_.size() ? sql_[at_ + ahead] : '\0';
  }
  void skip_behind(std::string_view end) {
    const std::size_t found = sql_.find(end, at_);
    at_ = found == std::string_view::npos ? sql_.size() : found + end.size();
  }
  bool skip_blank() {
    if (peek() == '-' && peek(1) == '-') {
      skip_behind("\n");
    } else if (peek() == '/' && peek(1) == '*') {
      at_ += 2;
      skip_behind("*/");
    } else if (std::string_view(" \t\n\f\r").find(peek()) != std::string_view::npos) {
      ++at_;
    } else {
      return false;
    }
    return true;
  }
  // Up to the quote that ends it; two of them are one.
  void read_quoted(char quote, SqlToken& token) {
    ++at_;
    while (at_ < sql_.size()) {
      if (peek() == quote) {
        ++at_;
        if (quote == ']' || peek() != quote) return;
      }
      token.text += sql_[at_++];
    }
  }
  void read(SqlToken& token) {
    const char first = peek();
    if ((first == 'x' || first == 'X') && peek(1) == '\'') {  // a blob
      ++at_;
      read_quoted('\'', token);
      token.text.clear();
    } else if (first == '\'') {
      token.kind = SqlToken::Kind::kText;
      read_quoted('\'', token);
    } else if (first == '"' || first == '`' || first == '[') {
      token.kind = SqlToken::Kind::kName;
      token.quoted = true;
      read_quoted(first == '[' ? ']' : first, token);
    } else if (is_name_byte(first)) {
      const bool number = first >= '0' && first <= '9';
      if (!number) token.kind = SqlToken::Kind::kName;
      while (is_name_byte(peek())) token.text += sql_[at_++];
      if (number) token.text.clear();
    } else {
      static constexpr std::array<std::string_view, 9> kLong{
          "==", "<>", "!=", "<=", ">=", "||", "->", "<<", ">>"};
      const std::string_view rest = sql_.substr(at_);
      const auto known =
          std::find_if(kLong.begin(), kLong.end(), [&](std::string_view op) { return rest.starts_with(op); });
      token.text = known != kLong.end() ? *known : rest.substr(0, 1);
      at_ += token.text.size();
    }
  }

  std::string_view sql_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<SqlToken> sql_tokens(std::string_view sql) {
  return Tokenizer(sql).all();
}

std::optional<int> log_column_of(std::string_view name) {
  if (same_sql_name(name, kTimeColumnName)) return kTimeColumn;
  for (const FieldSpec& spec : session_fields()) {
    if (same_sql_name(name, spec.name)) return static_cast<int>(spec.field);
  }
  return std::nullopt;
}

}  // namespace natsession
