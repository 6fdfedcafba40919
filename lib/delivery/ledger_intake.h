// LedgerIntake: records out of a ledger, from where the sink's cursor stands. The cursor is in its file after
// each batch, and on the disk once a second: after a kill at most one batch comes twice, after a fall of the
// machine what was delivered in the last second.
// Threads: one, the worker's.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "delivery/intake.h"
#include "delivery/ledger_port.h"
#include "delivery/report.h"
#include "delivery/sink_share.h"
#include "delivery/turn.h"

namespace natsession {

// What the intakes of all sinks share.
struct LedgerScene {
  const RunState& run;
  const LedgerInput& input;
  const Origin& origin;  // of gap records that are made here
  ReportDesk& desk;
  const Clock& clock;
  std::chrono::nanoseconds cursor_flush;
};

class LedgerIntake final : public Intake {
 public:
  // Finds the sink's place: where its cursor stands; for a sink that is new the end, or, with `from_start`,
  // the oldest record. A cursor that stands behind the end is one of records that the machine's fall took: it
  // is set back, or what comes next would be passed over. All references outlive the intake.
  // Errors: kIo if the place of a new sink cannot be stored.
  [[nodiscard]] static Result<std::unique_ptr<Intake>> open(SinkShare& share, const LedgerScene& scene,
                                                            std::unique_ptr<LedgerOutput> output,
                                                            std::unique_ptr<CursorPort> cursor);

  Offer offer(const BatchLimits& limits, Time arrived) override;
  void settle(std::size_t count) override;
  void commit() override;
  std::optional<Time> tick(Time now) override;
  [[nodiscard]] std::uint64_t frontier() const override;
  [[nodiscard]] bool complete() const override;
  [[nodiscard]] bool keeps() const override { return true; }
  // Nothing passes: it waits.
  void pass_by(bool /*keep_first*/) override {}
  void resume() override {}
  void finish() override;

 private:
  // What records in hand point to.
  struct Texts {
    std::deque<Origin> origins;
    std::deque<std::string> texts;
    std::uint64_t last = 0;  // the number of the last record that may, see settled_
  };

  LedgerIntake(SinkShare& share, const LedgerScene& scene, std::unique_ptr<LedgerOutput> output,
               std::unique_ptr<CursorPort> cursor)
      : share_(share), scene_(scene), output_(std::move(output)), cursor_(std::move(cursor)) {}

  [[nodiscard]] std::size_t held() const { return records_.size() - head_; }
  Result<bool> read_more();
  void hold(RecordBlock block);
  void hold_gap(const Skipped& skipped);
  void store(bool flush);

  SinkShare& share_;
  const LedgerScene scene_;
  const std::unique_ptr<LedgerOutput> output_;
  const std::unique_ptr<CursorPort> cursor_;

  // What was read and is not settled, from head_ on. At most a frame's worth more than one batch.
  std::vector<SessionRecord> records_;
  std::vector<Ordinal> next_;  // where the cursor stands when the record is settled
  std::size_t head_ = 0;
  std::deque<Texts> texts_;
  std::uint64_t settled_ = 0;  // records, since the start
  Time held_since_{};

  CursorState reached_;     // behind what is settled
  CursorState place_;       // the same as of the last commit(): only that is stored
  bool dirty_ = false;      // not in the cursor's file
  bool unflushed_ = false;  // not on the disk
  Time flushed_at_{};
  bool in_trouble_ = false;  // storing fails
};

}  // namespace natsession
