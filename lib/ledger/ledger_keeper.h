// LedgerKeeper: what a ledger needs beside its writer: sealing (small frames of a closed segment merged into
// full ones) and retention; by age it deletes nothing because a clock goes ahead at once (age_clock.h). It
// works step by step; a thread of low priority calls it.
// Threads: one, which need not be the writer's. status() from any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "ledger/ledger_settings.h"

namespace natsession {

struct LedgerStatus {
  std::uint64_t bytes = 0;  // of all segments on disk
  std::uint64_t segments = 0;
  std::uint64_t sealed_segments = 0;
  std::uint64_t records = 0;
  UnixMs oldest;                             // the oldest record's end; the epoch when there is none
  std::uint64_t deleted_segments = 0;        // by retention, since the start
  std::uint64_t deleted_unread_records = 0;  // that a sink had not read yet: the byte limit took them
  std::uint64_t damaged_frames = 0;          // met while sealing; they stay as they are
  std::string failure;                       // of the last step; empty when it went well
};

class LedgerKeeper {
 public:
  LedgerKeeper(LedgerSettings settings, const Clock& clock);
  ~LedgerKeeper();

  // The sinks whose cursors hold segments back. A cursor of another name is an old sink's: it holds nothing.
  void set_sinks(std::vector<std::string> names);
  void set_retention(std::chrono::milliseconds retention, ByteCount limit);

  // One small piece of work: at most one segment deleted or some frames sealed. Returns when to come again:
  // at once (zero) while there is more.
  std::chrono::nanoseconds step();

  [[nodiscard]] LedgerStatus status() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace natsession
