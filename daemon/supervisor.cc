#include "supervisor.h"

#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "config/options.h"
#include "kernel_setup.h"
#include "messages.h"
#include "record/labels.h"

namespace natsession {
namespace {

// How long a stop may take: the last dump of a full table and what is queued for the sinks.
constexpr std::chrono::seconds kCollectorStopLimit{20};
constexpr std::chrono::seconds kDrainLimit{20};

// A collector that has not come round for so long hangs: its longest step is a moment of a large table.
constexpr std::chrono::seconds kTurnLimit{10};

// A guard that is a service is made anew within tenths of a second.
constexpr std::chrono::seconds kGuardPatience{5};

// Losses that go on are told so often.
constexpr std::chrono::seconds kTellInterval{10};

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  return set;
}

// Names the namespace where a message is about one of several.
std::string prefix(const CollectorThread& collector) {
  return collector.netns().empty() ? "" : fmt::format("netns {}: ", collector.netns());
}

[[noreturn]] void give_up(std::string_view why) {
  log_error(fmt::format("stopped at once by {}; records that were still queued are lost", why));
  ::_exit(1);
}

}  // namespace

void block_signals() {
  const sigset_t set = watched_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

Result<Labels> make_labels(const Config& config) {
  Labels labels;
  for (const std::string& netns : watched_namespaces(config)) {
    const auto origin = intern_origin(config.instance, config.netns.size() > 1 ? netns : "");
    if (!origin) return origin.error();
    labels.origins.push_back(*origin);
  }
  labels.vpcs = VpcMap(config.vpc_rules);
  return labels;
}

Supervisor::Supervisor(Config config, Reload reload, Collectors& collectors, Delivery& delivery,
                       DeliveryThreads& delivery_threads, ControlService& service, WakeFd& notice,
                       GuardProcess* guard, NamespaceFollower* follower, ServiceManager& manager)
    : config_(std::move(config)),
      reload_(std::move(reload)),
      collectors_(collectors),
      delivery_(delivery),
      delivery_threads_(delivery_threads),
      service_(service),
      notice_(notice),
      guard_(guard),
      follower_(follower),
      manager_(manager),
      turns_(collectors.size()),
      reported_(collectors.size()),
      told_groups_(collectors.size(), {config_.events.value_or(EventGroups()), EventsWhy::kConfigured}),
      told_sysctls_(collectors.size()) {}

void Supervisor::sink_closed() {
  sink_closed_.store(true, std::memory_order_release);
  notice_.wake();
}

void Supervisor::no_memory() {
  no_memory_.store(true, std::memory_order_release);
  notice_.wake();
}

int Supervisor::run(const std::string& ready_text, const std::function<void()>& finish) {
  ready_text_ = ready_text;
  const sigset_t set = watched_signals();
  signals_.reset(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals_) {
    log_error(system_error("signalfd", errno).message);
    failed_ = true;
  }
  while (!stopping_ && !failed_) {
    wait(manager_.interval());
    handle_signals();
    watch_collectors();
    service_.tick();
    if (collectors_turn()) manager_.alive();
    manager_.tick(clock_.steady(), [this] { return service_.status_at_hand(); });
  }
  return stop(finish);
}

void Supervisor::wait(std::chrono::milliseconds limit) {
  pollfd fds[] = {{signals_.get(), POLLIN, 0},
                  {notice_.fd(), POLLIN, 0},
                  {guard_ != nullptr ? guard_->link() : -1, POLLIN, 0},
                  {follower_ != nullptr ? follower_->link() : -1, POLLIN, 0}};
  ::poll(fds, std::size(fds), static_cast<int>(limit.count()));
  notice_.clear();
  if (follower_ != nullptr) follower_->tick();
  if (guard_ != nullptr) watch_guard(fds[2].revents != 0);
}

void Supervisor::watch_guard(bool has_word) {
  if (has_word) {
    const auto word = guard_->read();
    if (word == GuardProcess::Word::kLeave && !stopping_) {
      log_info("another process takes over (--handover)");
      stopping_ = true;
    }
    if (word != GuardProcess::Word::kEnded) return;
    guard_end_ = guard_->died();
    guard_ended_at_ = clock_.steady();
    guard_end_told_ = false;
  }
  if (guard_->link() >= 0 || stopping_) return;
  const auto joined = guard_->rejoin();
  if (joined && *joined) {
    log_info("natsess-guard: another has taken its place");
    return;
  }
  if (guard_end_told_ || (guard_->comes_back() && clock_.steady() - guard_ended_at_ < kGuardPatience)) return;
  guard_end_told_ = true;
  log_error(fmt::format(
      "natsess-guard: {}{}; while this program does not run, nobody keeps undelivered events from "
      "filling the conntrack table any more; a restart brings it back",
      guard_end_, joined ? "" : "; " + joined.error().message));
}

void Supervisor::handle_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    switch (info.ssi_signo) {
      case SIGHUP:
        handle_reload();
        break;
      case SIGUSR1:
        log_info("SIGUSR1: the window closes now");
        for (const auto& collector : collectors_) collector->request_close();
        break;
      case SIGQUIT:
        give_up("SIGQUIT");
      default:
        // Who stops a process and its group sends two at once, and means one stop.
        if (stopping_ && ++asked_again_ > 1) give_up("a third signal");
        if (stopping_) {
          log_warning(
              fmt::format("stopping already, which takes {} s at most: one more signal, or SIGQUIT, gives up",
                          (kCollectorStopLimit + kDrainLimit).count()));
        }
        stopping_ = true;
    }
  }
}

