// Compresses whole files with gzip or zstd, and texts with gzip, zstd or LZ4. The one place of the sinks that
// knows zlib, libzstd and liblz4.
// Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace natsession {

enum class Compression { kNone, kGzip, kZstd };

// What a compressed file's name ends in: ".gz", ".zst", or nothing.
[[nodiscard]] std::string_view suffix_of(Compression compression);

// Replaces `path` by `path` and the suffix. The new file is complete and on the disk before it gets its name,
// and only then is the old one removed: a crash leaves the old file, the new one, or both, and perhaps a
// `.tmp`.
// Shape: mode and modification time are the old file's.
// Errors: kIo or kPermission, naming the file; the old one is still there, the `.tmp` is not.
[[nodiscard]] Result<void> compress_file(const std::string& path, Compression compression);

// Sets `out` to `text` as a gzip member, quickly rather than small. The same text gives the same bytes.
// Errors: kIo for want of memory.
[[nodiscard]] Result<void> gzip_text(std::string_view text, std::string& out);

// Likewise: as a zstd frame that says how long `text` is, and as one block of LZ4 without frame or length.
// Errors: kIo for want of memory; kUsage for a text of 2 GB.
[[nodiscard]] Result<void> zstd_text(std::string_view text, std::string& out);
[[nodiscard]] Result<void> lz4_text(std::string_view text, std::string& out);

// CRC-32 as in gzip and IEEE 802.3.
[[nodiscard]] std::uint32_t crc32_of(std::string_view text);

}  // namespace natsession
