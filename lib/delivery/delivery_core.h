// DeliveryCore: all of delivery but its threads, so that a test can be the threads, step by step.
// Threads: built by one; its parts say who may use them then.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "delivery/lane.h"
#include "delivery/producer.h"
#include "delivery/report.h"
#include "delivery/settings.h"
#include "delivery/sink_worker.h"

namespace natsession {

class DeliveryCore {
 public:
  DeliveryCore(std::vector<std::unique_ptr<Sink>> sinks, const DeliverySettings& settings, const Clock& clock,
               DeliveryCallbacks callbacks)
      : settings_(settings), clock_(clock), desk_(std::move(callbacks)) {
    for (auto& sink : sinks) sinks_.push_back(std::make_unique<SinkState>(std::move(sink)));
    for (const auto& sink : sinks_) {
      workers_.push_back(std::make_unique<SinkWorker>(*sink, sinks_, run_, settings_, clock_, desk_));
    }
  }
  DeliveryCore(const DeliveryCore&) = delete;
  DeliveryCore& operator=(const DeliveryCore&) = delete;

  Producer& add_producer() {
    return *producers_.emplace_back(std::make_unique<Producer>(sinks_, settings_, clock_));
  }

  [[nodiscard]] std::size_t size() const { return sinks_.size(); }
  [[nodiscard]] SinkState& sink(std::size_t index) { return *sinks_[index]; }
  [[nodiscard]] SinkWorker& worker(std::size_t index) { return *workers_[index]; }
  [[nodiscard]] std::span<const std::unique_ptr<Producer>> producers() const { return producers_; }
  [[nodiscard]] RunState& run() { return run_; }
  [[nodiscard]] ReportDesk& desk() { return desk_; }
  [[nodiscard]] Doorbell& finished_bell() { return finished_bell_; }  // rung by each worker thread that ends

 private:
  const DeliverySettings settings_;
  const Clock& clock_;
  ReportDesk desk_;
  RunState run_;
  Doorbell finished_bell_;
  // The sinks' lanes point into the producers' pools, so the sinks go first.
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::unique_ptr<SinkState>> sinks_;
  std::vector<std::unique_ptr<SinkWorker>> workers_;
};

}  // namespace natsession
