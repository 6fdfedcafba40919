// A statement's tokens, as SQLite takes it apart, as far as it matters to who looks for columns and literals
// in it: comments and blanks are left out, what does not end, ends with the statement.
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace natsession {

[[nodiscard]] bool same_sql_name(std::string_view a, std::string_view b);  // in any case

struct SqlToken {
  enum class Kind { kName, kText, kOther };
  Kind kind = Kind::kOther;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string text;     // a name's and a text's without quotes; an operator's; else empty: numbers and blobs
  bool quoted = false;  // a name that is no keyword

  [[nodiscard]] bool is(std::string_view word) const {
    return kind != Kind::kText && !quoted && same_sql_name(text, word);
  }
};

[[nodiscard]] std::vector<SqlToken> sql_tokens(std::string_view sql);

// The column of the table `log` that has this name: a Field, or kTimeColumn.
[[nodiscard]] std::optional<int> log_column_of(std::string_view name);

}  // namespace natsession