// Errors: whatever goes wrong: the program goes on with what it has.
Result<Config> Supervisor::reread() const {
  try {
    return reload_();
  } catch (const std::exception& failure) {
    return Error{ErrorKind::kUnavailable, fmt::format("cannot be read: {}", failure.what())};
  }
}

void Supervisor::handle_reload() {
  manager_.reloading();
  std::string outcome;
  log_info("SIGHUP: reopening files and rereading the configuration");
  delivery_.request_reopen();
  auto config = reread();
  const auto labels = config ? make_labels(*config) : Result<Labels>(config.error());
  if (!labels) {
    outcome = fmt::format("configuration: {}; the old one stays in force", labels.error().message);
    log_error(outcome);
  } else {
    std::string held, restart;
    const auto changed = settings_that_differ(config_, *config);
    for (const std::string& key : changed) {
      log_debug(fmt::format("configuration: {} = {}", key, find_setting(key)->toml_value(*config)));
      std::string& list = key == "instance" || key == "vpc_id" || key == "log_level" ? held : restart;
      list += (list.empty() ? "" : ", ") + key;
    }
    outcome = "configuration: ";
    if (changed.empty()) outcome += "nothing has changed";
    if (!held.empty()) outcome += held + (restart.empty() ? " has changed" : " has changed, and ");
    if (!restart.empty()) outcome += fmt::format("a change of {} needs a restart", restart);
    restart.empty() ? log_info(outcome) : log_warning(outcome);
    set_message_level(config->log_level);
    config_.instance = config->instance;
    config_.vpc_rules = config->vpc_rules;
    config_.log_level = config->log_level;
    for (std::size_t i = 0; i < std::min(collectors_.size(), labels->origins.size()); ++i) {
      collectors_[i]->relabel(*labels->origins[i], labels->vpcs);
    }
  }
  manager_.reloaded(outcome);
}

bool Supervisor::all_are(bool (*accept)(CollectorThread::State)) const {
  return std::all_of(collectors_.begin(), collectors_.end(),
                     [accept](const auto& collector) { return accept(collector->state()); });
}

