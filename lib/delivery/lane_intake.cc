#include "delivery/lane_intake.h"

#include <algorithm>

namespace natsession {

LaneIntake::Offer LaneIntake::offer(const BatchLimits& limits, Time arrived) {
  if (limits.linger > Time::zero()) {
    if (held() == 0) held_since_ = arrived;
    gather(limits.records);
  }
  if (held() > 0) return {std::span(held_).subspan(head_), held_since_, {}};
  return {lanes_.front(), arrived, {}};
}

void LaneIntake::hold(std::span<const SessionRecord> records, Lane* lane) {
  held_.insert(held_.end(), records.begin(), records.end());
  pieces_.push_back({lane, records.size()});
}

void LaneIntake::gather(std::size_t limit) {
  if (head_ > 0) {
    held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  while (held() < limit) {
    const std::span<const SessionRecord> next = lanes_.front();
    if (next.empty()) return;
    const std::size_t count = std::min(next.size(), limit - held());
    hold(next.first(count), &lanes_.lane());
    lanes_.advance(count);
  }
}

void LaneIntake::settle(std::size_t count) {
  if (held() == 0) {
    if (count == 0) return;
    lanes_.advance(count);
    lanes_.lane().taken.add(count);
    return;
  }
  head_ += count;
  while (count > 0) {
    Piece& piece = pieces_.front();
    const std::size_t part = std::min(count, piece.count);
    if (piece.lane != nullptr) piece.lane->taken.add(part);
    piece.count -= part;
    count -= part;
    if (piece.count == 0) pieces_.pop_front();
  }
  if (held() == 0) {
    held_.clear();
    head_ = 0;
  }
}

void LaneIntake::miss(std::span<const SessionRecord> records, Lane* lane) {
  gap_.add(records);
  if (lane == nullptr) return;  // a gap record made here: what it stands for is counted already
  share_.missed.add(records.size());
  lane->taken.add(records.size());
}

void LaneIntake::drop_held(std::size_t keep) {
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(head_));
  head_ = 0;
  keep = std::min(keep, held_.size());
  std::size_t begin = 0;
  for (Piece& piece : pieces_) {
    const std::size_t end = begin + piece.count;
    const std::size_t from = std::clamp(keep, begin, end);
    if (from < end) miss(std::span(held_).subspan(from, end - from), piece.lane);
    piece.count = from - begin;
    begin = end;
  }
  while (!pieces_.empty() && pieces_.back().count == 0) pieces_.pop_back();
  held_.resize(keep);
}

void LaneIntake::pass_by(bool keep_first) {
  std::span<const SessionRecord> next;
  if (keep_first && held() == 0 && !(next = lanes_.front()).empty()) {
    hold(next.first(1), &lanes_.lane());
    lanes_.advance(1);
  }
  drop_held(keep_first ? 1 : 0);
  while (!(next = lanes_.front()).empty()) {
    miss(next, &lanes_.lane());
    lanes_.advance(next.size());
  }
}

void LaneIntake::resume() {
  if (gap_.empty()) return;
  const SessionRecord gap = gap_.record(RecordReason::kSinkStalled);
  hold({&gap, 1}, nullptr);
  gap_ = {};
}

}  // namespace natsession
