// Turn: what a step of work says to the thread that does it: how it may go on. RunState: what tells the work
// to end.
// Threads: stated for each.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "delivery/doorbell.h"

namespace natsession {

// A plain value.
struct Turn {
  enum class Kind { kStep, kSleep, kDone };
  Kind kind = Kind::kStep;
  Doorbell::Sleep depth = Doorbell::Sleep::kLight;     // kSleep only
  std::optional<std::chrono::nanoseconds> limit = {};  // likewise
};

// How a run ends. Written by the thread that stops it, and `ledger_complete` by the ledger's writer.
struct RunState {
  std::atomic<bool> stopping{false};         // nothing comes any more: deliver what is queued, then finish
  std::atomic<bool> abandoned{false};        // time is up: begin nothing more
  std::atomic<bool> ledger_complete{false};  // all that the collectors emitted can be read from the ledger
};

}  // namespace natsession
