// RecordBlock: records that were read from a ledger, with the texts that they point to.
// Threads: a plain value type. The records are good until the block is cleared, refilled or destroyed.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "record/session_record.h"

namespace natsession {

// Each record that a ledger takes in has a number, its ordinal: 0, 1, 2 … in the order in which they were
// written, without a hole, and never changed by sealing. A place in the ledger is an ordinal.
using Ordinal = std::uint64_t;

struct RecordBlock {
  std::vector<SessionRecord> records;  // in the order of their ordinals
  std::vector<Ordinal> ordinals;       // of each record; ascending
  std::deque<Origin> origins;          // what records point to
  std::deque<std::string> texts;

  void clear() {
    records.clear();
    ordinals.clear();
    origins.clear();
    texts.clear();
  }
};

}  // namespace natsession
