#include "supervisor.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "messages.h"
#include "notify.h"

namespace natsession {
namespace {

// How long a stop may take: the last dump of a full table and what is queued for the sinks.
constexpr std::chrono::seconds kCollectorStopLimit{20};
constexpr std::chrono::seconds kDrainLimit{20};

// Losses that go on are told so often.
constexpr std::chrono::seconds kTellInterval{10};

sigset_t watched_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) sigaddset(&set, number);
  return set;
}

}  // namespace

void block_signals() {
  const sigset_t set = watched_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

Result<std::unique_ptr<Labels>> make_labels(const Config& config) {
  std::vector<VpcRule> rules;
  for (const std::string& text : config.vpc_ids) {
    auto rule = VpcRule::parse(text);
    if (!rule) return rule.error();
    rules.push_back(std::move(*rule));
  }
  auto labels = std::make_unique<Labels>();
  labels->origin.instance = config.instance;
  labels->vpcs = VpcMap(std::move(rules));
  return labels;
}

Supervisor::Supervisor(Config config, Reload reload, CollectorThread& collector, Producer& output, Delivery& delivery,
                       WakeFd& notice)
    : config_(std::move(config)),
      reload_(std::move(reload)),
      collector_(collector),
      output_(output),
      delivery_(delivery),
      notice_(notice) {}

void Supervisor::sink_closed() {
  sink_closed_.store(true, std::memory_order_release);
  notice_.wake();
}

int Supervisor::run(const std::string& ready_text) {
  ready_text_ = ready_text;
  const sigset_t set = watched_signals();
  signals_.reset(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals_) {
    log_error(system_error("signalfd", errno).message);
    failed_ = true;
  }
  while (!stopping_ && !failed_) {
    pollfd fds[] = {{signals_.get(), POLLIN, 0}, {notice_.fd(), POLLIN, 0}};
    ::poll(fds, 2, 1000);
    notice_.clear();
    handle_signals();
    watch_collector();
  }
  return stop();
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
        collector_.request_close();
        break;
      default:
        if (stopping_) {
          log_error("stopped at once by a second signal; records that were still queued are lost");
          ::_exit(1);
        }
        stopping_ = true;
    }
  }
}

void Supervisor::handle_reload() {
  notify_manager("RELOADING=1");
  log_info("SIGHUP: reopening files and rereading the configuration");
  delivery_.request_reopen();
  auto config = reload_();
  auto labels = config ? make_labels(*config) : Result<std::unique_ptr<Labels>>(config.error());
  if (!labels) {
    log_error(fmt::format("configuration: {}; the old one stays in force", labels.error().message));
  } else {
    std::string restart;
    for (const std::string& name : settings_that_differ(config_, *config)) {
      if (name == "instance" || name == "vpc_id" || name == "log_level") continue;
      restart += (restart.empty() ? "" : ", ") + name;
    }
    if (!restart.empty()) log_warning(fmt::format("configuration: a change of {} needs a restart", restart));
    set_message_level(config->log_level);
    config_.instance = config->instance;
    config_.vpc_ids = config->vpc_ids;
    config_.log_level = config->log_level;
    labels_.push_back(std::move(*labels));
    collector_.relabel(labels_.back()->origin, labels_.back()->vpcs);
  }
  notify_manager("READY=1");
}

void Supervisor::watch_collector() {
  if (sink_closed_.load(std::memory_order_acquire)) failed_ = true;
  const CollectorThread::State state = collector_.state();
  if (state == CollectorThread::State::kFailed) {
    log_error(fmt::format("conntrack: {}", collector_.error()->message));
    failed_ = true;
    return;
  }
  if (!told_ready_ && state != CollectorThread::State::kStarting) {
    told_ready_ = true;
    log_info(fmt::format("ready: {} open sessions; {}", collector_.status().live.load(std::memory_order_relaxed), ready_text_));
    notify_manager("READY=1\nSTATUS=logging NAT sessions");
  }
  tell_losses();
}

void Supervisor::tell_losses() {
  const std::chrono::nanoseconds now = clock_.steady();
  if (told_.at.count() != 0 && now - told_.at < kTellInterval && !stopping_) return;
  const CollectorStatus& status = collector_.status();
  bool told = false;
  const auto tell = [&](const std::atomic<std::uint64_t>& value, std::uint64_t& before, std::string_view text) {
    const std::uint64_t current = value.load(std::memory_order_relaxed);
    if (current == before) return;
    log_warning(fmt::format(fmt::runtime(text), current - before));
    before = current;
    told = true;
  };
  tell(status.overruns, told_.overruns,
       "the receive buffer overran {} times: the log has gap records for it; a larger --rcvbuf helps");
  tell(status.events_lost, told_.events_lost, "{} conntrack events were lost in overruns");
  tell(status.not_followed, told_.not_followed, "{} sessions were beyond the limit of the session table and not followed");
  tell(status.malformed, told_.malformed, "{} malformed messages from the kernel were skipped");
  const std::uint64_t failures = told_.passes_failed;
  tell(status.passes_failed, told_.passes_failed, "{} dumps of the conntrack table failed or were interrupted");
  if (told_.passes_failed != failures) {
    if (const auto error = collector_.error()) log_warning(fmt::format("dump: {}", error->message));
  }
  if (told) told_.at = now;
}

int Supervisor::stop() {
  notify_manager("STOPPING=1");
  log_info(stopping_ ? "stopping: open sessions get an interim record" : "stopping after a failure");
  stopping_ = true;
  collector_.request_stop();
  if (!wait_for_collector(kCollectorStopLimit)) {
    log_error("a sink takes nothing: open sessions were not written as interim records");
    failed_ = true;
    collector_.request_abort();
  }
  collector_.join();
  told_.at = {};
  tell_losses();
  output_.finish();
  return drain();
}

// True when the collector has emitted all that it saw, or failed.
bool Supervisor::wait_for_collector(std::chrono::seconds limit) {
  const std::chrono::nanoseconds deadline = clock_.steady() + limit;
  while (clock_.steady() < deadline) {
    const CollectorThread::State state = collector_.state();
    if (state == CollectorThread::State::kDone || state == CollectorThread::State::kFailed) return true;
    if (sink_closed_.load(std::memory_order_acquire)) return false;
    pollfd fds[] = {{signals_.get(), POLLIN, 0}, {notice_.fd(), POLLIN, 0}};
    ::poll(fds, 2, 100);
    notice_.clear();
    handle_signals();
  }
  return false;
}

int Supervisor::drain() {
  const Drained drained = delivery_.drain_and_stop(kDrainLimit);
  bool hung = false;
  for (const Drained::Undelivered& sink : drained.undelivered) {
    log_error(fmt::format("sink {}: {} records were not delivered{}", sink.sink, sink.records,
                          sink.hung ? ": it did not come back from a write" : ""));
    hung = hung || sink.hung;
  }
  const std::uint64_t records = collector_.status().records.load(std::memory_order_relaxed);
  const int status = failed_ || !drained ? 1 : 0;
  log_info(fmt::format("stopped: {} records written", records));
  if (hung) ::_exit(status);  // the thread that hangs still uses what would be destroyed
  return status;
}

}  // namespace natsession
