// RecordBlock: records that were read from a ledger. They are kept by value: what they point to are labels.
// Threads: a plain value type.
#pragma once

#include <cstdint>
#include <vector>

#include "record/session_record.h"

namespace natsession {

// Each record that a ledger takes in has a number, its ordinal: 0, 1, 2 … in the order in which they were
// written, without a hole, and never changed by sealing. A place in the ledger is an ordinal.
using Ordinal = std::uint64_t;

struct RecordBlock {
  std::vector<SessionRecord> records;  // in the order of their ordinals
  std::vector<Ordinal> ordinals;       // of each record; ascending

  void clear() {
    records.clear();
    ordinals.clear();
  }
};

}  // namespace natsession
