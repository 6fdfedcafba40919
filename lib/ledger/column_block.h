// A block: some bytes, as small as zstd's entropy stage makes them, within a column.
// Shape:  block := kind u8, then
//           0 raw     the bytes
//           1 repeat  one byte, which stands for all
//           2 zstd    length varint, a zstd frame of that many bytes
//         How many bytes a block stands for is known before it is read, and is never zero.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "ledger/bytes.h"

// zstd's own, so that its header stays in column_block.cc.
struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace natsession {

class BlockWriter {
 public:
  explicit BlockWriter(int zstd_level);

  void append(std::span<const std::uint8_t> bytes, std::string& out);

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  std::unique_ptr<ZSTD_CCtx_s, Free> zstd_;
  std::string packed_;
};

class BlockReader {
 public:
  BlockReader();

  // False if the block does not stand for exactly out.size() bytes; `out` then holds anything.
  [[nodiscard]] bool read(ByteReader& in, std::span<std::uint8_t> out);

 private:
  struct Free {
    void operator()(ZSTD_DCtx_s* context) const;
  };
  std::unique_ptr<ZSTD_DCtx_s, Free> zstd_;
};

}  // namespace natsession
