// How much of what is offered makes one batch.
// Threads: any; pure functions.
#pragma once

#include <cstddef>
#include <span>

#include "delivery/settings.h"
#include "record/session_record.h"

namespace natsession {

// About what the record takes as a JSON line. For limits only: encoders that write less send smaller batches.
[[nodiscard]] std::size_t estimated_bytes(const SessionRecord& record);

struct Batch {
  std::size_t count = 0;  // so many, from the front
  bool full = false;      // more would not fit, or may not come: no use to wait
};
[[nodiscard]] Batch cut_batch(std::span<const SessionRecord> records, const BatchLimits& limits);

}  // namespace natsession
