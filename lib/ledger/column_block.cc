#include "ledger/column_block.h"

#include <algorithm>

#include <zstd.h>

namespace natsession {
namespace {

enum class BlockKind : std::uint8_t { kRaw, kRepeat, kZstd };

constexpr std::size_t kWorthCompressing = 24;  // a zstd frame alone takes ten bytes or more

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

struct BlockWriter::State {
  std::unique_ptr<ZSTD_CCtx, FreeCompressor> zstd{ZSTD_createCCtx()};
  std::string packed;
};

BlockWriter::BlockWriter(int zstd_level) : state_(std::make_unique<State>()) {
  ZSTD_CCtx_setParameter(state_->zstd.get(), ZSTD_c_compressionLevel, zstd_level);
}
BlockWriter::BlockWriter(BlockWriter&&) noexcept = default;
BlockWriter& BlockWriter::operator=(BlockWriter&&) noexcept = default;
BlockWriter::~BlockWriter() = default;

void BlockWriter::append(std::span<const std::uint8_t> bytes, std::string& out) {
  const auto put_kind = [&out](BlockKind kind) { out.push_back(static_cast<char>(kind)); };
  if (std::all_of(bytes.begin(), bytes.end(), [&](std::uint8_t byte) { return byte == bytes[0]; })) {
    put_kind(BlockKind::kRepeat);
    out.push_back(static_cast<char>(bytes[0]));
    return;
  }
  if (bytes.size() >= kWorthCompressing) {
    // What does not become smaller than the bytes themselves does not fit, and is an error like any other.
    std::string& packed = state_->packed;
    packed.resize(bytes.size());
    const std::size_t length =
        ZSTD_compress2(state_->zstd.get(), packed.data(), packed.size(), bytes.data(), bytes.size());
    if (ZSTD_isError(length) == 0 && length + 3 < bytes.size()) {
      put_kind(BlockKind::kZstd);
      append_varint(length, out);
      out.append(packed, 0, length);
      return;
    }
  }
  put_kind(BlockKind::kRaw);
  const std::size_t at = out.size();
  out.resize(at + bytes.size());
  std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
}

struct BlockReader::State {
  std::unique_ptr<ZSTD_DCtx, FreeDecompressor> zstd{ZSTD_createDCtx()};
};

BlockReader::BlockReader() : state_(std::make_unique<State>()) {}
BlockReader::BlockReader(BlockReader&&) noexcept = default;
BlockReader& BlockReader::operator=(BlockReader&&) noexcept = default;
BlockReader::~BlockReader() = default;

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
      return ZSTD_decompressDCtx(state_->zstd.get(), out.data(), out.size(), packed.data(), packed.size()) ==
             out.size();
    }
  }
  return false;
}

}  // namespace natsession
