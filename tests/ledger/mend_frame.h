// Makes the checksums of a frame right again, so that damage gets past them to what is behind.
#pragma once

#include <algorithm>
#include <span>
#include <string>

#include "ledger/crc32c.h"
#include "ledger/frame_bytes.h"
#include "ledger/frame_layout.h"

namespace natsession::testing {

// Of the columns that the directory tells of, as far as they lie within the frame; of directory and header.
inline void mend_checksums(std::string& frame) {
  if (frame.size() < kFrameHeaderBytes) return;
  const auto bytes = std::as_bytes(std::span(frame));
  const std::size_t columns = load_little_endian<std::uint16_t>(bytes.data() + header_at::kColumns);
  const std::size_t directory_end =
      std::min(frame.size(), kFrameHeaderBytes + columns * kDirectoryEntryBytes);
  std::size_t at = directory_end;
  for (std::size_t entry = kFrameHeaderBytes; entry + kDirectoryEntryBytes <= directory_end;
       entry += kDirectoryEntryBytes) {
    const std::size_t length = load_little_endian<std::uint32_t>(bytes.data() + entry + 4);
    if (length > frame.size() - at) break;
    store_little_endian(crc32c(bytes.subspan(at, length)), frame.data() + entry + 8);
    at += length;
  }
  const auto directory = bytes.subspan(kFrameHeaderBytes, directory_end - kFrameHeaderBytes);
  store_little_endian(crc32c(directory), frame.data() + header_at::kDirectoryChecksum);
  store_little_endian(crc32c(bytes.first(header_at::kHeaderChecksum)),
                      frame.data() + header_at::kHeaderChecksum);
}

}  // namespace natsession::testing
