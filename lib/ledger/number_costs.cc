#include "ledger/number_costs.h"

#include <bit>
#include <cmath>

#include "ledger/number_coding.h"

namespace natsession {

NumberSpan range_of(Numbers numbers) {
  // Four at a time, as each would wait for the one before.
  std::array<NumberSpan, 4> parts;
  parts.fill({numbers[0], numbers[0]});
  std::size_t i = 0;
  for (; i + parts.size() <= numbers.size(); i += parts.size()) {
    for (std::size_t part = 0; part < parts.size(); ++part) {
      parts[part].min = std::min(parts[part].min, numbers[i + part]);
      parts[part].max = std::max(parts[part].max, numbers[i + part]);
    }
  }
  NumberSpan range = parts[0];
  for (const NumberSpan& part : parts) range = {std::min(range.min, part.min), std::max(range.max, part.max)};
  for (; i < numbers.size(); ++i) range = {std::min(range.min, numbers[i]), std::max(range.max, numbers[i])};
  return range;
}

Majority majority_of(Numbers numbers) {
  Majority majority;
  std::size_t votes = 0;
  for (const std::uint64_t number : numbers) {
    if (votes == 0) majority.number = number;
    if (number == majority.number) {
      ++votes;
    } else {
      --votes;
    }
  }
  majority.count = static_cast<std::size_t>(std::count(numbers.begin(), numbers.end(), majority.number));
  return majority;
}

Majority likely_majority_of(Numbers numbers) {
  std::array<std::uint64_t, 64> asked;
  const std::size_t step = std::max<std::size_t>(1, numbers.size() / asked.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < numbers.size() && count < asked.size(); i += step) asked[count++] = numbers[i];
  Majority majority = majority_of(std::span(asked).first(count));
  majority.count = static_cast<std::size_t>(std::count(numbers.begin(), numbers.end(), majority.number));
  return majority;
}

double block_cost(const Histogram& histogram, std::size_t total) {
  double bits = 0;
  std::size_t symbols = 0;
  for (const std::uint32_t count : histogram) {
    if (count == 0) continue;
    ++symbols;
    bits += count * std::max(1.0, std::log2(static_cast<double>(total) / count));
  }
  if (symbols <= 1) return 2;
  return std::min(static_cast<double>(total) + 1, bits / 8 + 15 + static_cast<double>(symbols) * 0.5);
}

double planes_cost(Numbers numbers, NumberSpan range) {
  double cost = 4;
  const auto width = static_cast<unsigned>(std::bit_width(range.max - range.min) + 7) / 8;
  for (unsigned plane = 0; plane < width; ++plane) {
    Histogram histogram{};
    for (const std::uint64_t number : numbers) ++histogram[((number - range.min) >> (8 * plane)) & 0xff];
    cost += block_cost(histogram, numbers.size());
  }
  return cost;
}

// A finer bucket lies within one coarser one, so that the numbers are counted once.
std::vector<double> buckets_costs(Numbers numbers, NumberSpan range) {
  unsigned finest = kMaxMantissa;
  while (range.max - range.min > bucket_limit(finest)) --finest;
  Histogram histogram{};
  for (const std::uint64_t number : numbers) ++histogram[bucket_of(number - range.min, finest).symbol];
  std::vector<double> costs;
  for (unsigned mantissa = 0; mantissa <= finest; ++mantissa) {
    Histogram coarser{};
    double bits = 0;
    for (std::size_t symbol = 0; symbol < histogram.size(); ++symbol) {
      if (histogram[symbol] == 0) continue;
      const Bucket bucket = bucket_of(kBucketTables[finest].base[symbol], mantissa);
      coarser[bucket.symbol] += histogram[symbol];
      bits += static_cast<double>(bucket.bits) * histogram[symbol];
    }
    costs.push_back(block_cost(coarser, numbers.size()) + bits / 8 + 4);
  }
  return costs;
}

double bits_cost(std::size_t count, NumberSpan range) {
  return static_cast<double>(count) * static_cast<double>(std::bit_width(range.max - range.min)) / 8 + 4;
}

double sparse_cost(std::size_t count, std::size_t others, NumberSpan range) {
  const auto n = static_cast<double>(count);
  const auto k = static_cast<double>(others);
  const double places = k * std::log2(n / k) + (n - k) * std::log2(n / (n - k));
  const auto width = static_cast<double>(std::bit_width(range.max - range.min));
  return (places + k * std::min(width, 12.0)) / 8 + 10;
}

}  // namespace natsession
