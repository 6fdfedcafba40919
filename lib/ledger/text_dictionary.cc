#include "ledger/text_dictionary.h"

#include <algorithm>

namespace natsession {

void TextIndexer::clear() {
  texts_.clear();
  places_.clear();
}

std::uint32_t TextIndexer::add(std::string_view text) {
  const auto [place, is_new] = places_.try_emplace(text, static_cast<std::uint32_t>(texts_.size()));
  if (is_new) texts_.push_back(text);
  return place->second;
}

void append_texts(const std::vector<std::string_view>& texts, NumberWriter& numbers, std::string& out) {
  std::size_t total = 0;
  for (const std::string_view text : texts) total += std::min(text.size(), kMaxTextBytes);
  const std::size_t limit = total <= kMaxTextBytesOfColumn
                                ? kMaxTextBytes
                                : std::min(kMaxTextBytes, kMaxTextBytesOfColumn / texts.size());

  std::vector<std::uint64_t> lengths;
  std::vector<std::uint8_t> bytes;
  for (const std::string_view text : texts) {
    const std::string_view kept = text.substr(0, limit);
    lengths.push_back(kept.size());
    bytes.insert(bytes.end(), kept.begin(), kept.end());
  }
  append_varint(texts.size(), out);
  numbers.append(lengths, NumberShape::kFlat, out);
  if (!bytes.empty()) numbers.append_block(bytes, out);
}

bool read_texts(ByteReader& in, NumberReader& numbers, std::string& bytes,
                std::vector<std::string_view>& texts) {
  const std::uint64_t count = in.varint();
  if (!in.ok() || count == 0 || count > 2 * kMaxFrameRecords) return false;
  std::vector<std::uint64_t> lengths(static_cast<std::size_t>(count));
  if (!numbers.read(in, lengths)) return false;
  std::size_t total = 0;
  for (const std::uint64_t length : lengths) {
    if (length > kMaxTextBytes) return false;
    total += static_cast<std::size_t>(length);
  }
  if (total > kMaxTextBytesOfColumn) return false;
  std::vector<std::uint8_t> raw(total);
  if (total != 0 && !numbers.read_block(in, raw)) return false;
  bytes.assign(raw.begin(), raw.end());
  texts.clear();
  std::size_t at = 0;
  for (const std::uint64_t length : lengths) {
    texts.push_back(std::string_view(bytes).substr(at, static_cast<std::size_t>(length)));
    at += static_cast<std::size_t>(length);
  }
  return true;
}

}  // namespace natsession
