#include "delivery/delivery.h"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <system_error>

#include <pthread.h>
#include <unistd.h>

namespace natsession {
namespace {

// After the limit, threads that merely wait for their next try get so long to notice and to put away their
// place in the ledger.
constexpr std::chrono::seconds kGrace{1};
// The ledger's writer gets so long at least, however little the sinks get: what it holds is nowhere else. And
// so does its keeper, which on a busy machine hardly runs.
constexpr std::chrono::seconds kLedgerLimit{5};

constexpr int kBackgroundNice = 19;  // not SCHED_IDLE: this thread takes locks that the status waits for

// What top -H and ps -L show: at most 15 characters.
std::string thread_name(const Job& job) {
  return ((job.in_background ? "keeper:" : "to:") + job.name).substr(0, 15);
}

void run_job(const std::shared_ptr<DeliveryCore>& core, const Job& job) {
  pthread_setname_np(pthread_self(), thread_name(job).c_str());
  if (job.in_background) ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kBackgroundNice);
  while (true) {
    const std::uint32_t tally = job.bell->tally();
    const Turn turn = job.step();
    if (turn.kind == Turn::Kind::kDone) break;
    if (turn.kind == Turn::Kind::kSleep) job.bell->sleep(tally, turn.depth, turn.limit);
  }
  job.finished->store(true, std::memory_order_release);
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

std::vector<SinkSpec> with_defaults(std::vector<std::unique_ptr<Sink>> sinks) {
  std::vector<SinkSpec> specs;
  for (auto& sink : sinks) specs.push_back({.sink = std::move(sink)});
  return specs;
}

}  // namespace

Delivery::Delivery(std::vector<SinkSpec> sinks, const DeliverySettings& settings, const Clock& clock,
                   DeliveryCallbacks callbacks, LedgerSetup ledger)
    : core_(std::make_shared<DeliveryCore>(std::move(sinks), settings, clock, std::move(callbacks),
                                           std::move(ledger))) {}

Delivery::Delivery(std::vector<std::unique_ptr<Sink>> sinks, const DeliverySettings& settings,
                   const Clock& clock, DeliveryCallbacks callbacks)
    : Delivery(with_defaults(std::move(sinks)), settings, clock, std::move(callbacks)) {}

Delivery::~Delivery() {
  if (!threads_.empty()) static_cast<void>(drain_and_stop(std::chrono::nanoseconds::zero()));
}

Producer& Delivery::add_producer() {
  return core_->add_producer();
}

Result<void> Delivery::start() {
  if (auto opened = core_->open(); !opened) return opened;
  jobs_ = core_->jobs();
  const SignalsBlocked blocked;
  try {
    threads_.reserve(jobs_.size());
    for (const Job& job : jobs_) {
      job.finished->store(false, std::memory_order_release);
      threads_.emplace_back(run_job, core_, job);
    }
  } catch (const std::system_error& error) {
    jobs_[threads_.size()].finished->store(true, std::memory_order_release);
    static_cast<void>(drain_and_stop(std::chrono::nanoseconds::zero()));
    return system_error("start a thread for a sink", error.code().value(), ErrorKind::kUnavailable);
  }
  return {};
}

void Delivery::request_reopen() {
  core_->request_reopen();
}

Result<void> Delivery::set_enabled(std::string_view name, bool enabled) {
  return core_->set_enabled(name, enabled);
}

Drained Delivery::drain_and_stop(std::chrono::nanoseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const auto ledger_deadline =
      std::chrono::steady_clock::now() + std::max<std::chrono::nanoseconds>(limit, kLedgerLimit);
  for (const auto& producer : core_->producers()) producer->finish();
  core_->run().stopping.store(true, std::memory_order_release);
  core_->ring_all();
  if (core_->has_ledger()) wait_until([this] { return core_->feeder_finished(); }, ledger_deadline);
  wait_until([this] { return all_finished(); }, deadline);

  core_->run().abandoned.store(true, std::memory_order_release);
  core_->ring_all();
  wait_until([this] { return all_finished(); }, std::chrono::steady_clock::now() + kGrace);
  if (core_->has_ledger()) wait_until([this] { return core_->keeper_finished(); }, ledger_deadline);

  const Drained drained = core_->outcome();
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (jobs_[i].finished->load(std::memory_order_acquire)) {
      threads_[i].join();
    } else {
      threads_[i].detach();
    }
  }
  threads_.clear();
  core_->destroy_sinks();
  core_->desk().silence();
  return drained;
}

std::vector<SinkStatus> Delivery::status() const {
  return core_->status();
}

std::optional<LedgerDeliveryStatus> Delivery::ledger_status() const {
  return core_->ledger_status();
}

bool Delivery::all_finished() const {
  return std::all_of(jobs_.begin(), jobs_.end(),
                     [](const Job& job) { return job.finished->load(std::memory_order_acquire); });
}

void Delivery::wait_until(const std::function<bool()>& reached,
                          std::chrono::steady_clock::time_point deadline) {
  while (true) {
    const std::uint32_t tally = core_->finished_bell().tally();
    const auto left = deadline - std::chrono::steady_clock::now();
    if (reached() || left <= std::chrono::nanoseconds::zero()) return;
    core_->finished_bell().sleep(tally, Doorbell::Sleep::kLight, left);
  }
}

}  // namespace natsession
