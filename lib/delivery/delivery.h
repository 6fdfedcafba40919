// Delivery: between the collectors and the sinks: the log, a worker for each sink, retries with backoff, the
// breaker, dead letters, and pressure on the collectors.
//
// In memory:      collectors → Producer → MemoryLog → worker → sink
//                 A sink that hangs is lagging, and goes on behind a gap record (memory_log.h).
// With a ledger:  collectors → Producer → MemoryLog → the ledger's writer → disk → worker → sink
//                 Each sink has its place in the ledger, kept over restarts; a slow one is waited for. Only a
//                 disk that takes nothing holds the collectors back.
//
//   LedgerSetup ledger;                                         // with a writer: it is taken
//   std::vector<SinkSpec> specs;                                // settings.h
//   specs.push_back({.sink = std::move(file)});                 // local: at once
//   specs.push_back({.sink = std::move(http),
//                    .batch = {.records = 1000, .bytes = {1 << 20}, .linger = 1s}, .suspend = 5min});
//   auto delivery = std::make_shared<Delivery>(std::move(specs), settings, clock, callbacks, "instance",
//                                              std::move(ledger));
//   Producer& output = delivery->add_producer();                // for each collector
//   DeliveryThreads threads(delivery);
//   threads.start();
//   ... collectors run, and end ...
//   const Drained drained = threads.drain_and_stop(limit);
//   if (drained.any_hung()) ::_exit(…);
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "base/time.h"
#include "delivery/disabled_sinks.h"
#include "delivery/job.h"
#include "delivery/ledger_log.h"
#include "delivery/memory_log.h"
#include "delivery/report.h"
#include "delivery/settings.h"
#include "delivery/sink_state.h"
#include "delivery/sink_worker.h"

namespace natsession {

// All of it but the threads, so that a test can be them, step by step.
// Threads: composed and opened by one; each Producer belongs to its collector's; request_reopen(),
// set_enabled() and the reports any.
class Delivery {
 public:
  // `instance` speaks in gap records about what a sink missed. `clock`, and what records point to (their
  // Origin and texts), outlive every worker, so also one that hangs: a program whose drain left a thread to
  // itself ends by _exit().
  Delivery(std::vector<SinkSpec> sinks, const DeliverySettings& settings, const Clock& clock,
           DeliveryCallbacks callbacks, std::string instance, LedgerSetup ledger = {});
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;
  ~Delivery();

  // Before open(). The reference is good until the Delivery ends.
  Producer& add_producer() { return log_.add_producer(); }
  // Finds each sink's place and makes the workers.
  // Errors: with a ledger kUsage for two sinks of one name, and those of its files; but a damaged cursor is
  //         the failure of its sink alone.
  Result<void> open();
  // What the threads do: the sinks' jobs in their order, then, with a ledger, its writer's and the
  // background's.
  [[nodiscard]] std::vector<Job> jobs();
  // A job found no memory: the program is told, once (DeliveryCallbacks::on_no_memory).
  // Threads: any.
  void tell_no_memory();

  // Each sink reopens before its next batch, at once when idle, waiting to try again or suspended. Errors go
  // to the reporter.
  void request_reopen();
  // Disabled, a sink is given nothing, and what comes waits: with a ledger there, and the setting survives a
  // restart; in memory as long as there is room, and a gap record says what was overwritten. Returns at once;
  // until a delivery under way has ended the state is kModifying.
  // Errors: kUsage if no sink has this name, naming those that there are; kIo if the setting cannot be
  //         stored: then it is as before.
  Result<void> set_enabled(std::string_view name, bool enabled);

  [[nodiscard]] std::vector<SinkReport> sink_reports() const;
  [[nodiscard]] std::optional<LedgerReport> ledger_report() const;  // nullopt without a ledger