void Supervisor::watch_collectors() {
  if (sink_closed_.load(std::memory_order_acquire)) failed_ = true;
  if (no_memory_.load(std::memory_order_acquire)) {
    log_error("no memory is left");
    failed_ = true;
  }
  for (const auto& collector : collectors_) {
    if (collector->state() != CollectorThread::State::kFailed) continue;
    log_error(fmt::format("conntrack: {}{}", prefix(*collector), collector->error()->message));
    failed_ = true;
  }
  if (failed_) return;
  if (!reported_ready_ &&
      all_are([](CollectorThread::State state) { return state != CollectorThread::State::kStarting; })) {
    reported_ready_ = true;
    std::uint64_t live = 0;
    for (const auto& collector : collectors_) live += collector->report().live;
    log_info(fmt::format("ready: {} open sessions; {}", live, ready_text_));
    manager_.ready();
  }
  tell_losses(false);
  tell_passes();
  tell_groups();
  tell_sysctls();
}

// What is off at the start was told there.
void Supervisor::tell_sysctls() {
  for (std::size_t i = 0; i < collectors_.size(); ++i) {
    const CollectorReport now = collectors_[i]->report();
    if (!now.ready) continue;
    const ConntrackSysctls before = std::exchange(told_sysctls_[i], now.sysctls).value_or(now.sysctls);
    const auto tell_change = [&](const ConntrackSysctls& from, const ConntrackSysctls& to, const auto& tell) {
      for_each_off(to, [&](const Row& row) {
        bool was_off = false;
        for_each_off(from, [&](const Row& other) { was_off = was_off || other.name == row.name; });
        if (!was_off) tell(row);
      });
    };
    const std::string where = prefix(*collectors_[i]);
    tell_change(before, now.sysctls, [&](const Row& row) { log_warning(where + std::string(row.text)); });
    tell_change(now.sysctls, before, [&](const Row& row) {
      log_info(fmt::format("{}nf_conntrack_{} is not 0 any more, for flows that begin now", where, row.name));
    });
  }
}

// While logging is off, or the namespace is gone, there is nothing to tell.
void Supervisor::tell_groups() {
  for (std::size_t i = 0; i < collectors_.size(); ++i) {
    const CollectorReport now = collectors_[i]->report();
    const EventChoice choice{now.groups, now.groups_why};
    if (choice == told_groups_[i] || !now.ready || now.groups == EventGroups{false, false, false}) continue;
    told_groups_[i] = choice;
    log_info(fmt::format("{}events from now on: {}: {}", prefix(*collectors_[i]), to_string(now.groups),
                         in_words(now.groups_why)));
  }
}

// Whether each collector has come round since a moment ago. One that hangs can only be helped by a restart;
// one whose records find no room goes on turning.
bool Supervisor::collectors_turn() {
  bool all = true;
  for (std::size_t i = 0; i < collectors_.size(); ++i) {
    const std::uint64_t turns = collectors_[i]->turns();
    all = all && turns != turns_[i];
  }
  const std::chrono::nanoseconds now = clock_.steady();
  if (all) {
    turned_at_ = now;
    for (std::size_t i = 0; i < collectors_.size(); ++i) turns_[i] = collectors_[i]->turns();
  }
  return now - turned_at_ < kTurnLimit;
}

// For whoever looks for a fault: what each dump of the table finds things at, and how the sinks get on.
void Supervisor::tell_passes() {
  bool told = false;
  for (std::size_t i = 0; i < collectors_.size(); ++i) {
    const CollectorReport now = collectors_[i]->report();
    if (now.passes == reported_[i].passes) continue;
    reported_[i].passes = now.passes;
    told = true;
    log_debug(fmt::format("{}dump {} of the conntrack table begins: {} open sessions, {} records so far",
                          prefix(*collectors_[i]), now.passes, now.live, now.records.total()));
  }
  if (!told) return;
  for (const SinkReport& sink : delivery_.sink_reports()) {
    log_debug(fmt::format("sink {}: {} records delivered, {} waiting, {} tries beyond the first", sink.name,
                          sink.delivered, sink.waiting, sink.retried));
  }
}

void Supervisor::tell_losses(bool now) {
  const std::chrono::nanoseconds steady = clock_.steady();
  if (!now && reported_at_.count() != 0 && steady - reported_at_ < kTellInterval) return;
  bool told = false;
  for (std::size_t i = 0; i < collectors_.size(); ++i)
    told = tell_losses_of(*collectors_[i], reported_[i]) || told;
  if (told) reported_at_ = steady;
}

