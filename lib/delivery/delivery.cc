#include "delivery/delivery.h"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <new>
#include <system_error>

#include <pthread.h>
#include <unistd.h>

namespace natsession {
namespace {

// After the limit, threads that merely wait for their next try get so long to notice and to put away their
// place in the ledger.
constexpr std::chrono::seconds kGrace{1};
// How often a stop lets its caller look at other things.
constexpr std::chrono::milliseconds kMeanwhile{100};
// The ledger's writer gets so long at least, however little the sinks get: what it holds is nowhere else. And
// so does the background job, which on a busy machine hardly runs.
constexpr std::chrono::seconds kLedgerLimit{5};

// How soon a step that found no memory is tried again.
constexpr std::chrono::milliseconds kMemoryAgain{100};

constexpr int kBackgroundNice = 19;  // not SCHED_IDLE: this thread takes locks that the status waits for

// Where there is no memory the program stops in order: what a step has not finished it begins again, for as
// long as that takes.
Turn step_of(Delivery& delivery, const Job& job) {
  try {
    return job.step();
  } catch (const std::bad_alloc&) {
    delivery.tell_no_memory();
    return {Turn::Kind::kSleep, Notifier::Sleep::kDeep, kMemoryAgain};
  }
}

void run_job(const std::shared_ptr<Delivery>& delivery /*which the job uses*/, const Job& job,
             const std::shared_ptr<Notifier>& ended) {
  // What top -H and ps -L show: at most 15 characters.
  const std::string name = ((job.in_background ? "compact:" : "to:") + job.name).substr(0, 15);
  pthread_setname_np(pthread_self(), name.c_str());
  if (job.in_background) ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kBackgroundNice);
  while (true) {
    const Notifier::Mark mark = job.notifier->mark();
    const Turn turn = step_of(*delivery, job);
    if (turn.kind == Turn::Kind::kDone) break;
    if (turn.kind == Turn::Kind::kSleep) job.notifier->sleep(mark, turn.depth, turn.limit);
  }
  job.finished->store(true, std::memory_order_release);
  ended->notify();
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

Delivery::Delivery(std::vector<SinkSpec> sinks, const DeliverySettings& settings, const Clock& clock,
                   DeliveryCallbacks callbacks, std::string instance, LedgerSetup ledger)
    : settings_(settings),
      clock_(clock),
      origin_{std::move(instance), ""},
      reporter_(std::move(callbacks)),
      context_{settings_, clock_, origin_, run_, reporter_},
      log_(settings_, clock),
      ledger_state_(ledger.settings.directory) {
  for (SinkSpec& sink : sinks) sinks_.push_back(std::make_unique<SinkState>(std::move(sink)));
  if (!ledger.writer) {
    for (const auto& sink : sinks_) memory_readers_.push_back(&log_.add_reader(sink->name, sink->notifier));
    return;
  }
  LogReader& queue = log_.add_reader(ledger_state_.name, ledger_state_.notifier);
  ledger_ = std::make_unique<LedgerLog>(
      std::move(ledger), ledger_state_, queue, run_, context_,
      [this] {
        std::vector<std::optional<Coverage>> proved;
        for (const auto& producer : log_.producers()) proved.push_back(producer->proved());
        return proved;
      },
      [this] { notify_sinks(false); }, [this] { notify_sinks(true); });
}

Delivery::~Delivery() = default;

Result<void> Delivery::open() {
  if (ledger_) {
    if (auto disabled = disable_as_before(); !disabled) return disabled;
  }
  for (std::size_t i = 0; i < sinks_.size(); ++i) {
    std::unique_ptr<LogConsumer> consumer;
    if (ledger_) {
      auto opened = ledger_->open_consumer(*sinks_[i]);
      if (!opened) return opened.error();
      consumer = std::move(*opened);
    } else {
      consumer =
          std::make_unique<LogConsumer>(*sinks_[i], *memory_readers_[i], context_, sinks_[i]->spec.takes);
    }
    workers_.push_back(
        std::make_unique<SinkWorker>(*sinks_[i], std::move(consumer), dead_letters_of(*sinks_[i]), context_));
  }
  return {};
}

Result<void> Delivery::disable_as_before() {
  SinkNames seen;
  for (const auto& sink : sinks_) {
    if (!seen.insert(sink->name).second) {
      return Error{ErrorKind::kUsage,
                   "sink " + sink->name + ": is there twice, and would have one place in the ledger"};
    }
  }
  ledger_->set_sinks({seen.begin(), seen.end()});
  auto names = read_disabled_sinks(disabled_path());
  if (!names) return names.error();
  for (const auto& sink : sinks_) {
    const bool disabled = names->contains(sink->name);
    sink->enabled_wanted.store(!disabled, std::memory_order_relaxed);
    sink->disabled.store(disabled, std::memory_order_relaxed);
  }
  disabled_.with([&](SinkNames& known) { known = std::move(*names); });
  return {};
}

DeadLetters Delivery::dead_letters_of(const SinkState& sink) const {
  std::string path;
  if (ledger_) path = ledger_->directory() + "/dead-letters/" + file_name_of(sink.name) + ".jsonl";
  return {std::move(path), settings_.dead_letter_limit, sink.name, clock_};
}

std::vector<Job> Delivery::jobs() {
  std::vector<Job> jobs;
  const auto add = [&](const std::string& name, std::function<Turn()> step, Notifier& notifier,
                       std::atomic<bool>& finished) {
    jobs.push_back({name,
                    [this, step = std::move(step)] {
                      report_lag();
                      return step();
                    },
                    &notifier, &finished});
  };
  for (std::size_t i = 0; i < sinks_.size(); ++i) {
    SinkWorker& worker = *workers_[i];
    add(
        sinks_[i]->name, [&worker] { return worker.step(); }, sinks_[i]->notifier, sinks_[i]->finished);
  }
  if (!ledger_) return jobs;
  LedgerLog& ledger = *ledger_;
  add(
      ledger_state_.name, [&ledger] { return ledger.write(); }, ledger_state_.notifier, writer_finished_);
  add(
      ledger_state_.name, [&ledger] { return ledger.keep_up(); }, background_notifier_, background_finished_);
  jobs.back().in_background = true;
  return jobs;
}

// A worker that hangs cannot tell of itself, so every thread tells of all.
void Delivery::report_lag() {
  if (!log_.lag_changed()) return;
  reporter_.report_with([this](const auto& report) {
    for (const MemoryLog::LagChange& change : log_.take_lag_changes()) {
      report({.kind = change.lagging ? Report::Kind::kLagging : Report::Kind::kLaggingOver,
              .sink = change.name,
              .records = change.waiting});
    }
  });
}

void Delivery::tell_no_memory() {
  try {
    if (!told_no_memory_.exchange(true)) reporter_.no_memory();
  } catch (const std::bad_alloc&) {
    told_no_memory_.store(false);  // that was too much, too
  }
}

void Delivery::notify_sinks(bool urgently) {
  for (const auto& sink : sinks_) urgently ? sink->notifier.notify_urgently() : sink->notifier.notify();
}

void Delivery::notify_all() {
  notify_sinks(true);
  ledger_state_.notifier.notify_urgently();
  background_notifier_.notify_urgently();
}

void Delivery::request_reopen() {
  for (const auto& sink : sinks_) sink->reopen_wanted.store(true, std::memory_order_release);
  notify_sinks(true);
}

Result<void> Delivery::set_enabled(std::string_view name, bool enabled) {
  return disabled_.with([&](SinkNames& disabled) -> Result<void> {
    bool found = false;
    std::string names;
    for (const auto& sink : sinks_) {
      found = found || sink->name == name;
      names += (names.empty() ? "" : ", ") + sink->name;
    }
    if (!found)
      return Error{ErrorKind::kUsage, "no sink is called " + std::string(name) + "; there are: " + names};
    SinkNames wanted = disabled;
    if (enabled) {
      wanted.erase(std::string(name));
    } else {
      wanted.insert(std::string(name));
    }
    if (ledger_ && wanted != disabled) {
      if (auto written = write_disabled_sinks(disabled_path(), wanted); !written) return written;
    }
    disabled = std::move(wanted);
    for (const auto& sink : sinks_) {
      if (sink->name != name) continue;
      sink->enabled_wanted.store(enabled, std::memory_order_release);
      sink->notifier.notify_urgently();
    }
    return {};
  });
}

const LogReader& Delivery::reader(std::size_t sink) const {
  return ledger_ ? ledger_->reader(sink) : *memory_readers_[sink];
}

std::vector<SinkReport> Delivery::sink_reports() const {
  std::vector<SinkReport> all;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    all.push_back(report_of(*sinks_[i], reader(i).status(), clock_));
  }
  return all;
}

std::optional<LedgerReport> Delivery::ledger_report() const {
  if (!ledger_) return std::nullopt;
  return ledger_->report();
}

void Delivery::end_input() {
  for (const auto& producer : log_.producers()) producer->flush();
  if (!ledger_) run_.log_complete.store(true, std::memory_order_release);
  run_.stopping.store(true, std::memory_order_release);
  notify_all();
}

void Delivery::abandon() {
  run_.abandoned.store(true, std::memory_order_release);
  notify_all();
}

bool Delivery::written() const {
  return writer_finished_.load(std::memory_order_acquire);
}

Drained Delivery::close() {
  Drained drained;
  const std::vector<SinkReport> all = sink_reports();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool hung = !sinks_[i]->finished.load(std::memory_order_acquire);
    // What memory has for one that takes nothing on purpose is not owed to it.
    const bool owed = ledger_ || (all[i].enabled && !all[i].closed);
    if ((owed && all[i].waiting > 0) || hung) {
      (ledger_ ? drained.kept : drained.undelivered).push_back({all[i].name, all[i].waiting, hung});
    }
    if (!hung) sinks_[i]->spec.sink.reset();
  }
  if (ledger_) {
    const std::uint64_t unwritten = ledger_->report().pending;
    const std::string name = "ledger " + ledger_->directory();
    if (unwritten > 0 || !written()) drained.undelivered.push_back({name, unwritten, !written()});
    if (!background_finished_.load(std::memory_order_acquire)) drained.kept.push_back({name, 0, true});
  }
  reporter_.silence();
  return drained;
}

