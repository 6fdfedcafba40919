#include "ledger/dictionaries.h"

#include <algorithm>
#include <numeric>

namespace natsession {
namespace {

constexpr std::uint32_t kPlaceMask = 0xffff;

struct Halves {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
};

constexpr Halves kMappedBase{0, 0x0000'ffff'0000'0000};

std::uint64_t load_big_endian(const std::uint8_t* from) {
  std::uint64_t value = 0;
  for (std::size_t byte = 0; byte < 8; ++byte) value = (value << 8) | from[byte];
  return value;
}

Halves halves_of(const IpAddress& address) {
  return {load_big_endian(address.bytes().data()), load_big_endian(address.bytes().data() + 8)};
}

IpAddress address_of(Halves halves) {
  std::array<std::uint8_t, 16> bytes;
  for (std::size_t byte = 0; byte < 8; ++byte) {
    bytes[byte] = static_cast<std::uint8_t>(halves.high >> (56 - 8 * byte));
    bytes[8 + byte] = static_cast<std::uint8_t>(halves.low >> (56 - 8 * byte));
  }
  return IpAddress::from_v6(bytes);
}

bool starts_a_group(std::size_t place) {
  return (place & (place - 1)) == 0;
}

}  // namespace

AddressIndexer::AddressIndexer() : slots_(kSlots, 0) {
  distinct_.reserve(kMaxFrameRecords);
  indexes_.reserve(kMaxFrameRecords);
}

void AddressIndexer::clear() {
  distinct_.clear();
  indexes_.clear();
  several_ = 0;
  ranked_ = false;
  if (++round_ > kPlaceMask) {
    std::fill(slots_.begin(), slots_.end(), 0);
    round_ = 1;
  }
}

std::uint16_t AddressIndexer::place_of(const IpAddress& address) {
  const Words wanted = words_of(address);
  for (std::size_t slot = slot_of(address);; slot = (slot + 1) % kSlots) {
    std::uint32_t& entry = slots_[slot];
    if (entry >> 16 != round_) {
      entry = round_ << 16 | static_cast<std::uint32_t>(distinct_.size());
      distinct_.push_back(address);
      return static_cast<std::uint16_t>(distinct_.size() - 1);
    }
    const std::uint32_t place = entry & kPlaceMask;
    if (words_of(distinct_[place]) == wanted) return static_cast<std::uint16_t>(place);
  }
}

void AddressIndexer::arrange(bool by_rank) {
  counts_.assign(distinct_.size(), 0);
  for (const std::uint16_t index : indexes_) ++counts_[index];
  order_.resize(distinct_.size());
  std::iota(order_.begin(), order_.end(), std::uint16_t{0});
  const auto middle = std::stable_partition(order_.begin(), order_.end(),
                                            [this](std::uint16_t place) { return counts_[place] > 1; });
  several_ = static_cast<std::size_t>(middle - order_.begin());
  ranked_ = by_rank;
  if (ranked_) {
    std::stable_sort(order_.begin(), middle, [this](std::uint16_t left, std::uint16_t right) {
      return counts_[left] > counts_[right];
    });
    for (std::size_t group = 2; group < several_; group *= 2) {
      std::sort(
          order_.begin() + static_cast<std::ptrdiff_t>(group),
          order_.begin() + static_cast<std::ptrdiff_t>(std::min(2 * group, several_)),
          [this](std::uint16_t left, std::uint16_t right) { return distinct_[left] < distinct_[right]; });
    }
  }
  arranged_.clear();
  std::vector<std::uint16_t>& place_of_old = counts_;
  for (std::size_t place = 0; place < order_.size(); ++place) {
    arranged_.push_back(distinct_[order_[place]]);
    place_of_old[order_[place]] = static_cast<std::uint16_t>(place);
  }
  distinct_.swap(arranged_);
  for (std::uint16_t& index : indexes_) index = place_of_old[index];
}

void AddressIndexer::append_list(std::span<const IpAddress> list, bool ranked, NumberWriter& numbers,
                                 std::string& out) const {
  std::vector<std::uint64_t> highs;
  std::vector<std::uint64_t> lows;
  Halves before = kMappedBase;
  for (std::size_t place = 0; place < list.size(); ++place) {
    const Halves now = halves_of(list[place]);
    if (!ranked || starts_a_group(place)) before = kMappedBase;
    highs.push_back(now.high - before.high);
    lows.push_back(now.high == before.high ? now.low - before.low : now.low);
    before = now;
  }
  numbers.append(highs, NumberShape::kFlat, out);
  numbers.append(lows, NumberShape::kFlat, out);
}

void AddressIndexer::append_distinct(NumberWriter& numbers, std::string& out) const {
  const std::span<const IpAddress> all(distinct_);
  append_varint(several_, out);
  out.push_back(ranked_ ? 1 : 0);
  append_list(all.first(several_), ranked_, numbers, out);
  append_varint(all.size() - several_, out);
  append_list(all.subspan(several_), false, numbers, out);
}

void AddressIndexer::coded_indexes(std::vector<std::uint64_t>& out) const {
  out.resize(indexes_.size());
  for (std::size_t i = 0; i < indexes_.size(); ++i) out[i] = indexes_[i] < several_ ? indexes_[i] + 1U : 0;
}

namespace {

bool read_list(ByteReader& in, NumberReader& numbers, std::size_t count, bool ranked,
               std::vector<IpAddress>& list) {
  std::vector<std::uint64_t> highs(count);
  std::vector<std::uint64_t> lows(count);
  if (!numbers.read(in, highs) || !numbers.read(in, lows)) return false;
  Halves before = kMappedBase;
  for (std::size_t place = 0; place < count; ++place) {
    if (!ranked || starts_a_group(place)) before = kMappedBase;
    Halves now{before.high + highs[place], lows[place]};
    if (now.high == before.high) now.low += before.low;
    list.push_back(address_of(now));
    before = now;
  }
  return true;
}

}  // namespace

bool read_distinct(ByteReader& in, NumberReader& numbers, std::size_t limit, std::vector<IpAddress>& distinct,
                   std::size_t& several) {
  distinct.clear();
  const std::uint64_t count = in.varint();
  const std::uint8_t order = in.u8();
  if (!in.ok() || count > limit || order > 1) return false;
  several = static_cast<std::size_t>(count);
  if (!read_list(in, numbers, several, order == 1, distinct)) return false;
  const std::uint64_t once = in.varint();
  if (!in.ok() || once > limit - several) return false;
  return read_list(in, numbers, static_cast<std::size_t>(once), false, distinct);
}

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