  // The start of the program has succeeded: a ledger counts as written from here on (LedgerWriter::begin()).
  void begin() {
    if (ledger_ == nullptr) return;
    ledger_->begin();
    ledger_state_.notifier.notify();
  }
  // Until when there will be records of all that happened: for the next run, where there is a ledger.
  void set_logged_until(UnixMs time) {
    if (ledger_ != nullptr) ledger_->set_logged_until(time);
  }
  // See LedgerLog: until when all is in the ledger, if there is one, and that this is to be brought up to
  // date.
  [[nodiscard]] std::optional<UnixMs> proved_until() const {
    return ledger_ ? ledger_->proved_until() : std::nullopt;
  }
  [[nodiscard]] Ordinal files_end() const { return ledger_ ? ledger_->written() : 0; }  // see WriterStatus
  void want_proof() {
    if (ledger_) ledger_->want_proof();
  }
  // No collector runs any more: what there is is delivered, and the jobs end.
  void end_input();
  // Time is up: the jobs begin nothing more.
  void abandon();
  [[nodiscard]] bool written() const;  // all is in the ledger, if there is one
  // How long a stop waits for the sinks from then on; nullopt without a ledger: as long as it may.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> grace() const {
    return ledger_ ? std::optional(settings_.ledger_grace) : std::nullopt;
  }
  // Once no thread runs, or those that do are left to themselves: what was not delivered. Destroys the sinks,
  // but for those of such threads; nothing is reported any more.
  Drained close();

 private:
  Result<void> disable_as_before();
  [[nodiscard]] DeadLetters dead_letters_of(const SinkState& sink) const;
  [[nodiscard]] std::string disabled_path() const { return ledger_->directory() + "/disabled"; }
  [[nodiscard]] const LogReader& reader(std::size_t sink) const;
  void report_lag();
  void notify_sinks(bool urgently);
  void notify_all();

  const DeliverySettings settings_;
  const Clock& clock_;
  const Origin origin_;
  Reporter reporter_;
  RunState run_;
  const DeliveryContext context_;
  MemoryLog log_;
  std::vector<std::unique_ptr<SinkState>> sinks_;
  std::vector<LogReader*> memory_readers_;  // of the sinks; none with a ledger
  ConsumerState ledger_state_;              // of the ledger's writer
  std::atomic<bool> told_no_memory_{false};
  std::atomic<bool> writer_finished_{true};
  std::atomic<bool> background_finished_{true};
  Notifier background_notifier_;
  std::unique_ptr<LedgerLog> ledger_;  // null: in memory
  std::vector<std::unique_ptr<SinkWorker>> workers_;
  Guarded<SinkNames> disabled_;  // as in the file
};

// Threads: one, the composing one.
class DeliveryThreads {
 public:
  explicit DeliveryThreads(std::shared_ptr<Delivery> delivery) : delivery_(std::move(delivery)) {}
  DeliveryThreads(const DeliveryThreads&) = delete;
  DeliveryThreads& operator=(const DeliveryThreads&) = delete;
  ~DeliveryThreads();  // drains with no time limit left, if they still run

  // Opens the delivery and starts the threads.
  // Errors: as Delivery::open(); kUnavailable if a thread cannot be had. Then none runs.
  Result<void> start();

  // No collector runs any more. Delivers what is there, flushes and destroys the sinks and ends the threads,
  // within `limit` of real time and a little. With a ledger all is first written there; from then on the
  // sinks have DeliverySettings::ledger_grace, and what one does not take stays. A worker that hangs in its
  // sink is left to itself, with all that it uses. `meanwhile` is called now and then while this waits.
  Drained drain_and_stop(std::chrono::nanoseconds limit, const std::function<void()>& meanwhile = {});

 private:
  template <typename Reached>
  void wait_until(Reached reached, std::chrono::steady_clock::time_point deadline,
                  const std::function<void()>& meanwhile);

  std::shared_ptr<Delivery> delivery_;                              // shared with the threads
  std::shared_ptr<Notifier> ended_ = std::make_shared<Notifier>();  // notified by each that ends
  std::vector<Job> jobs_;
  std::vector<std::thread> threads_;  // of the jobs; empty unless running
};

}  // namespace natsession
