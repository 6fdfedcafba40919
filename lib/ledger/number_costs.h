// What numbers look like, and what they would cost in this coding or that: so that few have to be tried.
// Units:  costs in bytes.
// Threads: any.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace natsession {

using Numbers = std::span<const std::uint64_t>;

struct NumberSpan {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
};
[[nodiscard]] NumberSpan range_of(Numbers numbers);

// The number that more than half of them are, if there is one (Boyer and Moore's majority vote); else any.
struct Majority {
  std::uint64_t number = 0;
  std::size_t count = 0;
};
[[nodiscard]] Majority majority_of(Numbers numbers);
// The same by asking some of them: good enough to find what is nearly always the same.
[[nodiscard]] Majority likely_majority_of(Numbers numbers);

using Histogram = std::array<std::uint32_t, 256>;

// What Huffman's code needs: no symbol has less than a bit, and the table costs something, too.
[[nodiscard]] double block_cost(const Histogram& histogram, std::size_t total);
[[nodiscard]] double bits_cost(std::size_t count, NumberSpan range);
[[nodiscard]] double planes_cost(Numbers numbers, NumberSpan range);
// With each mantissa that the range allows, from 0 on.
[[nodiscard]] std::vector<double> buckets_costs(Numbers numbers, NumberSpan range);
// An estimate from above.
[[nodiscard]] double sparse_cost(std::size_t count, std::size_t others, NumberSpan range);

// The numbers that a column is made of, if they are few.
// Threads: one for each object.

class DistinctNumbers {
 public:
  static constexpr std::size_t kMost = 255;

  // False if there are more than kMost. The most frequent is number 0, and so on.
  [[nodiscard]] bool collect(std::span<const std::uint64_t> numbers) {
    slots_.fill(Slot());
    numbers_.clear();
    counts_.clear();
    std::size_t size = 0;
    std::vector<Slot> found;
    for (const std::uint64_t number : numbers) {
      Slot& slot = find(number);
      if (slot.count == 0) {
        slot.number = number;
        if (++size > kMost) return false;
      }
      ++slot.count;
    }
    for (const Slot& slot : slots_) {
      if (slot.count != 0) found.push_back(slot);
    }
    std::sort(found.begin(), found.end(), [](const Slot& left, const Slot& right) {
      return left.count != right.count ? left.count > right.count : left.number < right.number;
    });
    for (const Slot& slot : found) {
      find(slot.number).index = static_cast<std::uint8_t>(numbers_.size());
      numbers_.push_back(slot.number);
      counts_.push_back(slot.count);
    }
    return true;
  }

  [[nodiscard]] std::size_t size() const { return numbers_.size(); }
  [[nodiscard]] std::span<const std::uint64_t> numbers() const { return numbers_; }
  [[nodiscard]] std::uint32_t count(std::size_t index) const { return counts_[index]; }
  // Only of numbers that were collected.
  [[nodiscard]] std::uint8_t index_of(std::uint64_t number) { return find(number).index; }

 private:
  struct Slot {
    std::uint64_t number = 0;
    std::uint32_t count = 0;
    std::uint8_t index = 0;
  };

  // Where it is, or would be.
  Slot& find(std::uint64_t number) {
    for (std::size_t at = (number * 0x9e37'79b9'7f4a'7c15) >> 54;; at = (at + 1) % slots_.size()) {
      if (slots_[at].count == 0 || slots_[at].number == number) return slots_[at];
    }
  }

  std::array<Slot, 1024> slots_;
  std::vector<std::uint64_t> numbers_;
  std::vector<std::uint32_t> counts_;
};

}  // namespace natsession
