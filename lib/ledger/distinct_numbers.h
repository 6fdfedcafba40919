// The numbers that a column is made of, if they are few.
// Threads: one for each object.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace natsession {

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
