// NumberModel: how the numbers of one column of a frame become few bits. A number is a symbol, which costs
// what it is frequent (rans.h), and further bits, which are as good as random. Numbers that are frequent,
// wherever they lie, have a symbol of their own; the others share one with those of their size (buckets,
// number_coding.h). How frequent a symbol is goes by the record's group: what earlier columns say of the
// record.
// Shape:  model   := mantissa u8, literals, buckets varint, (bucket varint)*, shares of each group
//         literals := count varint, then each less the one before
//         shares  := bits: for each symbol share + 1 in Elias' gamma code
//         block   := length varint, then so many bytes: rANS stream (rans.h), bits: of each record the
//         further bits of
//                    its symbol, and its remainder, if any
//         A block whose symbols are all certain, since they have all shares of their groups, has no stream.
//         The symbols are the literals, ascending, then buckets, ascending; each bucket less the one before.
//         A column that has no model is 0 in all records.
// Threads: one for each object.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/scratch.h"
#include "ledger/bytes.h"
#include "ledger/number_coding.h"
#include "ledger/rans.h"

namespace natsession {

inline constexpr std::size_t kMaxGroupsOfModel = 64;

using NumberSpan = std::span<const std::uint64_t>;
// Of each record; empty: all are in group 0.
using GroupSpan = std::span<const std::uint8_t>;

// Bits in a row, lowest first, to where there is room. To be copied to the stack for many: there it stays in
// registers.
class BitCursor {
 public:
  explicit BitCursor(char* at) : at_(at) {}
  // `value` < 2^count, count <= 64. Up to eight bytes behind the last are written, too.
  [[gnu::always_inline]] void put(std::uint64_t value, unsigned count) {
    if (count > 32) [[unlikely]] {
      put_few(value & 0xffff'ffff, 32);
      value >>= 32;
      count -= 32;
    }
    put_few(value, count);
  }
  // Fills the last byte up with zeros, and says where the next is.
  char* finish() {
    if (filled_ > 0) *at_++ = static_cast<char>(word_);
    word_ = 0;
    filled_ = 0;
    return at_;
  }
  void move_to(char* at) { at_ = at; }
  [[nodiscard]] char* at() const { return at_; }

 private:
  [[gnu::always_inline]] void put_few(std::uint64_t value, unsigned count) {
    word_ |= value << filled_;
    store_little_endian(word_, at_);
    filled_ += count;
    at_ += filled_ / 8;
    word_ >>= filled_ & ~7U;
    filled_ &= 7;
  }

  char* at_;
  std::uint64_t word_ = 0;
  unsigned filled_ = 0;  // below 8
};

// The same, with room of its own.
class BitSink {
 public:
  // Makes room for so many more bits.
  void reserve(std::size_t bits) {
    const auto used = static_cast<std::size_t>(cursor_.at() - bytes_.data());
    if (bytes_.size() - used >= bits / 8 + 16) return;
    bytes_.resize(2 * used + bits / 8 + 64);
    cursor_.move_to(bytes_.data() + used);
  }
  // There is room.
  void put(std::uint64_t value, unsigned count) { cursor_.put(value, count); }
  void put_gamma(std::uint64_t value);  // 1 to 2^32
  // Appends them, filled up with zeros to whole bytes, and begins anew.
  void finish(std::string& out);

 private:
  std::vector<char> bytes_ = std::vector<char>(64);
  BitCursor cursor_{bytes_.data()};
};

// The symbols of a column.
struct SymbolSet {
  std::vector<std::uint64_t> literals;  // ascending
  std::vector<std::uint16_t> buckets;   // ascending
  unsigned mantissa = 0;
  // Of each symbol.
  std::array<std::uint64_t, kMaxSymbols> base{};
  std::array<std::uint8_t, kMaxSymbols> bits{};

  bool has_bits = false;  // some symbol has further bits

  [[nodiscard]] std::size_t size() const { return literals.size() + buckets.size(); }
  void fill();  // base and bits
};

class NumberEncoder {
 public:
  // Makes a model of `values`. Both spans must live until the last append_block().
  // `thorough`: for years on disk.
  void begin(NumberSpan values, GroupSpan groups, std::size_t group_count, bool thorough);

  // All are 0: there is no model, and no block has anything of them.
  [[nodiscard]] bool empty() const { return empty_; }
  [[nodiscard]] bool grouped() const { return !groups_.empty(); }
  // Of each record; only of a thorough model.
  [[nodiscard]] const std::vector<std::uint8_t>& symbols() const { return symbols_; }

  void append_model(std::string& out) const;
  // The records [begin, end). `packets`: of the same records, where the numbers are quotients of bytes by
  // them: then `remainders` are put behind each.
  void append_block(std::size_t begin, std::size_t end, NumberSpan packets, NumberSpan remainders,
                    std::string& out);

