#include "record/interner.h"

namespace natsession {

Result<std::string_view> Interner::intern(std::string_view text) {
  if (const auto found = texts_.find(text); found != texts_.end()) return std::string_view(*found);
  if (text.size() > kMaxTextLength) {
    return Error{ErrorKind::kUsage,
                 "'" + std::string(text.substr(0, 32)) + "...' is too long: " + std::to_string(text.size()) +
                     " bytes, and at most " + std::to_string(kMaxTextLength) + " are kept"};
  }
  if (texts_.size() >= max_texts_) {
    return Error{ErrorKind::kUsage, "'" + std::string(text) +
                                        "' is one text too many: " + std::to_string(max_texts_) +
                                        " different ones are kept until the program ends"};
  }
  return std::string_view(*texts_.emplace(text).first);
}

}  // namespace natsession
