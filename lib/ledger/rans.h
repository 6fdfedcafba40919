// Rans: symbols to few bits, by how frequent they are (range asymmetric numeral systems, Duda 2013; here with
// a state of 32 bits, words of 16, and frequencies that add up to 2^11). Within 0.1 % of the entropy where
// the frequencies are right; a symbol costs a multiplication.
// Shape:  stream := state u32, state u32, word u16 *
//         The first state is for the first, third, fifth … symbol, the second for the others: a processor
//         works on both at once. Each takes the next word whenever it falls below 2^16. Both end with 2^16:
//         whoever decoded all symbols and sees another has read damage. The stream does not say where it
//         ends.
// Threads: one for each object.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ledger/bytes.h"

namespace natsession {

inline constexpr unsigned kRansBits = 11;
inline constexpr std::uint32_t kRansTotal = 1U << kRansBits;
inline constexpr std::uint32_t kRansLowest = 1U << 16;
inline constexpr std::size_t kMaxSymbols = 256;

// Which share of kRansTotal each symbol gets: none where its count is 0, at least 1 where it is not, and all
// together kRansTotal, unless there is no symbol at all.
// Shape: at most kMaxSymbols counts, which add up to less than 2^32; as many shares.
void share_out(std::span<const std::uint32_t> counts, std::span<std::uint16_t> shares);

class RansEncoder {
  __extension__ using Wide = unsigned __int128;

 public:
  // A symbol's place among all of them.
  struct Range {
    std::uint64_t reciprocal =
        0;                     // 2^64 / share, rounded up; of share 1 one less, which `offset` makes up for
    std::uint32_t last = 0;    // the largest state of which no word is written first
    std::uint16_t rest = 0;    // kRansTotal - share
    std::uint16_t offset = 0;  // the shares of all symbols before it
  };
  // Shape: `share` is not 0.
  [[nodiscard]] static Range range_of(std::uint16_t below, std::uint16_t share);

  // Shape: `end` is the end of rans_room(symbols) bytes, for at most so many symbols.
  explicit RansEncoder(char* end) : end_(end), at_(end) {}

  // The last symbol first. `which`: 0 for the first, third … symbol, 1 for the others.
  [[gnu::always_inline]] void put(const Range& range, std::size_t which) {
    std::uint32_t& state = states_[which];
    // Whether a word is due is as good as chance: no branch.
    const bool due = state > range.last;
    store_little_endian(static_cast<std::uint16_t>(state), at_ - 2);
    at_ -= due ? 2 : 0;
    const std::uint32_t left = due ? state >> 16 : state;
    const auto quotient = static_cast<std::uint32_t>((static_cast<Wide>(left) * range.reciprocal) >> 64);
    state = left + range.offset + quotient * range.rest;
  }
  // Appends the stream.
  void finish(std::string& out) const {
    for (const std::uint32_t state : states_) append_little_endian(state, out);
    out.append(at_, end_);
  }

 private:
  std::array<std::uint32_t, 2> states_ = {kRansLowest, kRansLowest};
  char* end_;
  char* at_;  // the first of the words that were written
};

[[nodiscard]] constexpr std::size_t rans_room(std::size_t symbols) {
  return 2 * symbols + 2;
}

// What a share of kRansTotal stands for.
class RansTable {
 public:
  struct Share {
    std::uint16_t share;  // 1 to kRansTotal
    std::uint8_t symbol;
  };
  // Of the symbols that have one, ascending. False if the shares do not add up to kRansTotal.
  [[nodiscard]] bool load(std::span<const Share> shares);
  // One symbol has it all: it costs nothing, and of it no stream tells.
  [[nodiscard]] bool certain() const { return certain_; }
  [[nodiscard]] std::uint8_t first() const { return symbols_[0]; }

 private:
  friend class RansDecoder;
  static constexpr std::size_t kAtOnce = 16;
  std::array<std::uint8_t, kRansTotal + kAtOnce> symbols_;  // of each slot, and room behind the last
  std::array<std::uint32_t, kMaxSymbols> ranges_;           // of each symbol: share + 2^16 * its first slot
  bool certain_ = false;
};

// Behind the end of the bytes there are zeros; ok() tells in the end.
class RansDecoder {
 public:
  explicit RansDecoder(std::span<const std::byte> bytes)
      : next_(bytes.data()), end_(bytes.data() + bytes.size()) {
    if (bytes.size() < 2 * sizeof(std::uint32_t)) {
      broken_ = true;
      next_ = end_;
      return;
    }
    for (std::uint32_t& state : states_) {
      state = load_little_endian<std::uint32_t>(next_);
      next_ += sizeof(state);
    }
  }

  // `which`: 0 for the first, third … symbol, 1 for the others.
  std::uint8_t get(const RansTable& table, std::size_t which) {
    if (end_ - next_ >= 2) return get_within(table, which);
    std::uint32_t& state = states_[which];
    const std::uint32_t slot = state & (kRansTotal - 1);
    const std::uint8_t symbol = table.symbols_[slot];
    const std::uint32_t range = table.ranges_[symbol];
    state = (range & 0xffff) * (state >> kRansBits) + slot - (range >> 16);
    if (state < kRansLowest) {
      state <<= 16;
      broken_ = true;
    }
    return symbol;
  }

  // Whether two more symbols can be decoded by get_within().
  [[nodiscard]] bool has_two_words() const { return end_ - next_ >= 4; }
  // The same as get(), of whose bytes there is no doubt.
  [[gnu::always_inline]] std::uint8_t get_within(const RansTable& table, std::size_t which) {
    const std::uint32_t state = states_[which];
    const std::uint32_t slot = state & (kRansTotal - 1);
    const std::uint8_t symbol = table.symbols_[slot];
    const std::uint32_t range = table.ranges_[symbol];
    const std::uint32_t next = (range & 0xffff) * (state >> kRansBits) + slot - (range >> 16);
    // Whether a word is due is as good as chance: no branch.
    const bool due = next < kRansLowest;
    const std::uint32_t with_word = (next << 16) | load_little_endian<std::uint16_t>(next_);
    states_[which] = due ? with_word : next;
    next_ += due ? 2 : 0;
    return symbol;
  }

  // Whether what was decoded was all that there is.
  [[nodiscard]] bool ok() const { return !broken_ && states_[0] == kRansLowest && states_[1] == kRansLowest; }
  // What is behind the stream, once all symbols are decoded.
  [[nodiscard]] std::span<const std::byte> rest() const { return {next_, end_}; }

 private:
  const std::byte* next_;
  const std::byte* end_;
  std::array<std::uint32_t, 2> states_ = {kRansLowest, kRansLowest};
  bool broken_ = false;
};

}  // namespace natsession
