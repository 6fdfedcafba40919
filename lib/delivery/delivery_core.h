// DeliveryCore: all of delivery but its threads, so that a test can be the threads, step by step.
// Threads: built and opened by one; its parts say who may use them then. status() and what steers: any.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "delivery/disabled_sinks.h"
#include "delivery/lane.h"
#include "delivery/ledger_feeder.h"
#include "delivery/ledger_port.h"
#include "delivery/producer.h"
#include "delivery/report.h"
#include "delivery/settings.h"
#include "delivery/sink_share.h"
#include "delivery/sink_worker.h"
#include "delivery/status.h"

namespace natsession {

// A ledger for delivery to work through.
struct LedgerSetup {
  std::unique_ptr<LedgerPort> port;
  std::string instance;  // who speaks in gap records about what is missing in the ledger
};

// One thread's work: step() again and again, asleep on the bell in between as it says.
struct Job {
  std::string name;
  std::function<Turn()> step;
  Doorbell* bell = nullptr;
  std::atomic<bool>* finished = nullptr;  // false while a thread is on it; set as its last act
  bool in_background = false;             // whatever else runs goes first
};

class DeliveryCore {
 public:
  DeliveryCore(std::vector<SinkSpec> sinks, const DeliverySettings& settings, const Clock& clock,
               DeliveryCallbacks callbacks, LedgerSetup ledger = {});
  DeliveryCore(const DeliveryCore&) = delete;
  DeliveryCore& operator=(const DeliveryCore&) = delete;
  ~DeliveryCore();

  // Before open().
  Producer& add_producer();
  // Finds each sink's place and makes the workers.
  // Errors: kUsage if a ledger has two sinks of one name; those of the ledger's files.
  Result<void> open();

  [[nodiscard]] std::span<const std::unique_ptr<Producer>> producers() const { return producers_; }
  [[nodiscard]] std::size_t size() const { return shares_.size(); }
  [[nodiscard]] SinkShare& sink(std::size_t index) { return *shares_[index]; }
  [[nodiscard]] SinkWorker& worker(std::size_t index) { return *workers_[index]; }  // after open()
  [[nodiscard]] LedgerFeeder* feeder() { return feeder_.get(); }                    // null without a ledger
  [[nodiscard]] Receiver& inbox() { return inbox_; }                                // of the ledger
  [[nodiscard]] RunState& run() { return run_; }
  [[nodiscard]] ReportDesk& desk() { return desk_; }
  [[nodiscard]] bool has_ledger() const { return ledger_ != nullptr; }
  [[nodiscard]] bool feeder_finished() const { return feeder_finished_.load(std::memory_order_acquire); }
  [[nodiscard]] bool keeper_finished() const { return keeper_finished_.load(std::memory_order_acquire); }

  // The sinks' in their order, then, with a ledger, its writer's and its keeper's. After open().
  [[nodiscard]] std::vector<Job> jobs();
  [[nodiscard]] Doorbell& finished_bell() { return finished_bell_; }  // rung by each thread that ends
  void ring_all();

  // What Delivery says of the functions of the same names.
  void request_reopen();
  Result<void> set_enabled(std::string_view name, bool enabled);
  [[nodiscard]] std::vector<SinkStatus> status() const;
  [[nodiscard]] std::optional<LedgerDeliveryStatus> ledger_status() const;

  // Once no thread runs, or those that do are left to themselves.
  [[nodiscard]] Drained outcome() const;
  void destroy_sinks();  // but those of threads that are left to themselves

 private:
  Result<std::unique_ptr<Intake>> open_intake(SinkShare& share);
  Result<void> disable_as_before();
  [[nodiscard]] DeadLetters dead_letters_of(const SinkShare& share) const;
  [[nodiscard]] std::string disabled_path() const { return ledger_->directory() + "/disabled"; }
  Turn keep();

  const DeliverySettings settings_;
  const Clock& clock_;
  const Origin origin_;
  ReportDesk desk_;
  RunState run_;
  Doorbell finished_bell_;
  std::unique_ptr<LedgerPort> ledger_;  // null: in memory
  Receiver inbox_;                      // the ledger's
  FeederShare feeder_share_;
  std::atomic<bool> feeder_finished_{true};
  std::atomic<bool> keeper_finished_{true};
  Doorbell keeper_bell_;
  std::string keeper_failure_;  // the last one told
  // The lanes point into the producers' pools, so what has lanes goes first.
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::unique_ptr<SinkShare>> shares_;
  std::vector<Receiver*> receivers_;  // of the producers
  std::vector<std::unique_ptr<SinkWorker>> workers_;
  std::unique_ptr<LedgerFeeder> feeder_;
  Guarded<SinkNames> disabled_;  // as in the file
};

}  // namespace natsession
