// LedgerFeeder: what the one thread that writes the ledger does, step by step: it takes what the producers
// hand over and appends it. What the ledger does not take stays in the lanes, and so holds the collectors
// back: nothing is dropped here.
// Threads: one, the ledger's (a test may be it).
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "base/time.h"
#include "delivery/lane.h"
#include "delivery/ledger_port.h"
#include "delivery/report.h"
#include "delivery/turn.h"

namespace natsession {

// What the thread shares with the status.
struct FeederShare {
  std::atomic<bool> in_trouble{false};
  Counter failures;  // how often writing began to fail
};

class LedgerFeeder {
 public:
  // `inbox` is the producers' receiver. `on_complete` is called once all that they handed over is in the
  // ledger. All references outlive the feeder.
  LedgerFeeder(Receiver& inbox, LedgerInput& input, RunState& run, FeederShare& share, const Clock& clock,
               ReportDesk& desk, std::function<void()> on_complete)
      : inbox_(inbox),
        lanes_(inbox),
        input_(input),
        run_(run),
        share_(share),
        clock_(clock),
        desk_(desk),
        on_complete_(std::move(on_complete)) {}

  // At most one append. The tally of the doorbell is to be taken before.
  Turn step();

 private:
  using Time = std::chrono::nanoseconds;  // steady

  Turn complete();
  void watch();

  Receiver& inbox_;
  LaneReader lanes_;
  LedgerInput& input_;
  RunState& run_;
  FeederShare& share_;
  const Clock& clock_;
  ReportDesk& desk_;
  const std::function<void()> on_complete_;
  std::optional<Time> trouble_since_;
};

}  // namespace natsession
