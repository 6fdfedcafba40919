// verify_ledger: reads a whole ledger and says what is not as it should be. It may be written meanwhile;
// nothing is changed.
// Threads: any.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/cursor.h"

namespace natsession {

struct VerifyReport {
  // A list holds no more; the counters count on.
  static constexpr std::size_t kMaxListed = 1000;

  std::uint64_t segments = 0;
  std::uint64_t sealed_segments = 0;
  std::uint64_t frames = 0;  // that are whole
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  Ordinal begin = 0;  // of all records,
  Ordinal end = 0;    // one behind the last

  struct Damage {
    std::string file;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    bool has_ordinals = false;  // its header can be read, and says:
    Ordinal first = 0;
    Ordinal last = 0;
    std::string why;
  };
  std::vector<Damage> damaged;
  std::uint64_t damaged_frames = 0;  // or runs of bytes that are no frame

  struct Missing {
    Ordinal first = 0;
    Ordinal last = 0;
  };
  std::vector<Missing> missing;  // between begin and end, in no frame that can be read
  std::uint64_t missing_records = 0;

  std::vector<std::string>
      unreadable;  // files, with why: no segments, newer versions, an index that is wrong
  std::vector<NamedCursor> lost_cursors;  // that stand behind the end
  std::uint64_t unfinished_bytes = 0;     // at the end of the last segment: torn, or just being written

  // Unfinished bytes are no fault: the next writer cuts them.
  [[nodiscard]] bool sound() const {
    return damaged_frames == 0 && missing_records == 0 && unreadable.empty() && lost_cursors.empty();
  }
};

// `progress` hears, before each segment, of its file and of how many bytes of how many are done.
using VerifyProgress = std::function<void(const std::string& file, std::uint64_t done, std::uint64_t total)>;

// Errors: kUnavailable if there is no ledger at `directory`; kPermission, kIo.
[[nodiscard]] Result<VerifyReport> verify_ledger(const std::string& directory,
                                                 const VerifyProgress& progress = {});

}  // namespace natsession
