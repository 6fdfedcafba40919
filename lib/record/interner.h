// Interner: keeps each text once, so that records can hold a std::string_view of it (see
// SessionRecord::vpc_id).
// Threads: one at a time may call; the views may be read by any thread.
#pragma once

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace natsession {

class Interner {
 public:
  static constexpr std::size_t kMaxTexts = 65'536;
  static constexpr std::size_t kMaxTextLength = 255;

  // Equal texts get the same view. It stays valid as long as the Interner: nothing is ever removed, so keep
  // the Interner longer than any record, also across a reload of the configuration.
  // Errors: kUsage if the text is longer than kMaxTextLength bytes, or is the first one too many
  // (`max_texts`).
  [[nodiscard]] Result<std::string_view> intern(std::string_view text);
  [[nodiscard]] std::size_t size() const { return texts_.size(); }

  explicit Interner(std::size_t max_texts = kMaxTexts) : max_texts_(max_texts) {}
  Interner(const Interner&) = delete;
  Interner& operator=(const Interner&) = delete;

 private:
  std::size_t max_texts_;
  std::set<std::string, std::less<>> texts_;  // a tree: its strings never move
};

}  // namespace natsession
