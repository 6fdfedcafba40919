// RecordOutput: where a collector puts the records that it makes. delivery/ implements it; tests keep a list.
// Threads: one, the collector's. Neither call blocks, holds a lock for long or allocates in the steady state.
#pragma once

#include "record/session_record.h"

namespace natsession {

class RecordOutput {
 public:
  // So many records may be emitted after has_room() said yes, before it is asked again.
  static constexpr std::size_t kRoom = 4096;

  virtual ~RecordOutput() = default;
  // Copies the record.
  virtual void emit(const SessionRecord& record) = 0;
  // The next `count` records, if they come before anything else is called, are handed on at once or not at
  // all.
  // Shape:  at most 64.
  virtual void keep_together(std::size_t count) { static_cast<void>(count); }
  // Whether kRoom more records fit. While it is false the collector leaves its events in the kernel.
  [[nodiscard]] virtual bool has_room() = 0;
};

}  // namespace natsession
