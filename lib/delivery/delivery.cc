#include "delivery/delivery.h"

#include <algorithm>
#include <csignal>
#include <system_error>

#include <pthread.h>

#include "delivery/delivery_core.h"

namespace natsession {
namespace {

// After the limit, workers that merely wait for their next try get so long to notice.
constexpr std::chrono::milliseconds kGrace{200};

// What top -H and ps -L show: at most 15 characters.
std::string thread_name(const std::string& sink) {
  return ("to:" + sink).substr(0, 15);
}

void run_worker(const std::shared_ptr<DeliveryCore>& core, std::size_t index) {
  SinkState& sink = core->sink(index);
  pthread_setname_np(pthread_self(), thread_name(sink.name).c_str());
  while (true) {
    const std::uint32_t tally = sink.doorbell.tally();
    const SinkWorker::Next next = core->worker(index).step();
    if (next.kind == SinkWorker::Next::Kind::kDone) break;
    if (next.kind == SinkWorker::Next::Kind::kSleep) sink.doorbell.sleep(tally, next.depth, next.limit);
  }
  sink.finished.store(true, std::memory_order_release);
  core->finished_bell().ring();
}

// A thread inherits its creator's mask: signals are for the program's own threads, never for a worker.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace

Delivery::Delivery(std::vector<std::unique_ptr<Sink>> sinks, const DeliverySettings& settings,
                   const Clock& clock, DeliveryCallbacks callbacks)
    : core_(std::make_shared<DeliveryCore>(std::move(sinks), settings, clock, std::move(callbacks))) {}

Delivery::~Delivery() {
  if (!threads_.empty()) static_cast<void>(drain_and_stop(std::chrono::nanoseconds::zero()));
}

Producer& Delivery::add_producer() {
  return core_->add_producer();
}

Result<void> Delivery::start() {
  const SignalsBlocked blocked;
  try {
    threads_.reserve(core_->size());
    for (std::size_t i = 0; i < core_->size(); ++i) threads_.emplace_back(run_worker, core_, i);
  } catch (const std::system_error& error) {
    static_cast<void>(drain_and_stop(std::chrono::nanoseconds::zero()));
    return system_error("start a thread for a sink", error.code().value(), ErrorKind::kUnavailable);
  }
  return {};
}

void Delivery::request_reopen() {
  for (std::size_t i = 0; i < core_->size(); ++i) {
    core_->sink(i).reopen_wanted.store(true, std::memory_order_release);
    core_->sink(i).doorbell.ring_urgently();
  }
}

Drained Delivery::drain_and_stop(std::chrono::nanoseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (const auto& producer : core_->producers()) producer->finish();
  core_->run().stopping.store(true, std::memory_order_release);
  for (std::size_t i = 0; i < core_->size(); ++i) core_->sink(i).doorbell.ring_urgently();
  wait_until_finished(deadline);

  core_->run().abandoned.store(true, std::memory_order_release);
  for (std::size_t i = 0; i < core_->size(); ++i) core_->sink(i).doorbell.ring_urgently();
  wait_until_finished(std::chrono::steady_clock::now() + kGrace);

  Drained drained;
  for (std::size_t i = 0; i < core_->size(); ++i) {
    SinkState& sink = core_->sink(i);
    const bool started = i < threads_.size();
    const bool hung = started && !sink.finished.load(std::memory_order_acquire);
    const std::uint64_t waiting = sink.waiting();
    if (hung || waiting > 0) drained.undelivered.push_back({sink.name, waiting, hung});
    if (started && hung) threads_[i].detach();
    if (started && !hung) threads_[i].join();
    if (!hung) sink.sink.reset();
  }
  threads_.clear();
  core_->desk().silence();
  return drained;
}

std::vector<SinkStatus> Delivery::status() const {
  std::vector<SinkStatus> all;
  for (std::size_t i = 0; i < core_->size(); ++i) {
    const SinkState& sink = core_->sink(i);
    SinkStatus& one = all.emplace_back();
    one.name = sink.name;
    one.delivered = sink.delivered.value();
    one.waiting = sink.waiting();
    one.dropped = sink.dropped();
    one.rejected = sink.rejected.value();
    one.retried = sink.retried.value();
    one.in_trouble = sink.in_trouble.load(std::memory_order_acquire);
    one.left_behind = sink.lanes_behind.load(std::memory_order_acquire) != 0;
    one.closed = sink.closed.load(std::memory_order_acquire);
    one.last_failure = sink.last_failure.with([](const std::string& text) { return text; });
  }
  return all;
}

bool Delivery::all_finished() const {
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (!core_->sink(i).finished.load(std::memory_order_acquire)) return false;
  }
  return true;
}

void Delivery::wait_until_finished(std::chrono::steady_clock::time_point deadline) {
  while (true) {
    const std::uint32_t tally = core_->finished_bell().tally();
    const auto left = deadline - std::chrono::steady_clock::now();
    if (all_finished() || left <= std::chrono::nanoseconds::zero()) return;
    core_->finished_bell().sleep(tally, Doorbell::Sleep::kLight, left);
  }
}

}  // namespace natsession