 private:
  void find_literals(bool thorough);
  template <typename Place>
  void count(unsigned mantissa, std::vector<Place>& places);
  [[nodiscard]] double bits_with(unsigned mantissa);
  void find_symbols(unsigned counted, unsigned mantissa);
  void code_by_symbol();
  void code_by_place();
  [[nodiscard]] std::uint16_t group_of(std::size_t i) const { return groups_.empty() ? 0 : groups_[i]; }

  NumberSpan values_;
  GroupSpan groups_;
  std::size_t group_count_ = 1;
  bool empty_ = true;
  std::uint64_t largest_ = 0;
  bool certain_ = false;  // each group has one symbol
  SymbolSet set_;
  std::vector<std::uint16_t> shares_;  // group by group
  // What each record is coded by: its symbol, or its place.
  std::vector<std::uint8_t> symbols_;
  std::size_t codes_ = 0;
  std::vector<RansEncoder::Range> ranges_;  // group by group
  std::array<std::uint64_t, kMaxSymbols> base_{};
  std::array<std::uint8_t, kMaxSymbols> bits_{};

  // Scratch.
  std::vector<char> room_;  // of a block
  std::vector<std::uint16_t> slots_;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> counted_;
  std::vector<std::uint16_t> places_;
  std::vector<std::uint32_t> counts_;  // group by group
  std::size_t width_ = 0;              // of a group
  std::vector<std::uint32_t> folded_;
  std::vector<std::uint8_t> symbol_of_;  // of each place
  std::vector<RansEncoder::Range> symbol_ranges_;
  std::string block_;
};

class NumberDecoder {
 public:
  NumberDecoder() = default;

  void clear() { present_ = false; }
  // False if the bytes are no model.
  [[nodiscard]] bool load(ByteReader& in, std::size_t group_count);
  [[nodiscard]] bool present() const { return present_; }
  [[nodiscard]] const SymbolSet& symbols() const { return set_; }

  // A block to be read. `bytes`: without its length; get_symbols() takes the stream off their front.
  struct Block {
    std::span<const std::byte> bytes;
    GroupSpan groups;
    std::span<std::uint8_t> symbols;  // of each record, to be filled
  };
  // The symbols of a block, or of two, also of another model's: two take less time together than one by one.
  // False if the bytes are none.
  [[nodiscard]] bool get_symbols(Block& block);
  [[nodiscard]] bool get_symbols(Block& block, NumberDecoder& other_model, Block& other);
  // Then the numbers of a block's records, or of as many of its first, to `values`. With `packets`, which are
  // counts or kUnknownCount, codes of bytes from quotients and remainders. False if the bytes are not exactly
  // those of a block with so many records, as far as that is seen.
  [[nodiscard]] bool get_numbers(const Block& block, NumberSpan packets,
                                 std::span<std::uint64_t> values) const;
  struct Found {
    std::uint64_t number;
    std::uint16_t row;  // of the block
  };
  // Instead of it: adds those whose symbol is `asked` for, and passes over the others.
  // Shape: `asked` has an element for each symbol.
  [[nodiscard]] bool find(const Block& block, std::span<const std::uint8_t> asked,
                          std::vector<Found>& found) const;

  // Whether all records of a group have the same number: then they take nothing of a block.
  [[nodiscard]] bool has_one_symbol(std::size_t group);
  // Instead of both: the numbers of these rows of a block, all that are in `group`, where all its other rows
  // are in groups of one symbol. False if the bytes are not exactly those of such a block.
  [[nodiscard]] bool get_some(std::span<const std::byte> bytes, std::span<const std::uint16_t> rows,
                              std::size_t group, std::span<std::uint64_t> values);
  // Both.
  [[nodiscard]] bool get_block(std::span<const std::byte> bytes, GroupSpan groups, NumberSpan packets,
                               std::span<std::uint64_t> values, std::span<std::uint8_t> symbols) {
    Block block{bytes, groups, symbols};
    return get_symbols(block) && get_numbers(block, packets, values);
  }
  // Takes one.
  [[nodiscard]] static std::span<const std::byte> take_block(ByteReader& in) { return in.take(in.varint()); }

 private:
  struct Tables {
    std::array<const RansTable*, kMaxGroupsOfModel> of_group;  // of those that were seen
    bool certain = false;                                      // all of them
  };
  [[nodiscard]] const RansTable* table(std::size_t group);
  [[nodiscard]] bool prepare(const Block& block, Tables& tables);
  template <bool kGrouped>
  [[nodiscard]] static bool get_streams(Block& one, const Tables& of_one, Block* other,
                                        const Tables& of_other);

  bool present_ = false;
  SymbolSet set_;
  std::size_t groups_ = 0;
  Scratch<RansTable::Share> shares_;      // those that are not 0, group by group
  std::vector<std::size_t> first_share_;  // of each group, and behind the last
  std::vector<std::unique_ptr<RansTable>> tables_;
  std::vector<std::uint8_t> loaded_;
  std::vector<std::uint8_t> some_;  // scratch: symbols
};

}  // namespace natsession
