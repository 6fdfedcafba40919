#include "ledger/column_block.h"

#include <algorithm>

#include <zstd.h>

namespace natsession {
namespace {

enum class BlockKind : std::uint8_t { kRaw, kRepeat, kZstd };

constexpr std::size_t kWorthCompressing = 24;  // a zstd frame alone takes ten bytes or more

}  // namespace

void BlockWriter::Free::operator()(ZSTD_CCtx_s* context) const {
  ZSTD_freeCCtx(context);
}
void BlockReader::Free::operator()(ZSTD_DCtx_s* context) const {
  ZSTD_freeDCtx(context);
}

BlockWriter::BlockWriter(int zstd_level) : zstd_(ZSTD_createCCtx()) {
  ZSTD_CCtx_setParameter(zstd_.get(), ZSTD_c_compressionLevel, zstd_level);
}

void BlockWriter::append(std::span<const std::uint8_t> bytes, std::string& out) {
  const auto put_kind = [&out](BlockKind kind) { out.push_back(static_cast<char>(kind)); };
  if (std::all_of(bytes.begin(), bytes.end(), [&](std::uint8_t byte) { return byte == bytes[0]; })) {
    put_kind(BlockKind::kRepeat);
    out.push_back(static_cast<char>(bytes[0]));
    return;
  }
  if (bytes.size() >= kWorthCompressing) {
    // What does not become smaller than the bytes themselves does not fit, and is an error like any other.
    packed_.resize(bytes.size());
    const std::size_t length =
        ZSTD_compress2(zstd_.get(), packed_.data(), packed_.size(), bytes.data(), bytes.size());
    if (ZSTD_isError(length) == 0 && length + 3 < bytes.size()) {
      put_kind(BlockKind::kZstd);
      append_varint(length, out);
      out.append(packed_, 0, length);
      return;
    }
  }
  put_kind(BlockKind::kRaw);
  const std::size_t at = out.size();
  out.resize(at + bytes.size());
  std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
}

BlockReader::BlockReader() : zstd_(ZSTD_createDCtx()) {}

bool BlockReader::read(ByteReader& in, std::span<std::uint8_t> out) {
  switch (static_cast<BlockKind>(in.u8())) {
    case BlockKind::kRaw: {
      const auto bytes = in.take(out.size());
      if (!in.ok()) return false;
      std::memcpy(out.data(), bytes.data(), bytes.size());
      return true;
    }
    case BlockKind::kRepeat:
      std::fill(out.begin(), out.end(), in.u8());
      return in.ok();
    case BlockKind::kZstd: {
      const auto packed = in.take(in.varint());
      if (!in.ok()) return false;
      // One pass into a buffer of known size: zstd allocates no window, whatever the frame claims.
      return ZSTD_decompressDCtx(zstd_.get(), out.data(), out.size(), packed.data(), packed.size()) ==
             out.size();
    }
  }
  return false;
}

}  // namespace natsession
