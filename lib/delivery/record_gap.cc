#include "delivery/record_gap.h"

#include <algorithm>

namespace natsession {

void RecordGap::add(std::span<const SessionRecord> records) {
  for (const SessionRecord& record : records) {
    origin_ = record.origin;
    first_ = std::min(first_, record.start_time);
    last_ = std::max(last_, record.end_time);
    // A gap record that is missed stands for the events of its own gap.
    const Count weight = record.event == RecordEvent::kGap ? record.events_lost : Count(1);
    lost_ = lost_.known() && weight.known() ? Count(lost_.value() + weight.value()) : Count();
  }
}

SessionRecord RecordGap::record(RecordReason reason) const {
  SessionRecord record;
  record.origin = origin_;
  record.event = RecordEvent::kGap;
  record.reason = reason;
  record.start_time = first_;
  record.end_time = last_;
  record.events_lost = lost_;
  return record;
}

}  // namespace natsession
