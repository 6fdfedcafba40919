// What numbers look like, and what they would cost in this coding or that: so that few have to be tried.
// Units:  costs in bytes.
// Threads: any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace natsession {

using Numbers = std::span<const std::uint64_t>;

struct Range {
  std::uint64_t min = 0;
  std::uint64_t max = 0;
};
[[nodiscard]] Range range_of(Numbers numbers);

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
[[nodiscard]] double bits_cost(std::size_t count, Range range);
[[nodiscard]] double planes_cost(Numbers numbers, Range range);
// With each mantissa that the range allows, from 0 on.
[[nodiscard]] std::vector<double> buckets_costs(Numbers numbers, Range range);
// An estimate from above.
[[nodiscard]] double sparse_cost(std::size_t count, std::size_t others, Range range);

}  // namespace natsession
