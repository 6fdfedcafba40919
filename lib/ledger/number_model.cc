#include "ledger/number_model.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace natsession {
namespace {

constexpr std::size_t kMaxLiterals = 120;
constexpr unsigned kFinest = 4;
constexpr unsigned kFastMantissa = 1;
constexpr std::size_t kSamples = 16'384;
constexpr std::size_t kFewSamples = 256;
constexpr std::size_t kFewLiterals = 16;

unsigned bucket_place(std::uint64_t number, unsigned mantissa) {
  // With the mantissa's bit nothing is below it, and nothing has to look whether the number is 0.
  const auto width = static_cast<unsigned>(std::bit_width(number | 1U << mantissa));
  const unsigned bits = width - 1 - mantissa;
  return (bits << mantissa) + static_cast<unsigned>(number >> bits);
}

unsigned further_bits(unsigned place, unsigned mantissa) {
  return place < (2U << mantissa) ? 0 : (place >> mantissa) - 1;
}

std::uint64_t lowest_in(unsigned place, unsigned mantissa) {
  if (place < (2U << mantissa)) return place;
  const std::uint64_t head = (1U << mantissa) | (place & ((1U << mantissa) - 1));
  return head << further_bits(place, mantissa);
}

// How many there are.
constexpr unsigned places_of(unsigned mantissa) {
  return ((64 - mantissa) << mantissa) + (1U << mantissa);
}

// The place with a coarser mantissa of what has this one with the finest.
unsigned fold(std::size_t place, unsigned mantissa) {
  return bucket_place(lowest_in(static_cast<unsigned>(place), kFinest), mantissa);
}

// n * log2(n)
double weight_of(std::uint64_t count) {
  static const auto kSmall = [] {
    std::array<double, 4096> weights{};
    for (std::size_t n = 1; n < weights.size(); ++n)
      weights[n] = static_cast<double>(n) * std::log2(static_cast<double>(n));
    return weights;
  }();
  return count < kSmall.size() ? kSmall[static_cast<std::size_t>(count)]
                               : static_cast<double>(count) * std::log2(static_cast<double>(count));
}

std::size_t hash_of(std::uint64_t value) {
  return static_cast<std::size_t>((value * 0x9e37'79b9'7f4a'7c15U) >> 48);
}

}  // namespace

void BitSink::put_gamma(std::uint64_t value) {
  const auto width = static_cast<unsigned>(std::bit_width(value));
  put(std::uint64_t{1} << (width - 1), width);
  put(value & low_bits(width - 1), width - 1);
}

void BitSink::finish(std::string& out) {
  out.append(bytes_.data(), cursor_.finish());
  cursor_.move_to(bytes_.data());
}

void SymbolSet::fill() {
  has_bits = false;
  for (std::size_t i = 0; i < literals.size(); ++i) {
    base[i] = literals[i];
    bits[i] = 0;
  }
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    base[literals.size() + i] = lowest_in(buckets[i], mantissa);
    bits[literals.size() + i] = static_cast<std::uint8_t>(further_bits(buckets[i], mantissa));
    has_bits = has_bits || bits[literals.size() + i] != 0;
  }
}

// What is frequent enough for a symbol of its own, by a look at some of the numbers.
void NumberEncoder::find_literals(bool thorough) {
  set_.literals.clear();
  const std::size_t samples = thorough ? kSamples : kFewSamples;
  const std::size_t step = std::max<std::size_t>(1, values_.size() / samples);
  const std::size_t slots = std::bit_ceil(2 * (values_.size() / step + 2));
  slots_.assign(slots, 0);
  counted_.clear();
  std::size_t seen = 0;
  for (std::size_t i = 0; i < values_.size(); i += step, ++seen) {
    const std::uint64_t value = values_[i];
    std::size_t slot = hash_of(value) & (slots - 1);
    while (slots_[slot] != 0 && counted_[slots_[slot] - 1U].first != value) slot = (slot + 1) & (slots - 1);
    if (slots_[slot] == 0) {
      counted_.emplace_back(value, 0);
      slots_[slot] = static_cast<std::uint16_t>(counted_.size());
    }
    ++counted_[slots_[slot] - 1U].second;
  }
  const std::uint32_t least = static_cast<std::uint32_t>(std::max<std::size_t>(6, seen / 400));
  std::erase_if(counted_, [&](const auto& each) { return each.second < least; });
  const std::size_t kept = std::min(counted_.size(), thorough ? kMaxLiterals : kFewLiterals);
  std::partial_sort(counted_.begin(), counted_.begin() + static_cast<std::ptrdiff_t>(kept), counted_.end(),
                    [](const auto& a, const auto& b) { return a.second > b.second; });
  for (std::size_t i = 0; i < kept; ++i) set_.literals.push_back(counted_[i].first);
  std::sort(set_.literals.begin(), set_.literals.end());
}

// Counts each group's literals and buckets; `places` says which of them each number is.
template <typename Place>
void NumberEncoder::count(unsigned mantissa, std::vector<Place>& places) {
  const std::size_t literals = set_.literals.size();
  width_ = literals + bucket_place(largest_, mantissa) + 1;
  counts_.assign(group_count_ * width_, 0);
  // No two literals share a slot, so that no number needs a branch. An empty slot has what is right of a 0.
  struct Slot {
    std::uint64_t value;
    std::uint32_t place;
  };
  std::array<Slot, 4096> table;
  const unsigned slot_bits = literals > 64 ? 12 : literals > 32 ? 11 : literals > 16 ? 9 : 7;
  std::uint64_t multiplier = 0x9e37'79b9'7f4a'7c15U;
  const auto slot_of = [&](std::uint64_t value) {
    return static_cast<std::size_t>((value * multiplier) >> (64 - slot_bits));
  };
  for (int tries = 0;; ++tries) {
    std::fill_n(table.begin(), std::size_t{1} << slot_bits, Slot{0, static_cast<std::uint32_t>(literals)});
    std::size_t i = 0;
    for (; i < literals; ++i) {
      Slot& slot = table[slot_of(set_.literals[i])];
      if (slot.place != literals) break;
      slot = {set_.literals[i], static_cast<std::uint32_t>(i)};
    }
    if (i == literals) break;
    multiplier = multiplier * 0xd134'2543'de82'ef95U + 2;
    if (tries < 100) continue;
    set_.literals.erase(set_.literals.begin() + static_cast<std::ptrdiff_t>(i));
    return count(mantissa, places);
  }
  places.resize(values_.size());
  const auto count_all = [&](auto group_of) {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const std::uint64_t value = values_[i];
      const Slot& slot = table[slot_of(value)];
      const auto bucket = static_cast<std::uint32_t>(literals + bucket_place(value, mantissa));
      const std::uint32_t place = slot.value == value ? slot.place : bucket;
      places[i] = static_cast<Place>(place);
      ++counts_[group_of(i) * width_ + place];
    }
  };
  if (groups_.empty()) {
    count_all([](std::size_t) { return std::size_t{0}; });
  } else {
    count_all([&](std::size_t i) { return std::size_t{groups_[i]}; });
  }
}

