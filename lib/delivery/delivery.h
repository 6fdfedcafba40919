// Delivery: between the collectors and the sinks, in memory. Batches, queues, one worker thread for each
// sink, retries with backoff, pressure on the collectors, and the rule for a sink that hangs (producer.h).
//
// Threads: composed, started and stopped by one thread. request_reopen() and status() may be called from any
// thread; each Producer belongs to its collector's.
//
//   Delivery delivery(std::move(sinks), settings, clock, callbacks);
//   Producer& output = delivery.add_producer();      // for each collector
//   delivery.start();
//   ... collectors run, and end ...
//   const Drained drained = delivery.drain_and_stop(limit);
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "delivery/producer.h"
#include "delivery/report.h"
#include "delivery/settings.h"
#include "sink/sink.h"

namespace natsession {

struct SinkStatus {
  std::string name;
  std::uint64_t delivered = 0;  // records taken
  std::uint64_t waiting = 0;    // records queued
  std::uint64_t dropped = 0;    // records that this sink missed; a gap record says so in it
  std::uint64_t rejected = 0;   // records that it refused for good
  std::uint64_t retried = 0;    // tries beyond the first
  bool in_trouble = false;
  bool left_behind = false;
  bool closed = false;
  std::string last_failure;  // empty if there was none
};

// How drain_and_stop() went.
struct Drained {
  struct Undelivered {
    std::string sink;
    std::uint64_t records = 0;  // that it had not taken
    bool hung = false;          // its thread did not come back and was left to itself
  };
  std::vector<Undelivered> undelivered;  // the sinks that did not finish; empty if all did
  explicit operator bool() const { return undelivered.empty(); }
};

class DeliveryCore;

class Delivery {
 public:
  // `clock`, and what records point to (their Origin and texts), outlive every worker, so also one that
  // hangs: a program whose drain left a thread to itself ends by _exit().
  Delivery(std::vector<std::unique_ptr<Sink>> sinks, const DeliverySettings& settings, const Clock& clock,
           DeliveryCallbacks callbacks);
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;
  ~Delivery();  // drains with no time limit left, if it still runs

  // Before start() only. The reference is good until the Delivery ends.
  Producer& add_producer();
  // Starts the workers.
  // Errors: kUnavailable if a thread cannot be had; then none runs.
  Result<void> start();

  // Each sink reopens before its next batch, at once when idle or waiting to try again. Errors go to the
  // reporter.
  void request_reopen();

  // No collector runs any more. Delivers what is queued, flushes and destroys the sinks and ends the threads,
  // within `limit` of real time and a little. A worker that hangs in its sink is left to itself, with all
  // that it uses.
  Drained drain_and_stop(std::chrono::nanoseconds limit);

  [[nodiscard]] std::vector<SinkStatus> status() const;

 private:
  bool all_finished() const;
  void wait_until_finished(std::chrono::steady_clock::time_point deadline);

  std::shared_ptr<DeliveryCore> core_;  // shared with the threads
  std::vector<std::thread> threads_;    // in the order of the sinks; empty unless running
};

}  // namespace natsession
