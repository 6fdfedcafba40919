// A frame: up to 65,536 records as compressed columns with a checksum. The unit that is written, read,
// damaged and counted. FORMAT.md gives the bytes.
// Threads: any; one object, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "record/session_record.h"

namespace natsession {

// Each record that a ledger takes in has a number, its ordinal: 0, 1, 2 … in the order in which they were
// written, without a hole, and never changed by sealing. A place in the ledger is an ordinal.
using Ordinal = std::uint64_t;

// RecordBlock: records that were read from a ledger. They are kept by value: what they point to are labels.
struct RecordBlock {
  std::vector<SessionRecord> records;  // in the order of their ordinals
  std::vector<Ordinal> ordinals;       // of each record; ascending

  void clear() {
    records.clear();
    ordinals.clear();
  }
};

// At most so many are written as one; sealing makes frames of up to kMaxSealedRecords of them.
inline constexpr std::size_t kMaxFrameRecords = 16'384;
inline constexpr std::size_t kMaxSealedRecords = 65'536;
// No frame is larger. A length beyond it is damage.
inline constexpr std::size_t kMaxFrameBytes = std::size_t{16} << 20;

// What a frame says about itself before its columns are touched. The header has a checksum of its own.
struct FrameInfo {
  Ordinal first = 0;  // the lowest and
  Ordinal last = 0;   // the highest ordinal in it: where long sessions stand apart, others lie between
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

inline constexpr std::size_t kFrameHeaderBytes = 96;

// Reads a header alone, to walk over a segment. A newer version or required feature is no error here: see
// FrameInfo::readable.
// Shape:  `bytes` begins with the frame; the first kFrameHeaderBytes are looked at, and no more. The frame
//         may be
//         longer than `bytes`.
// Errors: kMalformed if it is too short, has another magic, a bad checksum or impossible lengths.
[[nodiscard]] Result<FrameInfo> read_frame_header(std::span<const std::byte> bytes);

}  // namespace natsession