// How many bits all numbers would take with buckets of this mantissa. They are counted by the finest.
double NumberEncoder::bits_with(unsigned mantissa) {
  constexpr double kBitsOfShare = 9;
  const std::size_t literals = set_.literals.size();
  const std::size_t coarse = literals + fold(width_ - literals - 1, mantissa) + 1;
  double bits = 0;
  std::vector<std::uint8_t> used(coarse, 0);
  std::vector<std::uint16_t> to(width_);
  for (std::size_t place = 0; place < width_; ++place) {
    to[place] =
        static_cast<std::uint16_t>(place < literals ? place : literals + fold(place - literals, mantissa));
  }
  std::size_t groups_used = 0;
  std::uint64_t further = 0;
  for (std::size_t group = 0; group < group_count_; ++group) {
    folded_.assign(coarse, 0);
    std::uint64_t total = 0;
    const std::uint32_t* const counts = counts_.data() + group * width_;
    for (std::size_t place = 0; place < width_; ++place) {
      const std::uint32_t count = counts[place];
      if (count == 0) continue;
      total += count;
      folded_[to[place]] += count;
      if (place >= literals)
        further += std::uint64_t{count} * further_bits(static_cast<unsigned>(to[place] - literals), mantissa);
    }
    if (total == 0) continue;
    ++groups_used;
    bits += weight_of(total);
    for (std::size_t place = 0; place < coarse; ++place) {
      if (folded_[place] == 0) continue;
      used[place] = 1;
      bits += kBitsOfShare - weight_of(folded_[place]);
    }
  }
  const auto symbols = static_cast<std::size_t>(std::count(used.begin(), used.end(), 1));
  return symbols > kMaxSymbols
             ? HUGE_VAL
             : bits + static_cast<double>(further) + static_cast<double>(symbols * groups_used);
}

