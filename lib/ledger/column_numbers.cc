#include "ledger/column_numbers.h"

#include <algorithm>
#include <bit>

#include "ledger/number_coding.h"

namespace natsession {
namespace {

constexpr std::size_t kWorthAnEntropyCoder = 32;  // fewer numbers are packed as bits
// Estimates are this good: what is within it of the best is tried.
constexpr double kTry = 1.02;
constexpr double kTrySparse = 2.5;  // estimated from above

}  // namespace

void NumberWriter::put_constant(std::uint64_t number, std::string& out) {
  out.push_back(static_cast<char>(NumberCoding::kConstant));
  append_varint(number, out);
}

void NumberWriter::put_bits(Numbers numbers, NumberSpan range, std::string& out) {
  const auto width = static_cast<unsigned>(std::bit_width(range.max - range.min));
  out.push_back(static_cast<char>(NumberCoding::kBits));
  out.push_back(static_cast<char>(width));
  append_varint(range.min, out);
  BitWriter bits(std::uint64_t{width} * numbers.size(), out);
  for (const std::uint64_t number : numbers) bits.put(number - range.min, width);
}

void NumberWriter::put_planes(Numbers numbers, NumberSpan range, std::string& out) {
  const auto width = static_cast<unsigned>(std::bit_width(range.max - range.min) + 7) / 8;
  out.push_back(static_cast<char>(NumberCoding::kPlanes));
  out.push_back(static_cast<char>(width));
  append_varint(range.min, out);
  symbols_.resize(numbers.size());
  for (unsigned plane = 0; plane < width; ++plane) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      symbols_[i] = static_cast<std::uint8_t>((numbers[i] - range.min) >> (8 * plane));
    }
    blocks_.append(symbols_, out);
  }
}

void NumberWriter::put_buckets(Numbers numbers, NumberSpan range, unsigned mantissa, std::string& out) {
  out.push_back(static_cast<char>(NumberCoding::kBuckets));
  out.push_back(static_cast<char>(mantissa));
  append_varint(range.min, out);
  symbols_.resize(numbers.size());
  std::uint64_t further = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const Bucket bucket = bucket_of(numbers[i] - range.min, mantissa);
    symbols_[i] = bucket.symbol;
    further += bucket.bits;
  }
  blocks_.append(symbols_, out);
  const BucketTable& table = kBucketTables[mantissa];
  BitWriter bits(further, out);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const unsigned count = table.bits[symbols_[i]];
    bits.put((numbers[i] - range.min) & low_bits(count), count);
  }
}

