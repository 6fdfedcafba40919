#include "delivery/lane.h"

namespace natsession {

std::span<const SessionRecord> LaneReader::front() {
  for (std::size_t tried = 0; shown_ == 0 && tried < receiver_.lanes.size(); ++tried) {
    lane_ = receiver_.lanes[turn_].get();
    turn_ = (turn_ + 1) % receiver_.lanes.size();
    if (ready(*lane_)) break;
    lane_ = nullptr;
  }
  if (lane_ == nullptr) return {};
  const RecordBatch& batch = **lane_->queue.front();
  const std::span<const SessionRecord> records = batch.records(lane_->read, batch.view().count);
  shown_ = records.size();
  return records;
}

void LaneReader::advance(std::size_t count) {
  if (count == 0) return;
  lane_->read += count;
  shown_ -= count;
}

// Whether the lane has records to read. Gives batches back that are read to their end.
bool LaneReader::ready(Lane& lane) {
  while (RecordBatch** const front = lane.queue.front()) {
    RecordBatch* const batch = *front;
    const RecordBatch::View view = batch->view();
    if (lane.read < view.count) return true;
    if (!view.sealed) return false;
    lane.read = 0;
    lane.queue.pop();
    lane.pool.release(batch);
  }
  return false;
}

}  // namespace natsession
