// Numbers of a column, in whichever of six codings is smallest for them.
// Shape:  numbers(n) := coding u8, then
//           0 constant    value varint: all n are this
//           1 bits        width u8, base varint, n numbers of `width` bits (bit_packing.h): base + each
//           2 planes      width u8, base varint, `width` blocks of n bytes: the lowest bytes of all, then the
//           next … 3 buckets     mantissa u8, base varint, block of n symbols, bits: see number_buckets.h 4
//           sparse      default varint, count varint, numbers(count) gaps, numbers(count) values: behind each
//           gap of
//                         defaults stands one value; defaults fill up the rest
//           5 dictionary  count varint, numbers(count) values, numbers(n) indexes into them
//         numbers(0) is nothing at all. Sums are modulo 2^64. Sparse and dictionary nest at most kMaxNesting
//         deep.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "ledger/frame.h"
#include "ledger/frame_bytes.h"

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
  explicit NumberWriter(Effort effort);
  NumberWriter(NumberWriter&&) noexcept;
  NumberWriter& operator=(NumberWriter&&) noexcept;
  ~NumberWriter();

  // At most kMaxFrameRecords numbers.
  void append(std::span<const std::uint64_t> numbers, NumberShape shape, std::string& out);
  void append_block(std::span<const std::uint8_t> bytes, std::string& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class NumberReader {
 public:
  NumberReader();
  NumberReader(NumberReader&&) noexcept;
  NumberReader& operator=(NumberReader&&) noexcept;
  ~NumberReader();

  // Reads numbers(out.size()), at most kMaxFrameRecords. False if the bytes are not that; `out` then holds
  // anything.
  [[nodiscard]] bool read(ByteReader& in, std::span<std::uint64_t> out);
  [[nodiscard]] bool read_block(ByteReader& in, std::span<std::uint8_t> out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace natsession