// The symbols of the chosen mantissa, and each group's shares. `counted`: the mantissa of the places.
void NumberEncoder::find_symbols(unsigned counted, unsigned mantissa) {
  const std::size_t literals = set_.literals.size();
  set_.mantissa = mantissa;
  std::vector<std::uint16_t> to(width_);
  for (std::size_t place = literals; place < width_; ++place) {
    to[place] = static_cast<std::uint16_t>(
        bucket_place(lowest_in(static_cast<unsigned>(place - literals), counted), mantissa));
  }
  std::vector<std::uint8_t> used(places_of(mantissa), 0);
  for (std::size_t group = 0; group < group_count_; ++group) {
    for (std::size_t place = literals; place < width_; ++place) {
      if (counts_[group * width_ + place] != 0) used[to[place]] = 1;
    }
  }
  set_.buckets.clear();
  std::vector<std::uint8_t> symbol(used.size(), 0);
  for (std::size_t place = 0; place < used.size(); ++place) {
    if (used[place] == 0) continue;
    symbol[place] = static_cast<std::uint8_t>(literals + set_.buckets.size());
    set_.buckets.push_back(static_cast<std::uint16_t>(place));
  }
  set_.fill();
  symbol_of_.resize(width_);
  for (std::size_t place = 0; place < width_; ++place) {
    symbol_of_[place] = place < literals ? static_cast<std::uint8_t>(place) : symbol[to[place]];
  }

  const std::size_t size = set_.size();
  shares_.assign(group_count_ * size, 0);
  ranges_.resize(group_count_ * size);
  std::vector<std::uint32_t> counts(size);
  certain_ = true;
  for (std::size_t group = 0; group < group_count_; ++group) {
    std::fill(counts.begin(), counts.end(), 0);
    for (std::size_t place = 0; place < width_; ++place) {
      // A place that nothing is at may have the symbol of another.
      if (const std::uint32_t count = counts_[group * width_ + place]; count != 0)
        counts[symbol_of_[place]] += count;
    }
    const auto shares = std::span(shares_).subspan(group * size, size);
    share_out(counts, shares);
    const std::uint16_t most = *std::max_element(shares.begin(), shares.end());
    certain_ = certain_ && (most == 0 || most == kRansTotal);
    std::uint16_t below = 0;
    for (std::size_t each = 0; each < size; ++each) {
      if (shares[each] != 0) ranges_[group * size + each] = RansEncoder::range_of(below, shares[each]);
      below = static_cast<std::uint16_t>(below + shares[each]);
    }
  }
}

// Numbers are coded by their symbols.
void NumberEncoder::code_by_symbol() {
  symbols_.resize(values_.size());
  for (std::size_t i = 0; i < values_.size(); ++i) symbols_[i] = symbol_of_[places_[i]];
  codes_ = set_.size();
  base_ = set_.base;
  bits_ = set_.bits;
}

// Numbers are coded by their places, which symbols_ has: that saves a look at each.
void NumberEncoder::code_by_place() {
  const std::size_t size = set_.size();
  codes_ = width_;
  symbol_ranges_.swap(ranges_);
  ranges_.resize(group_count_ * width_);
  for (std::size_t place = 0; place < width_; ++place) {
    base_[place] = set_.base[symbol_of_[place]];
    bits_[place] = set_.bits[symbol_of_[place]];
    for (std::size_t group = 0; group < group_count_; ++group) {
      ranges_[group * width_ + place] = symbol_ranges_[group * size + symbol_of_[place]];
    }
  }
}

void NumberEncoder::begin(NumberSpan values, GroupSpan groups, std::size_t group_count, bool thorough) {
  values_ = values;
  groups_ = groups;
  group_count_ = groups.empty() ? 1 : group_count;
  std::uint64_t all = 0;
  for (const std::uint64_t value : values) all |= value;
  empty_ = all == 0;
  largest_ = low_bits(static_cast<unsigned>(std::bit_width(all)));
  if (empty_) {
    symbols_.assign(values.size(), 0);
    return;
  }
  find_literals(thorough);
  if (!thorough) {
    static_assert(kFewLiterals + places_of(kFastMantissa) <= kMaxSymbols);
    count(kFastMantissa, symbols_);
    find_symbols(kFastMantissa, kFastMantissa);
    return code_by_place();
  }
  count(kFinest, places_);
  unsigned best = 1;
  double fewest = HUGE_VAL;
  for (unsigned mantissa = 0; mantissa <= kFinest; ++mantissa) {
    const double bits = bits_with(mantissa);
    if (bits >= fewest) continue;
    fewest = bits;
    best = mantissa;
  }
  find_symbols(kFinest, best);
  code_by_symbol();
}

