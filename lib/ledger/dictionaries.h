// What a frame says once and then points to: addresses and texts.
// Threads: one for each object.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/column_numbers.h"
#include "net/ip_address.h"
#include "record/labels.h"

namespace natsession {

// The addresses of one column of a frame: the distinct ones, and an index for each record.
// Shape:  addresses := count varint, order u8, numbers(count) highs, numbers(count) lows,
//                      once varint, numbers(once) highs, numbers(once) lows, and the indexes, as the column's
//                      coding says
//         The first list has the addresses that several records have, the second those that one record has,
//         in the order of these records. Index 0 is the next of the second list, index i place i - 1 of the
//         first. An address is two big-endian numbers of 64 bits, `high` and `low`. It stands against another
//         one: the high less that one's, the low less that one's if the highs are the same, as it is if not;
//         modulo 2^64. With order 0, and in the second list, it stands against ::ffff:0.0.0.0. With order 1
//         it stands against the one before, but at places 0, 1, 2, 4, 8, 16 … against ::ffff:0.0.0.0. An
//         encoder that takes the trouble puts the frequent ones first, as small indexes cost less; those
//         between two powers of two, which are about as frequent, ascend, as small differences cost less.
// Threads: one for each object.

class AddressIndexer {
 public:
  AddressIndexer();
  void clear();
  // At most kMaxFrameRecords calls after clear(). Where addresses are asked for some records ahead, the
  // memory that add() needs is there in time.
  void add(const IpAddress& address) { indexes_.push_back(place_of(address)); }
  void ask(const IpAddress& address) const { __builtin_prefetch(&slots_[slot_of(address)]); }

  // Brings the addresses into the order in which they are written: to be called once, after all were added.
  // `by_rank`: the frequent ones first.
  void arrange(bool by_rank);

  [[nodiscard]] std::span<const IpAddress> distinct() const { return distinct_; }  // both lists
  [[nodiscard]] std::span<const std::uint16_t> indexes() const { return indexes_; }
  // What stands before the indexes, and these.
  void append_distinct(NumberWriter& numbers, std::string& out) const;
  void coded_indexes(std::vector<std::uint64_t>& out) const;

 private:
  [[nodiscard]] static std::size_t slot_of(const IpAddress& address) {
    const Words words = words_of(address);
    constexpr std::uint64_t kOdd = 0x9e37'79b9'7f4a'7c15;
    return static_cast<std::size_t>((words.first * kOdd ^ words.second ^ (words.second >> 32)) * kOdd >>
                                    kSlotShift);
  }
  struct Words {  // the bytes of an address as they lie
    std::uint64_t first = 0;
    std::uint64_t second = 0;
    friend bool operator==(const Words&, const Words&) = default;
  };
  [[nodiscard]] static Words words_of(const IpAddress& address) {
    Words words;
    std::memcpy(&words.first, address.bytes().data(), 8);
    std::memcpy(&words.second, address.bytes().data() + 8, 8);
    return words;
  }
  [[nodiscard]] std::uint16_t place_of(const IpAddress& address);
  void append_list(std::span<const IpAddress> list, bool ranked, NumberWriter& numbers,
                   std::string& out) const;

  static constexpr std::size_t kSlots = 2 * kMaxFrameRecords;  // never more than half full
  static constexpr int kSlotShift = 64 - std::countr_zero(kSlots);

  std::vector<std::uint32_t> slots_;  // a hash table: round * 2^16 + place
  std::uint32_t round_ = 0;
  std::vector<IpAddress> distinct_;
  std::vector<std::uint16_t> indexes_;
  std::size_t several_ = 0;  // how many of them are in the first list
  bool ranked_ = false;

  // For arrange().
  std::vector<std::uint16_t> counts_;
  std::vector<std::uint16_t> order_;
  std::vector<IpAddress> arranged_;
};

// False if the bytes are not that, or more than `limit` addresses. `several` is the length of the first list.
[[nodiscard]] bool read_distinct(ByteReader& in, NumberReader& numbers, std::size_t limit,
                                 std::vector<IpAddress>& distinct, std::size_t& several);

// The texts of one column of a frame: instances, namespaces, vpc_ids.
// Shape:  texts := count varint, lengths numbers(count), and, unless all are empty, a block of all bytes
// Threads: one for each object.

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
