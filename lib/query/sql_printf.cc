#include "query/sql_printf.h"

#include <algorithm>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <string_view>

namespace natsession {
namespace {

constexpr sqlite3_int64 kLargest = 10'000;

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

bool is_large(sqlite3_int64 number) {
  return number > kLargest || number < -kLargest;
}

// Goes through the conversions of a format, %[flags][width][.precision]type, as SQLite does.
class Format {
 public:
  Format(std::string_view text, int count, sqlite3_value** values)
      : text_(text), count_(count), values_(values) {}

  [[nodiscard]] bool has_large_number() {
    while (skip_to_conversion()) {
      skip("-+ #0,!");
      if (is_large(number())) return true;
      if (at_ < text_.size() && text_[at_] == '.') {
        ++at_;
        if (is_large(number())) return true;
      }
      skip("l");
      if (at_ == text_.size()) return false;
      if (text_[at_] != '%' && text_[at_] != 'n') ++next_;
      ++at_;
    }
    return false;
  }

 private:
  bool skip_to_conversion() {
    at_ = text_.find('%', at_);
    if (at_ == std::string_view::npos) return false;
    ++at_;
    return true;
  }
  void skip(std::string_view characters) {
    at_ = std::min(text_.find_first_not_of(characters, at_), text_.size());
  }
  sqlite3_int64 number() {
    if (at_ < text_.size() && text_[at_] == '*') {
      ++at_;
      const int argument = next_++;
      return argument < count_ ? sqlite3_value_int64(values_[argument]) : 0;
    }
    sqlite3_int64 result = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (!is_large(result)) result = 10 * result + (text_[at_] - '0');
    }
    return result;
  }

  std::string_view text_;
  int count_;
  sqlite3_value** values_;
  std::size_t at_ = 0;
  int next_ = 1;  // the argument that the next conversion takes
};

// A function that has been replaced cannot be called any more: a database that has nothing else does it.
class Printf {
 public:
  int open() {
    sqlite3* raw = nullptr;
    const int code = sqlite3_open_v2(":memory:", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY, nullptr);
    database_.reset(raw);
    return code;
  }
  void call(sqlite3_context* result, int count, sqlite3_value** values) {
    sqlite3_limit(database_.get(), SQLITE_LIMIT_LENGTH,
                  sqlite3_limit(sqlite3_context_db_handle(result), SQLITE_LIMIT_LENGTH, -1));
    sqlite3_stmt* const statement = statement_for(count);
    if (statement == nullptr) return sqlite3_result_error_nomem(result);
    int code = SQLITE_OK;
    for (int i = 0; i < count && code == SQLITE_OK; ++i) {
      code = sqlite3_bind_value(statement, i + 1, values[i]);
    }
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
      sqlite3_result_value(result, sqlite3_column_value(statement, 0));
    } else {
      sqlite3_result_error_code(result, code);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }

 private:
  sqlite3_stmt* statement_for(int count) {
    auto& statement = statements_[count];
    if (statement == nullptr) {
      std::string sql = "SELECT printf(?";
      for (int i = 1; i < count; ++i) sql += ",?";
      sqlite3_stmt* raw = nullptr;
      sqlite3_prepare_v2(database_.get(), (sql + ")").c_str(), -1, &raw, nullptr);
      statement.reset(raw);
    }
    return statement.get();
  }

  std::unique_ptr<sqlite3, Close> database_;
  std::map<int, std::unique_ptr<sqlite3_stmt, Close>> statements_;  // by the number of arguments
};

void printf_function(sqlite3_context* result, int count, sqlite3_value** values) {
  if (count == 0) return;
  const auto* const text = reinterpret_cast<const char*>(sqlite3_value_text(values[0]));
  if (text == nullptr) return;
  if (Format({text, static_cast<std::size_t>(sqlite3_value_bytes(values[0]))}, count, values)
          .has_large_number()) {
    return sqlite3_result_error(result, "printf: a width or a precision is more than 10000", -1);
  }
  static_cast<Printf*>(sqlite3_user_data(result))->call(result, count, values);
}

}  // namespace

int add_printf(sqlite3* database) {
  for (const char* const name : {"printf", "format"}) {
    auto* const own = new (std::nothrow) Printf;
    if (own == nullptr) return SQLITE_NOMEM;
    const int opened = own->open();
    const auto destroy = [](void* made) { delete static_cast<Printf*>(made); };
    const int code = sqlite3_create_function_v2(
        database, name, -1, SQLITE_UTF8 | SQLITE_DIRECTONLY | SQLITE_DETERMINISTIC, own, printf_function,
        nullptr, nullptr, destroy);  // calls destroy also when it fails
    if (opened != SQLITE_OK || code != SQLITE_OK) return opened != SQLITE_OK ? opened : code;
  }
  return SQLITE_OK;
}

}  // namespace natsession