void NumberEncoder::append_model(std::string& out) const {
  out.push_back(static_cast<char>(set_.mantissa));
  append_varint(set_.literals.size(), out);
  std::uint64_t before = 0;
  for (const std::uint64_t literal : set_.literals) {
    append_varint(literal - before, out);
    before = literal;
  }
  append_varint(set_.buckets.size(), out);
  before = 0;
  for (const std::uint16_t bucket : set_.buckets) {
    append_varint(bucket - before, out);
    before = bucket;
  }
  BitSink bits;
  bits.reserve(shares_.size() * 2 * (kRansBits + 2));
  for (const std::uint16_t share : shares_) bits.put_gamma(share + 1U);
  bits.finish(out);
}

void NumberEncoder::append_block(std::size_t begin, std::size_t end, NumberSpan packets,
                                 NumberSpan remainders, std::string& out) {
  const std::size_t size = codes_;
  const std::size_t rows = end - begin;
  const RansEncoder::Range* const ranges = ranges_.data();
  const std::uint8_t* const symbols = symbols_.data() + begin;
  const std::uint8_t* const groups = groups_.empty() ? nullptr : groups_.data() + begin;
  const std::uint64_t* const values = values_.data() + begin;
  room_.resize(std::max(room_.size(), rans_room(rows) + rows * (64 + 65) / 8 + 16));
  block_.clear();
  const auto put_all = [&](auto range_of) {
    bool certain = true;
    RansEncoder rans(room_.data() + rans_room(rows));
    const auto put = [&](std::size_t row, std::size_t which) {
      const RansEncoder::Range& range = range_of(row);
      certain &= range.rest == 0;
      rans.put(range, which);
    };
    if (rows % 2 != 0) put(rows - 1, 0);
    for (std::size_t row = rows / 2 * 2; row > 0; row -= 2) {
      put(row - 1, 1);
      put(row - 2, 0);
    }
    if (!certain) rans.finish(block_);
  };
  if (certain_) {
    // No stream tells of it.
  } else if (groups == nullptr) {
    put_all([&](std::size_t row) -> const RansEncoder::Range& { return ranges[symbols[row]]; });
  } else {
    put_all([&](std::size_t row) -> const RansEncoder::Range& {
      return ranges[groups[row] * size + symbols[row]];
    });
  }
  char* const bits_begin = room_.data() + rans_room(rows);
  BitCursor bits(bits_begin);
  if (!packets.empty()) {
    for (std::size_t row = 0; row < rows; ++row) {
      bits.put(values[row] - base_[symbols[row]], bits_[symbols[row]]);
      const std::uint64_t of = packets[begin + row];
      if (has_remainder(values[row], of)) put_remainder(remainders[begin + row], of - 1, bits);
    }
  } else if (set_.has_bits) {
    for (std::size_t row = 0; row < rows; ++row)
      bits.put(values[row] - base_[symbols[row]], bits_[symbols[row]]);
  }
  block_.append(bits_begin, bits.finish());
  append_varint(block_.size(), out);
  out += block_;
}

