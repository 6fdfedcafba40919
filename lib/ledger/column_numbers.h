// Numbers of a column, in whichever of six codings is smallest for them.
// Shape:  numbers(n) := coding u8, then
//           0 constant    value varint: all n are this
//           1 bits        width u8, base varint, n numbers of `width` bits (number_coding.h): base + each
//           2 planes      width u8, base varint, `width` blocks of n bytes: the lowest bytes of all, then
//                       the next …
//           3 buckets     mantissa u8, base varint, block of n symbols, bits: see number_coding.h
//           4 sparse      default varint, count varint, numbers(count) gaps, numbers(count) values: behind
//                       each gap of defaults stands one value; defaults fill up the rest
//           5 dictionary  count varint, numbers(count) values, numbers(n) indexes into them
//         numbers(0) is nothing at all. Sums are modulo 2^64. Sparse and dictionary nest at most kMaxNesting
//         deep.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ledger/bytes.h"
#include "ledger/column_block.h"
#include "ledger/frame.h"
#include "ledger/number_costs.h"

namespace natsession {

inline constexpr unsigned kMaxNesting = 4;

enum class NumberCoding : std::uint8_t { kConstant, kBits, kPlanes, kBuckets, kSparse, kDictionary };

// What numbers look like, for Effort::kFast, which tries nothing.
enum class NumberShape : std::uint8_t {
  kFlat,    // all alike often: ports
  kTailed,  // the small ones are frequent, the large ones may be huge: sizes, differences
  kSparse,  // nearly always the same
};

class NumberWriter {
 public:
  explicit NumberWriter(Effort effort) : effort_(effort), blocks_(kZstdLevel) {}

  // At most kMaxFrameRecords numbers.
  void append(Numbers numbers, NumberShape shape, std::string& out) { append(numbers, shape, 0, out); }
  void append_block(std::span<const std::uint8_t> bytes, std::string& out) { blocks_.append(bytes, out); }

 private:
  static constexpr int kZstdLevel = 1;

  void append(Numbers numbers, NumberShape shape, unsigned nesting, std::string& out);
  void append_smallest(Numbers numbers, NumberSpan range, unsigned nesting, std::string& out);

  void put_constant(std::uint64_t number, std::string& out);
  void put_bits(Numbers numbers, NumberSpan range, std::string& out);
  void put_planes(Numbers numbers, NumberSpan range, std::string& out);
  void put_buckets(Numbers numbers, NumberSpan range, unsigned mantissa, std::string& out);
  void put_sparse(Numbers numbers, std::uint64_t usual, unsigned nesting, std::string& out);
  void put_dictionary(Numbers numbers, unsigned nesting, std::string& out);

  Effort effort_;
  BlockWriter blocks_;
  std::vector<std::uint8_t> symbols_;
  DistinctNumbers distinct_;
};

class NumberReader {
 public:
  // Reads numbers(out.size()), at most kMaxFrameRecords. False if the bytes are not that; `out` then holds
  // anything.
  [[nodiscard]] bool read(ByteReader& in, std::span<std::uint64_t> out) { return read(in, out, 0); }
  [[nodiscard]] bool read_block(ByteReader& in, std::span<std::uint8_t> out) { return blocks_.read(in, out); }

 private:
  bool read(ByteReader& in, std::span<std::uint64_t> out, unsigned nesting);
  bool read_bits(ByteReader& in, std::span<std::uint64_t> out);
  bool read_planes(ByteReader& in, std::span<std::uint64_t> out);
  bool read_buckets(ByteReader& in, std::span<std::uint64_t> out);
  bool read_sparse(ByteReader& in, std::span<std::uint64_t> out, unsigned nesting);
  bool read_dictionary(ByteReader& in, std::span<std::uint64_t> out, unsigned nesting);

  BlockReader blocks_;
  std::vector<std::uint8_t> symbols_;
};

}  // namespace natsession
