// LaneIntake: records straight from the producers' lanes, held in memory alone. What goes out at once is read
// where it lies; what waits to fill a batch is gathered from all lanes, so that they may fill on.
// Threads: one, the worker's.
#pragma once

#include <deque>
#include <vector>

#include "delivery/intake.h"
#include "delivery/record_gap.h"
#include "delivery/sink_share.h"
#include "delivery/turn.h"

namespace natsession {

class LaneIntake final : public Intake {
 public:
  // Both outlive the intake.
  LaneIntake(SinkShare& share, const RunState& run) : share_(share), run_(run), lanes_(share) {}

  Offer offer(const BatchLimits& limits, Time arrived) override;
  void settle(std::size_t count) override;
  [[nodiscard]] std::uint64_t frontier() const override { return share_.handed(); }
  [[nodiscard]] bool complete() const override { return run_.stopping.load(std::memory_order_acquire); }
  [[nodiscard]] bool keeps() const override { return false; }
  // Drops, counts, and remembers for a gap record.
  void pass_by(bool keep_first) override;
  void resume() override;

 private:
  // Records in `held_` that came from one lane, in their order; null: made here.
  struct Piece {
    Lane* lane = nullptr;
    std::size_t count = 0;
  };

  [[nodiscard]] std::size_t held() const { return held_.size() - head_; }
  void hold(std::span<const SessionRecord> records, Lane* lane);
  void gather(std::size_t limit);
  void miss(std::span<const SessionRecord> records, Lane* lane);
  void drop_held(std::size_t keep);

  SinkShare& share_;
  const RunState& run_;
  LaneReader lanes_;
  std::vector<SessionRecord> held_;  // read from the lanes and not settled, from head_ on; goes first
  std::size_t head_ = 0;
  std::deque<Piece> pieces_;
  Time held_since_{};
  RecordGap gap_;  // what passed by
};

}  // namespace natsession
