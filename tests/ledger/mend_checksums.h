// Makes the checksums of a frame or a segment that a test has changed right again, so that the change gets
// past them to what is behind. Offsets as in lib/ledger/FORMAT.md.
#pragma once

#include <algorithm>
#include <span>
#include <string>

#include "ledger/bytes.h"
#include "ledger/crc32c.h"
#include "ledger/frame.h"
#include "ledger/frame_layout.h"
#include "ledger/segment_file.h"

namespace natsession::testing {

// Of the parts that the directory tells of, as far as they lie within the frame; of directory and header. In
// frames of version 1 the parts are columns, whose entries begin with the column's number and coding.
inline void mend_checksums(std::span<std::byte> frame) {
  if (frame.size() < kFrameHeaderBytes) return;
  const bool first = load_little_endian<std::uint16_t>(frame.data() + header_at::kVersion) == 1;
  const std::size_t entry_bytes = first ? kDirectoryEntryBytesOf1 : kDirectoryEntryBytes;
  const std::size_t length_at = first ? 4 : 0;
  const std::size_t parts = load_little_endian<std::uint16_t>(frame.data() + header_at::kParts);
  const std::size_t directory_end = std::min(frame.size(), kFrameHeaderBytes + parts * entry_bytes);
  std::size_t at = directory_end;
  for (std::size_t entry = kFrameHeaderBytes; entry + entry_bytes <= directory_end; entry += entry_bytes) {
    const std::size_t length = load_little_endian<std::uint32_t>(frame.data() + entry + length_at);
    if (length > frame.size() - at) break;
    put_le(frame, entry + length_at + 4, crc32c(frame.subspan(at, length)));
    at += length;
  }
  put_le(frame, header_at::kDirectoryChecksum,
         crc32c(frame.subspan(kFrameHeaderBytes, directory_end - kFrameHeaderBytes)));
  put_le(frame, header_at::kHeaderChecksum, crc32c(frame.first(header_at::kHeaderChecksum)));
}
inline void mend_checksums(std::string& frame) {
  mend_checksums(std::as_writable_bytes(std::span(frame)));
}

// The CRC32C of [begin, at) goes to `at`.
inline void correct_checksum(std::string& file, std::size_t begin, std::size_t at) {
  if (file.size() < at + 4) return;
  const auto bytes = std::as_writable_bytes(std::span(file));
  put_le(bytes, at, crc32c(bytes.subspan(begin, at - begin)));
}

inline void correct_header(std::string& file) {
  correct_checksum(file, 0, kSegmentHeaderBytes - 4);
}

inline void correct_frame_header(std::string& file, std::size_t at) {
  correct_checksum(file, at, at + kFrameHeaderBytes - 4);
}

inline void correct_trailer(std::string& file) {
  if (file.size() < kTrailerBytes) return;
  correct_checksum(file, file.size() - kTrailerBytes, file.size() - 4);
}

}  // namespace natsession::testing