bool NumberDecoder::load(ByteReader& in, std::size_t group_count) {
  set_.mantissa = in.u8();
  const std::uint64_t literals = in.varint();
  if (!in.ok() || set_.mantissa > kFinest || literals > kMaxSymbols) return false;
  set_.literals.resize(static_cast<std::size_t>(literals));
  std::uint64_t before = 0;
  for (std::uint64_t& literal : set_.literals) literal = before += in.varint();
  const std::uint64_t buckets = in.varint();
  if (!in.ok() || literals + buckets > kMaxSymbols || literals + buckets == 0) return false;
  set_.buckets.resize(static_cast<std::size_t>(buckets));
  std::uint64_t place = 0;
  for (std::uint16_t& bucket : set_.buckets) {
    place += in.varint();
    if (place >= places_of(set_.mantissa)) return false;
    bucket = static_cast<std::uint16_t>(place);
  }
  if (!in.ok()) return false;
  set_.fill();
  groups_ = group_count;
  shares_.resize(std::max(shares_.size(), groups_ * set_.size()));
  first_share_.resize(groups_ + 1);
  RansTable::Share* next = shares_.data();
  BitReader bits(in.rest());
  for (std::size_t group = 0; group < groups_; ++group) {
    first_share_[group] = static_cast<std::size_t>(next - shares_.data());
    for (std::size_t symbol = 0; symbol < set_.size();) {
      // Most are 0, which is a one: many are taken at once. Of others the code is short enough for one look.
      const std::uint64_t word = bits.peek(56);
      const auto ones = static_cast<std::size_t>(std::countr_one(word));
      if (ones > 32 || ones >= set_.size() - symbol) {
        const std::size_t none = std::min(ones, set_.size() - symbol);
        bits.take(static_cast<unsigned>(none));
        symbol += none;
        continue;
      }
      symbol += ones;
      const std::uint64_t code = word >> ones;
      const auto zeros = static_cast<unsigned>(std::countr_zero(code | std::uint64_t{1} << (kRansBits + 1)));
      const std::uint64_t share =
          ((std::uint64_t{1} << zeros) | ((code >> (zeros + 1)) & low_bits(zeros))) - 1;
      if (share > kRansTotal) return false;
      bits.take(static_cast<unsigned>(ones) + 2 * zeros + 1);
      *next++ = {static_cast<std::uint16_t>(share), static_cast<std::uint8_t>(symbol++)};
    }
  }
  first_share_[groups_] = static_cast<std::size_t>(next - shares_.data());
  static_cast<void>(in.take(bytes_for_bits(bits.place())));
  if (!in.ok()) return false;
  loaded_.assign(groups_, 0);
  if (tables_.size() < groups_) tables_.resize(groups_);
  present_ = true;
  return true;
}

const RansTable* NumberDecoder::table(std::size_t group) {
  if (loaded_[group] == 0) {
    if (!tables_[group]) tables_[group] = std::make_unique<RansTable>();
    const auto shares = std::span<const RansTable::Share>(shares_).subspan(
        first_share_[group], first_share_[group + 1] - first_share_[group]);
    loaded_[group] = tables_[group]->load(shares) ? 1 : 2;
  }
  return loaded_[group] == 1 ? tables_[group].get() : nullptr;
}

// The tables of the groups that a block's rows are in; false if one is none.
bool NumberDecoder::prepare(const Block& block, Tables& tables) {
  std::uint64_t seen = block.groups.empty() ? 1 : 0;
  for (const std::uint8_t group : block.groups) seen |= std::uint64_t{1} << group;
  tables.certain = true;
  for (; seen != 0; seen &= seen - 1) {
    const auto group = static_cast<std::size_t>(std::countr_zero(seen));
    if ((tables.of_group[group] = table(group)) == nullptr) return false;
    tables.certain = tables.certain && tables.of_group[group]->certain();
  }
  return true;
}

// The streams of one or two blocks, off their fronts. What a processor waits for in one it does not in the
// other.
template <bool kGrouped>
bool NumberDecoder::get_streams(Block& one, const Tables& of_one, Block* other, const Tables& of_other) {
  struct Stream {
    Stream(const Block& block, const Tables& tables)
        : rans(block.bytes),
          only(kGrouped ? nullptr : tables.of_group[0]),
          of_group(tables.of_group.data()),
          groups(block.groups.data()),
          out(block.symbols.data()),
          rows(block.symbols.size()) {}
    [[nodiscard]] const RansTable& table(std::size_t row) const {
      return kGrouped ? *of_group[groups[row]] : *only;
    }
    RansDecoder rans;
    const RansTable* only;
    const RansTable* const* of_group;
    const std::uint8_t* groups;
    std::uint8_t* out;
    std::size_t rows;
  };
  const auto get_two = [](Stream& from, std::size_t row) {
    from.out[row] = from.rans.get_within(from.table(row), 0);
    from.out[row + 1] = from.rans.get_within(from.table(row + 1), 1);
  };
  const auto get_rest = [&](Stream from, std::size_t row, std::span<const std::byte>& rest) {
    for (; row + 1 < from.rows && from.rans.has_two_words(); row += 2) get_two(from, row);
    for (; row < from.rows; ++row) from.out[row] = from.rans.get(from.table(row), row & 1);
    rest = from.rans.rest();
    return from.rans.ok();
  };
  Stream first(one, of_one);
  if (other == nullptr) return get_rest(first, 0, one.bytes);
  Stream second(*other, of_other);
  std::size_t row = 0;
  for (; row + 1 < std::min(first.rows, second.rows) && first.rans.has_two_words() &&
         second.rans.has_two_words();
       row += 2) {
    get_two(first, row);
    get_two(second, row);
  }
  return get_rest(first, row, one.bytes) && get_rest(second, row, other->bytes);
}

