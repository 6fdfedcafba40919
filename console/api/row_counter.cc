#include "api/row_counter.h"

namespace natsession::console {

void RowCounter::add_json(char c) {
  const unsigned names = form_ == Form::kMember ? 1 : 0;  // the depth of the list's name
  if (in_text_) {
    if (!escaped_ && c == '"') {
      in_text_ = false;
    } else if (depth_ == names && text_.size() <= member_.size()) {
      text_ += c;
    }
    escaped_ = !escaped_ && c == '\\';
    return;
  }
  switch (c) {
    case '"':
      in_text_ = true;
      if (depth_ == names) text_.clear();
      break;
    case '{':
    case '[':
      if (c == '[' && depth_ == names && (form_ == Form::kList || text_ == member_)) inside_ = true;
      ++depth_;
      if (c == '{' && inside_ && depth_ == names + 2) ++rows_;
      break;
    case '}':
    case ']':
      if (depth_ > 0) --depth_;
      if (depth_ == names) inside_ = false;
      break;
    default:
      break;
  }
}

void RowCounter::add(std::string_view piece) {
  if (form_ == Form::kMember || form_ == Form::kList) {
    for (const char c : piece) add_json(c);
    return;
  }
  // A line break within quotes belongs to a value.
  for (const char c : piece) {
    if (c == '"' && form_ == Form::kCsv) in_text_ = !in_text_;
    if (c == '\n' && !in_text_) ++rows_;
  }
}

}  // namespace natsession::console
