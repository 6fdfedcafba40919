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

// Of the parts that the directory tells of, as far as they lie within the frame; of directory and header.
inline void mend_checksums(std::string& frame) {
  if (frame.size() < kFrameHeaderBytes) return;
  const auto bytes = std::as_bytes(std::span(frame));
  const std::size_t parts = load_little_endian<std::uint16_t>(bytes.data() + header_at::kParts);
  const std::size_t directory_end = std::min(frame.size(), kFrameHeaderBytes + parts * kDirectoryEntryBytes);
  std::size_t at = directory_end;
  for (std::size_t entry = kFrameHeaderBytes; entry + kDirectoryEntryBytes <= directory_end;
       entry += kDirectoryEntryBytes) {
    const std::size_t length = load_little_endian<std::uint32_t>(bytes.data() + entry);
    if (length > frame.size() - at) break;
    store_little_endian(crc32c(bytes.subspan(at, length)), frame.data() + entry + 4);
    at += length;
  }
  const auto directory = bytes.subspan(kFrameHeaderBytes, directory_end - kFrameHeaderBytes);
  store_little_endian(crc32c(directory), frame.data() + header_at::kDirectoryChecksum);
  store_little_endian(crc32c(bytes.first(header_at::kHeaderChecksum)),
                      frame.data() + header_at::kHeaderChecksum);
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
