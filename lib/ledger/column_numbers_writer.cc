#include <algorithm>
#include <bit>
#include <vector>

#include "ledger/column_block.h"
#include "ledger/column_numbers.h"
#include "ledger/distinct_numbers.h"
#include "ledger/number_buckets.h"
#include "ledger/number_costs.h"

namespace natsession {
namespace {

constexpr int kFastLevel = 1;
constexpr int kSmallLevel = 1;
constexpr std::size_t kWorthAnEntropyCoder = 32;  // fewer numbers are packed as bits
// Estimates are this good: what is within it of the best is tried.
constexpr double kTry = 1.02;
constexpr double kTrySparse = 2.5;  // estimated from above

}  // namespace

struct NumberWriter::State {
  explicit State(Effort wanted)
      : effort(wanted), blocks(wanted == Effort::kFast ? kFastLevel : kSmallLevel) {}

  void append(Numbers numbers, NumberShape shape, unsigned nesting, std::string& out);
  void append_smallest(Numbers numbers, Range range, unsigned nesting, std::string& out);

  void put_constant(std::uint64_t number, std::string& out);
  void put_bits(Numbers numbers, Range range, std::string& out);
  void put_planes(Numbers numbers, Range range, std::string& out);
  void put_buckets(Numbers numbers, Range range, unsigned mantissa, std::string& out);
  void put_sparse(Numbers numbers, std::uint64_t usual, unsigned nesting, std::string& out);
  void put_dictionary(Numbers numbers, unsigned nesting, std::string& out);

  Effort effort;
  BlockWriter blocks;
  std::vector<std::uint8_t> symbols;
  DistinctNumbers distinct;
};

void NumberWriter::State::put_constant(std::uint64_t number, std::string& out) {
  out.push_back(static_cast<char>(NumberCoding::kConstant));
  append_varint(number, out);
}

void NumberWriter::State::put_bits(Numbers numbers, Range range, std::string& out) {
  const auto width = static_cast<unsigned>(std::bit_width(range.max - range.min));
  out.push_back(static_cast<char>(NumberCoding::kBits));
  out.push_back(static_cast<char>(width));
  append_varint(range.min, out);
  BitWriter bits(std::uint64_t{width} * numbers.size(), out);
  for (const std::uint64_t number : numbers) bits.put(number - range.min, width);
}

void NumberWriter::State::put_planes(Numbers numbers, Range range, std::string& out) {
  const auto width = static_cast<unsigned>(std::bit_width(range.max - range.min) + 7) / 8;
  out.push_back(static_cast<char>(NumberCoding::kPlanes));
  out.push_back(static_cast<char>(width));
  append_varint(range.min, out);
  symbols.resize(numbers.size());
  for (unsigned plane = 0; plane < width; ++plane) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      symbols[i] = static_cast<std::uint8_t>((numbers[i] - range.min) >> (8 * plane));
    }
    blocks.append(symbols, out);
  }
}

void NumberWriter::State::put_buckets(Numbers numbers, Range range, unsigned mantissa, std::string& out) {
  out.push_back(static_cast<char>(NumberCoding::kBuckets));
  out.push_back(static_cast<char>(mantissa));
  append_varint(range.min, out);
  symbols.resize(numbers.size());
  std::uint64_t further = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const Bucket bucket = bucket_of(numbers[i] - range.min, mantissa);
    symbols[i] = bucket.symbol;
    further += bucket.bits;
  }
  blocks.append(symbols, out);
  const BucketTable& table = kBucketTables[mantissa];
  BitWriter bits(further, out);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const unsigned count = table.bits[symbols[i]];
    bits.put((numbers[i] - range.min) & low_bits(count), count);
  }
}

void NumberWriter::State::put_sparse(Numbers numbers, std::uint64_t usual, unsigned nesting,
                                     std::string& out) {
  std::vector<std::uint64_t> gaps;
  std::vector<std::uint64_t> values;
  std::uint64_t gap = 0;
  for (const std::uint64_t number : numbers) {
    if (number == usual) {
      ++gap;
      continue;
    }
    gaps.push_back(gap);
    values.push_back(number);
    gap = 0;
  }
  out.push_back(static_cast<char>(NumberCoding::kSparse));
  append_varint(usual, out);
  append_varint(gaps.size(), out);
  append(gaps, NumberShape::kTailed, nesting + 1, out);
  append(values, NumberShape::kTailed, nesting + 1, out);
}

// Of what `distinct` has collected.
void NumberWriter::State::put_dictionary(Numbers numbers, unsigned nesting, std::string& out) {
  std::vector<std::uint64_t> indexes;
  indexes.reserve(numbers.size());
  for (const std::uint64_t number : numbers) indexes.push_back(distinct.index_of(number));
  const std::vector<std::uint64_t> values(distinct.numbers().begin(), distinct.numbers().end());
  out.push_back(static_cast<char>(NumberCoding::kDictionary));
  append_varint(values.size(), out);
  append(values, NumberShape::kFlat, nesting + 1, out);
  const Range range{0, values.size() - 1};
  if (numbers.size() < kWorthAnEntropyCoder) {
    put_bits(indexes, range, out);
  } else {
    put_planes(indexes, range, out);
  }
}

