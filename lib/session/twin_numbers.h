// TwinNumbers: numbers sessions that began between the same ends in the same millisecond, 0, 1, 2 … What is
// remembered is bounded: a number may be given again after 65,536 other beginnings.
// Threads: one.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tsl/robin_map.h>

namespace natsession {

class TwinNumbers {
 public:
  // `beginning` is a hash of the ends and the millisecond.
  std::uint32_t next(std::uint64_t beginning) {
    const auto [found, first] = young_.try_emplace(beginning, 0);
    if (first) {
      if (const auto older = old_.find(beginning); older != old_.end()) found.value() = older->second;
    }
    const std::uint32_t number = found.value()++;
    if (young_.size() >= kGeneration) {
      old_.swap(young_);
      young_.clear();
    }
    return number;
  }

 private:
  static constexpr std::size_t kGeneration = 65'536;
  using Next = tsl::robin_map<std::uint64_t, std::uint32_t>;
  // Two generations: the older one is forgotten when the younger is full.
  Next young_;
  Next old_;
};

}  // namespace natsession
