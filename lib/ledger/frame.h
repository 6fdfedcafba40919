// A frame: up to 16,384 records as compressed columns with a checksum. The unit that is written, read,
// damaged and counted. FORMAT.md gives the bytes.
// Threads: any; one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "ledger/record_block.h"

namespace natsession {

inline constexpr std::size_t kMaxFrameRecords = 16'384;
// No frame is larger. A length beyond it is damage.
inline constexpr std::size_t kMaxFrameBytes = std::size_t{8} << 20;

// What a frame says about itself before its columns are touched. The header has a checksum of its own.
struct FrameInfo {
  Ordinal first = 0;  // the lowest and
  Ordinal last =
      0;  // the highest ordinal in it; where sessions longer than a window stand apart, others lie between
  std::uint32_t records = 0;
  std::uint32_t bytes = 0;  // of the whole frame, header included
  UnixMs min_start, max_start;
  UnixMs min_end, max_end;
  bool long_sessions = false;  // all its records last longer than a window: its bounds are wide

  // False for a frame that a newer program wrote in a way this one cannot decode; `why` names the version or
  // the feature. All the rest of this header is good even then: a reader goes on `bytes` further.
  bool readable = true;
  std::string why;
};

enum class Effort {
  kFast,   // what arrives is written at once
  kSmall,  // sealing: for years on disk
};

class FrameEncoder {
 public:
  explicit FrameEncoder(Effort effort);
  FrameEncoder(FrameEncoder&&) noexcept;
  FrameEncoder& operator=(FrameEncoder&&) noexcept;
  ~FrameEncoder();

  // Appends one frame to `out` and returns what its header says.
  // Shape: 1 to kMaxFrameRecords records; `ordinals` is as long, and ascending. Records point to origins and
  //         texts of
  //        any bytes; a text beyond 64 KiB is cut.
  FrameInfo encode(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
                   bool long_sessions, std::string& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

inline constexpr std::size_t kFrameHeaderBytes = 96;

// Reads a header alone, to walk over a segment. A newer version or required feature is no error here: see
// FrameInfo::readable.
// Shape:  `bytes` begins with the frame; the first kFrameHeaderBytes are looked at, and no more. The frame
//         may be
//         longer than `bytes`.
// Errors: kMalformed if it is too short, has another magic, a bad checksum or impossible lengths.
[[nodiscard]] Result<FrameInfo> read_frame_header(std::span<const std::byte> bytes);

class FrameDecoder {
 public:
  FrameDecoder();
  FrameDecoder(FrameDecoder&&) noexcept;
  FrameDecoder& operator=(FrameDecoder&&) noexcept;
  ~FrameDecoder();

  // Adds all records of a frame to `out`. session_id is derived.
  // Shape:  `frame` is exactly one frame.
  // Errors: kMalformed, saying what; kUnavailable for a newer version or required feature. `out` is then
  //         unchanged.
  //         Never a wrong record: checksums go first.
  Result<void> decode(std::span<const std::byte> frame, RecordBlock& out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace natsession
