#include <algorithm>
#include <vector>

#include "ledger/column_block.h"
#include "ledger/column_numbers.h"
#include "ledger/number_buckets.h"

namespace natsession {

struct NumberReader::State {
  using Numbers = std::span<std::uint64_t>;

  bool read(ByteReader& in, Numbers out, unsigned nesting);
  bool read_bits(ByteReader& in, Numbers out);
  bool read_planes(ByteReader& in, Numbers out);
  bool read_buckets(ByteReader& in, Numbers out);
  bool read_sparse(ByteReader& in, Numbers out, unsigned nesting);
  bool read_dictionary(ByteReader& in, Numbers out, unsigned nesting);

  BlockReader blocks;
  std::vector<std::uint8_t> symbols;
};

bool NumberReader::State::read_bits(ByteReader& in, Numbers out) {
  const unsigned width = in.u8();
  const std::uint64_t base = in.varint();
  if (width > 64) return false;
  const auto bytes = in.take(bytes_for_bits(std::uint64_t{width} * out.size()));
  if (!in.ok()) return false;
  BitReader bits(bytes);
  for (std::uint64_t& number : out) number = base + bits.get(width);
  return true;
}

bool NumberReader::State::read_planes(ByteReader& in, Numbers out) {
  const unsigned width = in.u8();
  const std::uint64_t base = in.varint();
  if (!in.ok() || width == 0 || width > 8) return false;
  symbols.resize(out.size());
  for (unsigned plane = 0; plane < width; ++plane) {
    if (!blocks.read(in, symbols)) return false;
    if (plane == 0) {
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = base + symbols[i];
    } else {
      for (std::size_t i = 0; i < out.size(); ++i) out[i] += std::uint64_t{symbols[i]} << (8 * plane);
    }
  }
  return true;
}

bool NumberReader::State::read_buckets(ByteReader& in, Numbers out) {
  const unsigned mantissa = in.u8();
  const std::uint64_t base = in.varint();
  if (!in.ok() || mantissa > kMaxMantissa) return false;
  symbols.resize(out.size());
  if (!blocks.read(in, symbols)) return false;
  const BucketTable& table = kBucketTables[mantissa];
  std::uint64_t further = 0;
  std::uint8_t most = 0;
  for (const std::uint8_t symbol : symbols) {
    further += table.bits[symbol];
    most = std::max(most, table.bits[symbol]);
  }
  if (most == kNoBucket) return false;
  const auto bytes = in.take(bytes_for_bits(further));
  if (!in.ok()) return false;
  BitReader bits(bytes);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = base + table.base[symbols[i]] + bits.get(table.bits[symbols[i]]);
  }
  return true;
}

bool NumberReader::State::read_sparse(ByteReader& in, Numbers out, unsigned nesting) {
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

bool NumberReader::State::read_dictionary(ByteReader& in, Numbers out, unsigned nesting) {
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

bool NumberReader::State::read(ByteReader& in, Numbers out, unsigned nesting) {
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

NumberReader::NumberReader() : state_(std::make_unique<State>()) {}
NumberReader::NumberReader(NumberReader&&) noexcept = default;
NumberReader& NumberReader::operator=(NumberReader&&) noexcept = default;
NumberReader::~NumberReader() = default;

bool NumberReader::read(ByteReader& in, std::span<std::uint64_t> out) {
  return state_->read(in, out, 0);
}

bool NumberReader::read_block(ByteReader& in, std::span<std::uint8_t> out) {
  return state_->blocks.read(in, out);
}

}  // namespace natsession
