// The texts of one column of a frame: instances, namespaces, vpc_ids.
// Shape:  texts := count varint, lengths numbers(count), and, unless all are empty, a block of all bytes
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/column_numbers.h"
#include "record/labels.h"

namespace natsession {

inline constexpr std::size_t kMaxTextBytes = std::size_t{64} << 10;
inline constexpr std::size_t kMaxTextBytesOfColumn = std::size_t{2} << 20;
static_assert(kMaxLabelBytes <= kMaxTextBytesOfColumn, "no label is cut");

// Collects distinct texts; each has its place. It does not copy them.
class TextIndexer {
 public:
  void clear();
  [[nodiscard]] std::uint32_t add(std::string_view text);
  [[nodiscard]] const std::vector<std::string_view>& texts() const { return texts_; }

 private:
  std::vector<std::string_view> texts_;
  std::unordered_map<std::string_view, std::uint32_t> places_;
};

// Texts beyond kMaxTextBytes are cut, and all of them to what fits where they are more than
// kMaxTextBytesOfColumn.
void append_texts(const std::vector<std::string_view>& texts, NumberWriter& numbers, std::string& out);

// False if the bytes are not texts, or more than kMaxTextBytesOfColumn. `texts` point into `bytes`.
[[nodiscard]] bool read_texts(ByteReader& in, NumberReader& numbers, std::string& bytes,
                              std::vector<std::string_view>& texts);

}  // namespace natsession
