// LedgerSettings: where a ledger is and how it is kept.
// Threads: a plain value type.
#pragma once

#include <chrono>
#include <string>

#include "base/byte_count.h"

namespace natsession {

enum class SyncMode {
  kInterval,  // a frame, and fdatasync, each sync_interval
  kAlways,    // a frame, and fdatasync, for all that is appended in one call
  kNever,     // a frame each sync_interval; when it reaches the disk is the kernel's affair
};

struct LedgerSettings {
  std::string directory;
  SyncMode sync = SyncMode::kInterval;
  std::chrono::milliseconds sync_interval{1000};
  std::chrono::milliseconds retention = std::chrono::hours(24 * 30);
  ByteCount limit{std::uint64_t{20} << 30};
  // A segment is closed when it is so old or so large; it is what retention deletes.
  std::chrono::milliseconds segment_span = std::chrono::hours(1);
  ByteCount segment_limit{std::uint64_t{256} << 20};
  // Records that last longer stand in frames of their own.
  std::chrono::milliseconds window = std::chrono::minutes(10);
};

}  // namespace natsession
