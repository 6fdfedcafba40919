// FrameParts: a frame's header and directory, and its parts: read and checked when they are first asked for.
// Threads: one for each object. To be used again for frame after frame: it keeps its memory.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/scratch.h"
#include "ledger/frame.h"
#include "ledger/frame_layout.h"

namespace natsession {

class FrameParts {
 public:
  // Reads from the frame's offset `at`; false where it could not.
  using Read = std::function<bool(std::uint64_t at, std::span<std::byte> out)>;

  // Shape:  `frame` is exactly one frame; it must outlive the next open() or this object.
  // Errors: kMalformed; kUnavailable for a newer version or required feature. There are no parts then.
  Result<void> open(std::span<const std::byte> frame);
  // The same of a frame of so many bytes, of which no more is read than is asked for.
  Result<void> open(std::uint32_t bytes, Read read);

  void close() { info_ = FrameInfo(); }

  // Of no records where no frame is open.
  [[nodiscard]] const FrameInfo& info() const { return info_; }
  // Checksum of the segment's dictionary that the frame needs; 0: it needs none.
  [[nodiscard]] std::uint32_t peers() const { return peers_; }

  // False where the part cannot be read, or its checksum is wrong.
  // Shape: `place` below parts_of(info().records).
  [[nodiscard]] bool get(std::size_t place, std::span<const std::byte>& bytes);
  [[nodiscard]] std::uint32_t length(std::size_t place) const { return parts_[place].length; }

  // Checks all checksums.
  Result<void> verify();

 private:
  struct Part {
    std::uint32_t offset = 0;
    std::uint32_t length = 0;
    std::uint32_t checksum = 0;
    bool checked = false;
  };
  Result<void> begin(std::span<const std::byte> front);
  Result<void> convert();

  // The frame's bytes, or those of its parts that were read, at their places.
  std::span<const std::byte> frame_;
  Scratch<std::byte> buffer_;
  std::string converted_;  // what became of a frame of version 1
  Read read_;
  FrameInfo info_;
  std::uint32_t peers_ = 0;
  std::array<Part, parts_of(kMaxSealedRecords)> parts_;
};

}  // namespace natsession