void NumberWriter::put_sparse(Numbers numbers, std::uint64_t usual, unsigned nesting, std::string& out) {
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

// Of what `distinct_` has collected.
void NumberWriter::put_dictionary(Numbers numbers, unsigned nesting, std::string& out) {
  std::vector<std::uint64_t> indexes;
  indexes.reserve(numbers.size());
  for (const std::uint64_t number : numbers) indexes.push_back(distinct_.index_of(number));
  const std::vector<std::uint64_t> values(distinct_.numbers().begin(), distinct_.numbers().end());
  out.push_back(static_cast<char>(NumberCoding::kDictionary));
  append_varint(values.size(), out);
  append(values, NumberShape::kFlat, nesting + 1, out);
  const NumberSpan range{0, values.size() - 1};
  if (numbers.size() < kWorthAnEntropyCoder) {
    put_bits(indexes, range, out);
  } else {
    put_planes(indexes, range, out);
  }
}

void NumberWriter::append(Numbers numbers, NumberShape shape, unsigned nesting, std::string& out) {
  if (numbers.empty()) return;
  const NumberSpan range = range_of(numbers);
  if (range.min == range.max) return put_constant(range.min, out);
  if (effort_ == Effort::kSmall) return append_smallest(numbers, range, nesting, out);

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

void NumberWriter::append_smallest(Numbers numbers, NumberSpan range, unsigned nesting, std::string& out) {
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
    if (range.max - range.min > 0xff && distinct_.collect(numbers)) {
      Histogram histogram{};
      for (std::size_t index = 0; index < distinct_.size(); ++index)
        histogram[index] = distinct_.count(index);
      const auto entries = static_cast<double>(distinct_.size());
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

bool NumberReader::read_bits(ByteReader& in, std::span<std::uint64_t> out) {
  const unsigned width = in.u8();
  const std::uint64_t base = in.varint();
  if (width > 64) return false;
  const auto bytes = in.take(bytes_for_bits(std::uint64_t{width} * out.size()));
  if (!in.ok()) return false;
  BitReader bits(bytes);
  for (std::uint64_t& number : out) number = base + bits.get(width);
  return true;
}

bool NumberReader::read_planes(ByteReader& in, std::span<std::uint64_t> out) {
  const unsigned width = in.u8();
  const std::uint64_t base = in.varint();
  if (!in.ok() || width == 0 || width > 8) return false;
  symbols_.resize(out.size());
  for (unsigned plane = 0; plane < width; ++plane) {
    if (!blocks_.read(in, symbols_)) return false;
    if (plane == 0) {
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = base + symbols_[i];
    } else {
      for (std::size_t i = 0; i < out.size(); ++i) out[i] += std::uint64_t{symbols_[i]} << (8 * plane);
    }
  }
  return true;
}

bool NumberReader::read_buckets(ByteReader& in, std::span<std::uint64_t> out) {
  const unsigned mantissa = in.u8();
  const std::uint64_t base = in.varint();
  if (!in.ok() || mantissa > kMaxMantissa) return false;
  symbols_.resize(out.size());
  if (!blocks_.read(in, symbols_)) return false;
  const BucketTable& table = kBucketTables[mantissa];
  std::uint64_t further = 0;
  std::uint8_t most = 0;
  for (const std::uint8_t symbol : symbols_) {
    further += table.bits[symbol];
    most = std::max(most, table.bits[symbol]);
  }
  if (most == kNoBucket) return false;
  const auto bytes = in.take(bytes_for_bits(further));
  if (!in.ok()) return false;
  BitReader bits(bytes);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = base + table.base[symbols_[i]] + bits.get(table.bits[symbols_[i]]);
  }
  return true;
}

bool NumberReader::read_sparse(ByteReader& in, std::span<std::uint64_t> out, unsigned nesting) {
  const std::uint64_t usual = in.varint();
  const std::uint64_t count = in.varint();
  if (!in.ok() || count > out.size()) return false;
  std::vector<std::uint64_t> gaps(static_cast<std::size_t>(count));
  std::vector<std::uint64_t> values(gaps.size());
  if (!read(in, gaps, nesting + 1) || !read(in, values, nesting + 1)) return false;
  std::fill(out.begin(), out.end(), usual);
  std::size_t at = 0;
  for (std::size_t i = 0; i < gaps.size(); ++i) {
    if (gaps[i] >= out.size() - at) return false;
    at += static_cast<std::size_t>(gaps[i]);
    out[at++] = values[i];
  }
  return true;
}

bool NumberReader::read_dictionary(ByteReader& in, std::span<std::uint64_t> out, unsigned nesting) {
  const std::uint64_t count = in.varint();
  if (!in.ok() || count == 0 || count > kMaxFrameRecords) return false;
  std::vector<std::uint64_t> values(static_cast<std::size_t>(count));
  if (!read(in, values, nesting + 1) || !read(in, out, nesting + 1)) return false;
  for (std::uint64_t& number : out) {
    if (number >= count) return false;
    number = values[static_cast<std::size_t>(number)];
  }
  return true;
}

bool NumberReader::read(ByteReader& in, std::span<std::uint64_t> out, unsigned nesting) {
  if (out.empty()) return true;
  if (nesting > kMaxNesting) return false;
  switch (static_cast<NumberCoding>(in.u8())) {
    case NumberCoding::kConstant:
      std::fill(out.begin(), out.end(), in.varint());
      return in.ok();
    case NumberCoding::kBits:
      return read_bits(in, out);
    case NumberCoding::kPlanes:
      return read_planes(in, out);
    case NumberCoding::kBuckets:
      return read_buckets(in, out);
    case NumberCoding::kSparse:
      return read_sparse(in, out, nesting);
    case NumberCoding::kDictionary:
      return read_dictionary(in, out, nesting);
  }
  return false;
}

}  // namespace natsession
