// Puts checksums right in the bytes of a segment that a test has changed, so that the change is looked at and
// not the checksum. Offsets as in lib/ledger/FORMAT.md.
#pragma once

#include <span>
#include <string>

#include "ledger/crc32c.h"
#include "ledger/frame.h"
#include "ledger/segment_bytes.h"
#include "ledger/segment_format.h"

namespace natsession::testing {

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