bool NumberDecoder::get_symbols(Block& block) {
  Tables tables;
  if (!prepare(block, tables)) return false;
  if (tables.certain) {
    for (std::size_t i = 0; i < block.symbols.size(); ++i)
      block.symbols[i] = tables.of_group[block.groups.empty() ? 0 : block.groups[i]]->first();
    return true;
  }
  return block.groups.empty() ? get_streams<false>(block, tables, nullptr, tables)
                              : get_streams<true>(block, tables, nullptr, tables);
}

bool NumberDecoder::get_symbols(Block& block, NumberDecoder& other_model, Block& other) {
  Tables tables;
  Tables of_other;
  if (!prepare(block, tables) || !other_model.prepare(other, of_other)) return false;
  const bool grouped = !block.groups.empty();
  if (tables.certain || of_other.certain || grouped == other.groups.empty())
    return get_symbols(block) && other_model.get_symbols(other);
  return grouped ? get_streams<true>(block, tables, &other, of_other)
                 : get_streams<false>(block, tables, &other, of_other);
}

bool NumberDecoder::get_numbers(const Block& block, NumberSpan packets,
                                std::span<std::uint64_t> values) const {
  const std::span<const std::uint8_t> symbols = block.symbols;
  if (!set_.has_bits && packets.empty()) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = set_.base[symbols[i]];
    return block.bytes.empty();
  }
  BitReader bits(block.bytes);
  if (packets.empty()) {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = set_.base[symbols[i]] + bits.get(set_.bits[symbols[i]]);
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::uint64_t code = set_.base[symbols[i]] + bits.get(set_.bits[symbols[i]]);
      values[i] = has_remainder(code, packets[i] + 1)
                      ? (code - 1) * packets[i] + get_remainder(packets[i], bits) + 1
                      : code;
    }
  }
  return values.size() < symbols.size() || bytes_for_bits(bits.place()) == block.bytes.size();
}

bool NumberDecoder::has_one_symbol(std::size_t group) {
  const RansTable* const only = table(group);
  return only != nullptr && only->certain() && set_.bits[only->first()] == 0;
}

bool NumberDecoder::get_some(std::span<const std::byte> bytes, std::span<const std::uint16_t> rows,
                             std::size_t group, std::span<std::uint64_t> values) {
  const RansTable* const only = table(group);
  if (only == nullptr) return false;
  some_.resize(std::max(some_.size(), rows.size()));
  if (only->certain()) {
    std::fill_n(some_.begin(), rows.size(), only->first());
  } else {
    RansDecoder rans(bytes);
    std::size_t i = 0;
    for (; i < rows.size() && rans.has_two_words(); ++i) some_[i] = rans.get_within(*only, rows[i] & 1U);
    for (; i < rows.size(); ++i) some_[i] = rans.get(*only, rows[i] & 1U);
    if (!rans.ok()) return false;
    bytes = rans.rest();
  }
  BitReader bits(bytes);
  for (std::size_t i = 0; i < rows.size(); ++i)
    values[i] = set_.base[some_[i]] + bits.get(set_.bits[some_[i]]);
  return bytes_for_bits(bits.place()) == bytes.size();
}

bool NumberDecoder::find(const Block& block, std::span<const std::uint8_t> asked,
                         std::vector<Found>& found) const {
  BitReader bits(block.bytes);
  for (std::size_t i = 0; i < block.symbols.size(); ++i) {
    const std::uint8_t symbol = block.symbols[i];
    if (asked[symbol] != 0) [[unlikely]] {
      BitReader here = bits;
      found.push_back({set_.base[symbol] + here.get(set_.bits[symbol]), static_cast<std::uint16_t>(i)});
    }
    bits.take(set_.bits[symbol]);
  }
  return bytes_for_bits(bits.place()) == block.bytes.size();
}

}  // namespace natsession
