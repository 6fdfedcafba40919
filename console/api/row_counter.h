// RowCounter: how many rows an answer has, counted while it goes by.
// Threads: one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace natsession::console {

class RowCounter {
 public:
  enum class Form : unsigned char {
    kMember,  // JSON: an object with a list of this name
    kList,    // JSON: a list
    kLines,   // a row each line
    kCsv,     // likewise, below a line of titles
  };
  explicit RowCounter(Form form, std::string_view member = {}) : form_(form), member_(member) {}

  void add(std::string_view piece);
  [[nodiscard]] std::uint64_t rows() const { return form_ == Form::kCsv && rows_ > 0 ? rows_ - 1 : rows_; }

 private:
  void add_json(char c);

  Form form_;
  std::string member_;
  std::uint64_t rows_ = 0;
  unsigned depth_ = 0;
  bool in_text_ = false;  // between quotes
  bool escaped_ = false;
  bool inside_ = false;  // of the list that is counted
  std::string text_;     // the last one at the depth of the member's name, as far as it is needed
};

}  // namespace natsession::console
