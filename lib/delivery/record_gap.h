// RecordGap: records that somebody missed, gathered into the one gap record that says so.
// Threads: a plain value type.
#pragma once

#include <span>

#include "record/session_record.h"

namespace natsession {

class RecordGap {
 public:
  void add(std::span<const SessionRecord> records);
  [[nodiscard]] bool empty() const { return origin_ == nullptr; }
  // Only if not empty().
  [[nodiscard]] SessionRecord record(RecordReason reason) const;

 private:
  const Origin* origin_ = nullptr;
  UnixMs first_ = UnixMs::max();
  UnixMs last_ = UnixMs::min();
  Count lost_{0};
};

}  // namespace natsession
