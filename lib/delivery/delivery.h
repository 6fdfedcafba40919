// Delivery: between the collectors and the sinks. Queues, batches, one worker thread for each sink, retries
// with backoff, the breaker, dead letters, and pressure on the collectors.
//
// In memory:      collectors → Producer → a bounded queue for each sink → worker → sink
//                 A sink that hangs is left behind (producer.h).
// With a ledger:  collectors → Producer → one bounded queue → the ledger's writer → disk → worker → sink
//                 Each sink has its place in the ledger, kept over restarts; a slow one is waited for. Only a
//                 disk that takes nothing holds the collectors back.
//
// Threads: composed, started and stopped by one thread. request_reopen(), set_enabled() and the status
// functions may be called from any thread; each Producer belongs to its collector's.
//
//   auto port = open_ledger(ledger_settings, clock);           // only with a ledger; takes its lock
//   std::vector<SinkSpec> specs;                                // settings.h
//   specs.push_back({.sink = std::move(file)});                 // local: at once
//   specs.push_back({.sink = std::move(http),
//                    .batch = {.records = 1000, .bytes = {1 << 20}, .linger = 1s}, .suspend = 5min});
//   Delivery delivery(std::move(specs), settings, clock, callbacks,
//                     LedgerSetup{std::move(*port), config.instance});  // or without the last argument
//   Producer& output = delivery.add_producer();                 // for each collector
//   delivery.start();
//   ... collectors run, and end ...
//   const Drained drained = delivery.drain_and_stop(limit);
//   if (drained.any_hung()) ::_exit(…);
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "delivery/delivery_core.h"
#include "delivery/ledger_port.h"
#include "delivery/producer.h"
#include "delivery/report.h"
#include "delivery/settings.h"
#include "delivery/status.h"
#include "sink/sink.h"

namespace natsession {

class Delivery {
 public:
  // `clock`, and what records point to (their Origin and texts), outlive every worker, so also one that
  // hangs: a program whose drain left a thread to itself ends by _exit().
  Delivery(std::vector<SinkSpec> sinks, const DeliverySettings& settings, const Clock& clock,
           DeliveryCallbacks callbacks, LedgerSetup ledger = {});
  // Every sink as a SinkSpec has it by default.
  Delivery(std::vector<std::unique_ptr<Sink>> sinks, const DeliverySettings& settings, const Clock& clock,
           DeliveryCallbacks callbacks);
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;
  ~Delivery();  // drains with no time limit left, if it still runs

  // Before start() only. The reference is good until the Delivery ends.
  Producer& add_producer();
  // Finds each sink's place in the ledger and starts the threads.
  // Errors: kUnavailable if a thread cannot be had; with a ledger kUsage for two sinks of one name, and those
  // of
  //         its files: a cursor that cannot be read is not guessed at. Then none runs.
  Result<void> start();

  // Each sink reopens before its next batch, at once when idle, waiting to try again or suspended. Errors go
  // to the reporter.
  void request_reopen();

  // Disabled, a sink is given nothing. With a ledger what comes waits there, and the setting survives a
  // restart; in memory it passes the sink by, and once enabled it gets a gap record that says so. Returns at
  // once; until a delivery under way has ended the state is kModifying.
  // Errors: kUsage if no sink has this name, naming those that there are; kIo if the setting cannot be
  // stored:
  //         then it is as before.
  Result<void> set_enabled(std::string_view name, bool enabled);

  // No collector runs any more. Delivers what is there, flushes and destroys the sinks and ends the threads,
  // within `limit` of real time and a little. With a ledger all is first written there, and what a sink does
  // not take stays. A worker that hangs in its sink is left to itself, with all that it uses.
  Drained drain_and_stop(std::chrono::nanoseconds limit);

  [[nodiscard]] std::vector<SinkStatus> status() const;
  [[nodiscard]] std::optional<LedgerDeliveryStatus> ledger_status() const;  // nullopt without a ledger

 private:
  [[nodiscard]] bool all_finished() const;
  void wait_until(const std::function<bool()>& reached, std::chrono::steady_clock::time_point deadline);

  std::shared_ptr<DeliveryCore> core_;  // shared with the threads
  std::vector<Job> jobs_;
  std::vector<std::thread> threads_;  // of the jobs; empty unless running
};

}  // namespace natsession