void NumberWriter::State::append(Numbers numbers, NumberShape shape, unsigned nesting, std::string& out) {
  if (numbers.empty()) return;
  const Range range = range_of(numbers);
  if (range.min == range.max) return put_constant(range.min, out);
  if (effort == Effort::kSmall) return append_smallest(numbers, range, nesting, out);

  if (shape == NumberShape::kSparse && nesting < kMaxNesting) {
    const Majority majority = likely_majority_of(numbers);
    if (majority.count * 5 > numbers.size() * 3) return put_sparse(numbers, majority.number, nesting, out);
  }
  const std::uint64_t width = range.max - range.min;
  if (shape == NumberShape::kFlat || numbers.size() < kWorthAnEntropyCoder)
    return put_bits(numbers, range, out);
  if (width <= 0xff) return put_planes(numbers, range, out);
  unsigned mantissa = 4;
  while (width > bucket_limit(mantissa)) --mantissa;
  put_buckets(numbers, range, mantissa, out);
}

void NumberWriter::State::append_smallest(Numbers numbers, Range range, unsigned nesting, std::string& out) {
  struct Candidate {
    NumberCoding coding;
    unsigned mantissa;
    double cost;
  };
  std::vector<Candidate> candidates{{NumberCoding::kBits, 0, bits_cost(numbers.size(), range)}};
  Majority majority;
  if (numbers.size() >= kWorthAnEntropyCoder) {
    candidates.push_back({NumberCoding::kPlanes, 0, planes_cost(numbers, range)});
    const std::vector<double> costs = buckets_costs(numbers, range);
    for (unsigned mantissa = 0; mantissa < costs.size(); ++mantissa) {
      candidates.push_back({NumberCoding::kBuckets, mantissa, costs[mantissa]});
    }
  }
  if (nesting < kMaxNesting && numbers.size() > 2) {
    // Of narrow numbers a plane is as good as a dictionary.
    if (range.max - range.min > 0xff && distinct.collect(numbers)) {
      Histogram histogram{};
      for (std::size_t index = 0; index < distinct.size(); ++index) histogram[index] = distinct.count(index);
      const auto entries = static_cast<double>(distinct.size());
      candidates.push_back({NumberCoding::kDictionary, 0,
                            block_cost(histogram, numbers.size()) + 6 +
                                entries * static_cast<double>(std::bit_width(range.max - range.min)) / 8});
    }
    // Behind the dictionary: its attempt would collect other numbers.
    majority = majority_of(numbers);
    if (majority.count * 2 > numbers.size()) {
      candidates.push_back(
          {NumberCoding::kSparse, 0, sparse_cost(numbers.size(), numbers.size() - majority.count, range)});
    }
  }
  double best = candidates[0].cost;
  for (const Candidate& candidate : candidates) best = std::min(best, candidate.cost);

  std::string smallest;
  std::string attempt;
  for (const Candidate& candidate : candidates) {
    const double slack = candidate.coding == NumberCoding::kSparse ? kTrySparse : kTry;
    if (candidate.cost > best * slack + 4) continue;
    attempt.clear();
    switch (candidate.coding) {
      case NumberCoding::kConstant:
        break;
      case NumberCoding::kBits:
        put_bits(numbers, range, attempt);
        break;
      case NumberCoding::kPlanes:
        put_planes(numbers, range, attempt);
        break;
      case NumberCoding::kBuckets:
        put_buckets(numbers, range, candidate.mantissa, attempt);
        break;
      case NumberCoding::kDictionary:
        put_dictionary(numbers, nesting, attempt);
        break;
      case NumberCoding::kSparse:
        put_sparse(numbers, majority.number, nesting, attempt);
        break;
    }
    if (smallest.empty() || attempt.size() < smallest.size()) smallest.swap(attempt);
  }
  out += smallest;
}

NumberWriter::NumberWriter(Effort effort) : state_(std::make_unique<State>(effort)) {}
NumberWriter::NumberWriter(NumberWriter&&) noexcept = default;
NumberWriter& NumberWriter::operator=(NumberWriter&&) noexcept = default;
NumberWriter::~NumberWriter() = default;

void NumberWriter::append(Numbers numbers, NumberShape shape, std::string& out) {
  state_->append(numbers, shape, 0, out);
}

void NumberWriter::append_block(std::span<const std::uint8_t> bytes, std::string& out) {
  state_->blocks.append(bytes, out);
}

}  // namespace natsession