// True if there was something to tell.
bool Supervisor::tell_losses_of(const CollectorThread& collector, CollectorReport& reported) {
  const CollectorReport now = collector.report();
  bool any = false;
  const auto tell = [&](std::uint64_t count, std::uint64_t before, std::string_view text) {
    if (count == before) return false;
    log_warning(prefix(collector) + fmt::format(fmt::runtime(text), count - before));
    return any = true;
  };
  tell(now.events_lost, reported.events_lost,
       "{} conntrack events were lost: the log has a gap record for it; a larger --rcvbuf holds longer "
       "bursts");
  tell(now.guard_trips, reported.guard_trips,
       "reliable mode went off {} times because undelivered events were filling the conntrack table");
  tell(now.not_followed, reported.not_followed,
       "{} sessions were beyond the limit of the session table and not followed");
  if (reported.counters_reset == 0)  // whoever zeroes counters does so again and again
    tell(now.counters_reset, 0,
         "another program zeroes the counters of flows (conntrack -z): {} records so far had to leave them "
         "out");
  tell(now.malformed, reported.malformed, "{} malformed messages from the kernel were skipped");
  if (tell(now.passes_failed, reported.passes_failed,
           "{} dumps of the conntrack table failed or were interrupted")) {
    if (const auto error = collector.error())
      log_warning(fmt::format("{}dump: {}", prefix(collector), error->message));
  }
  const std::uint64_t passes = reported.passes;  // told apart
  reported = now;
  reported.passes = passes;
  return any;
}

int Supervisor::stop(const std::function<void()>& finish) {
  manager_.stopping();
  log_info(stopping_ ? "stopping: open sessions get an interim record" : "stopping after a failure");
  stopping_ = true;
  for (const auto& collector : collectors_) collector->request_stop();
  if (!wait_for_collectors(kCollectorStopLimit)) {
    log_error("a sink takes nothing: open sessions were not written as interim records");
    failed_ = true;
    for (const auto& collector : collectors_) collector->request_abort();
  }
  for (const auto& collector : collectors_) collector->join();
  on_inputs_end_();
  delivery_.set_logged_until(to_ms(clock_.now()));
  tell_losses(true);
  for (const auto& collector : collectors_) collector->finish_output();
  const Drained drained = drain();
  finish();
  std::uint64_t records = 0;
  for (const auto& collector : collectors_) records += collector->report().records.total();
  const int status = failed_ || !drained ? 1 : 0;
  log_info(fmt::format("stopped: {} records {}", records,
                       !drained                 ? "were logged, and not all of them delivered"
                       : config_.ledger.empty() ? "written"
                                                : "written to the ledger"));
  if (drained.any_hung()) ::_exit(status);
  return status;
}

// True when all have emitted what they saw, or failed.
bool Supervisor::wait_for_collectors(std::chrono::seconds limit) {
  const std::chrono::nanoseconds deadline = clock_.steady() + limit;
  while (clock_.steady() < deadline) {
    if (all_are([](CollectorThread::State state) {
          return state == CollectorThread::State::kDone || state == CollectorThread::State::kFailed;
        })) {
      return true;
    }
    if (sink_closed_.load(std::memory_order_acquire)) return false;
    wait(std::chrono::milliseconds(100));
    handle_signals();
    manager_.alive();
  }
  return false;
}

Drained Supervisor::drain() {
  const Drained drained = delivery_threads_.drain_and_stop(kDrainLimit, [this] {
    handle_signals();
    manager_.alive();
  });
  for (const Drained::Undelivered& sink : drained.undelivered) {
    log_error(fmt::format("sink {}: {} records were not delivered{}", sink.sink, sink.records,
                          sink.hung ? ": it did not come back from a write" : ""));
  }
  for (const Drained::Undelivered& sink : drained.kept) {
    if (sink.records > 0)
      log_info(fmt::format("sink {}: {} records wait for it in the ledger", sink.sink, sink.records));
  }
  return drained;
}

}  // namespace natsession
