// Intake: where a sink's worker gets its records from: the lanes of the producers (lane_intake.h) or a ledger
// (ledger_intake.h). All else about delivery is the same for both.
// Threads: one, the worker's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "delivery/settings.h"
#include "record/session_record.h"

namespace natsession {

class Intake {
 public:
  using Time = std::chrono::nanoseconds;  // steady

  // What comes next. The first of them stays the first until it is settled; the span is good until the next
  // call of anything here.
  struct Offer {
    std::span<const SessionRecord> records;  // more than a batch, perhaps
    Time since{};                            // when the first of them was there to be read, about
    std::string trouble;                     // why nothing can be read now; `records` is then empty
  };

  virtual ~Intake() = default;

  // `arrived`: when what is new in this call can have come at the earliest.
  virtual Offer offer(const BatchLimits& limits, Time arrived) = 0;
  // The first `count` of what was offered are done with: delivered, or rejected and counted.
  virtual void settle(std::size_t count) = 0;
  // Called after batches: what is settled will not come again after a restart.
  virtual void commit() {}

  // What is due by time. Returns when to call again, at the latest.
  virtual std::optional<Time> tick(Time /*now*/) { return std::nullopt; }

  // How much has ever been readable: it grows when new data comes.
  [[nodiscard]] virtual std::uint64_t frontier() const = 0;
  // Nothing new will be offered: what offer() gives from now on is all there is.
  [[nodiscard]] virtual bool complete() const = 0;
  // What is not delivered now will be after a restart.
  [[nodiscard]] virtual bool keeps() const = 0;

  // The sink is disabled or closed: what there is passes it by. `keep_first`: the first record may be partly
  // out, and is offered again when the sink takes records again.
  virtual void pass_by(bool keep_first) = 0;
  // The sink takes records again.
  virtual void resume() = 0;

  // The last call.
  virtual void finish() {}
};

}  // namespace natsession