DeliveryThreads::~DeliveryThreads() {
  if (!threads_.empty()) static_cast<void>(drain_and_stop(std::chrono::nanoseconds::zero()));
}

Result<void> DeliveryThreads::start() {
  if (auto opened = delivery_->open(); !opened) return opened;
  jobs_ = delivery_->jobs();
  const SignalsBlocked blocked;
  try {
    threads_.reserve(jobs_.size());
    for (const Job& job : jobs_) {
      job.finished->store(false, std::memory_order_release);
      threads_.emplace_back(run_job, delivery_, job, ended_);
    }
  } catch (const std::system_error& error) {
    jobs_[threads_.size()].finished->store(true, std::memory_order_release);
    delivery_->abandon();
    static_cast<void>(drain_and_stop(std::chrono::nanoseconds::zero()));
    return system_error("start a thread for a sink", error.code().value(), ErrorKind::kUnavailable);
  }
  return {};
}

Drained DeliveryThreads::drain_and_stop(std::chrono::nanoseconds limit,
                                        const std::function<void()>& meanwhile) {
  using std::chrono::steady_clock;
  auto deadline = steady_clock::now() + limit;
  const auto ledger_deadline = steady_clock::now() + std::max<std::chrono::nanoseconds>(limit, kLedgerLimit);
  const auto all_finished = [this] {
    return std::all_of(jobs_.begin(), jobs_.end(),
                       [](const Job& job) { return job.finished->load(std::memory_order_acquire); });
  };
  const auto background_finished = [this] {
    return std::all_of(jobs_.begin(), jobs_.end(), [](const Job& job) {
      return !job.in_background || job.finished->load(std::memory_order_acquire);
    });
  };
  delivery_->end_input();
  wait_until([this] { return delivery_->written(); }, ledger_deadline, meanwhile);
  if (const auto grace = delivery_->grace()) deadline = std::min(deadline, steady_clock::now() + *grace);
  wait_until(all_finished, deadline, meanwhile);
  delivery_->abandon();
  wait_until(all_finished, steady_clock::now() + kGrace, meanwhile);
  wait_until(background_finished, ledger_deadline, meanwhile);

  const Drained drained = delivery_->close();
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (jobs_[i].finished->load(std::memory_order_acquire)) {
      threads_[i].join();
    } else {
      threads_[i].detach();
    }
  }
  threads_.clear();
  return drained;
}

template <typename Reached>
void DeliveryThreads::wait_until(Reached reached, std::chrono::steady_clock::time_point deadline,
                                 const std::function<void()>& meanwhile) {
  while (true) {
    const Notifier::Mark mark = ended_->mark();
    const std::chrono::nanoseconds left = deadline - std::chrono::steady_clock::now();
    if (reached() || left <= std::chrono::nanoseconds::zero()) return;
    if (meanwhile) meanwhile();
    ended_->sleep(mark, Notifier::Sleep::kLight,
                  meanwhile ? std::min<std::chrono::nanoseconds>(left, kMeanwhile) : left);
  }
}

}  // namespace natsession
