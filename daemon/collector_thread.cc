#include "collector_thread.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>

#include <poll.h>
#include <pthread.h>

namespace natsession {
namespace {

// In a burst records are handed on in full batches, and at least so often.
constexpr std::chrono::milliseconds kFlushInterval{20};

// Cells that one turn looks at while ports are counted: about a millisecond.
constexpr std::uint32_t kPortUsageStep = 32'768;

// The session log's records have interfaces where a flow log reads them as well.
TrackerSettings with_interfaces(TrackerSettings settings, const FlowWants& flows,
                                InterfaceFinder* interfaces) {
  const bool serves = std::any_of(flows.windows.begin(), flows.windows.end(), [&](auto window) {
    return session_log_serves(window, settings.records, settings.window);
  });
  if (serves) settings.interfaces = interfaces;
  return settings;
}

}  // namespace

std::uint64_t number_of(const CoverageConditions& conditions) {
  const std::uint64_t kinds[] = {conditions.events, conditions.nat, conditions.records};
  return kinds[0] | kinds[1] << 8U | kinds[2] << 16U |
         static_cast<std::uint64_t>(conditions.window.count()) << 24U;
}

CollectorThread::CollectorThread(std::string netns, const NamespaceIdentity& identity,
                                 std::unique_ptr<ConntrackSource> source, const TrackerSettings& tracking,
                                 const CollectorSettings& collecting, const CoverageConditions& conditions,
                                 const Origin& origin, VpcMap vpcs, Producer& output, const Clock& clock,
                                 WakeFd& notice, FollowedFlows flows)
    : netns_(std::move(netns)),
      identity_(identity),
      conditions_(conditions),
      clock_(clock),
      notice_(notice),
      source_(std::move(source)),
      output_(output),
      interfaces_(std::move(flows.interfaces)),
      tracker_(with_interfaces(tracking, flows.wants, interfaces_.get()), origin, vpcs, output),
      collector_(*source_, tracker_, output, clock, collecting,
                 follow(flows, tracking, origin, vpcs, output)),
      named_until_(to_ms(clock.now())),
      labels_(Labels{&origin, std::move(vpcs)}) {
  report_.with([this](CollectorReport& report) {
    report.netns = netns_;
    report.receive_buffer_bytes = source_->granted_receive_buffer().bytes;
  });
}

// Made before the collector, which refers to it.
FlowTrackers* CollectorThread::follow(const FollowedFlows& flows, const TrackerSettings& tracking,
                                      const Origin& origin, const VpcMap& vpcs, Producer& output) {
  if (flows.wants.windows.empty()) return nullptr;
  TrackerSettings settings = tracking;
  settings.interfaces = interfaces_.get();
  return &flows_.emplace(flows.wants, settings, flows.log_selects, origin, vpcs, output);
}

void CollectorThread::take_open(std::vector<SessionRecord>& totals) {
  tracker_.take_open(totals);
  if (flows_) flows_->each([&](Tracker& tracker) { tracker.take_open(totals); });
}

CollectorThread::~CollectorThread() {
  request_abort();
  join();
}

void CollectorThread::restore(Open open, const MissedTime& missed, std::optional<UnixMs> logged_since) {
  tracker_.restore(std::move(open.log), logged_since);
  if (flows_) flows_->restore(std::move(open.flows), logged_since, {});
  tell_missed(missed);
}

void CollectorThread::restore(Open open, const Continuation& before, const EventGroups& groups,
                              std::chrono::milliseconds away) {
  report_.with(
      [&](CollectorReport& report) { report.away_seconds = std::chrono::duration<double>(away).count(); });
  tracker_.restore(std::move(open.log), before.covered_from, before.covered_from);
  if (flows_) flows_->restore(std::move(open.flows), before.covered_from, before.covered_from);
  collector_.continue_from(before, groups);
}

void CollectorThread::keep_for_successor(Handover handover) {
  handover_ = std::move(handover);
  region_ = source_->region();
  appended_ = handover_->first;
  output_.on_append([this](Ordinal end) {
    appended_ = handover_->first + end;
    region_->journal().recorded(destroys() - destroys_before_, appended_);
  });
}

void CollectorThread::settle() {
  if (handover_) note_settled();
}

CoverageConditions CollectorThread::conditions() const {
  CoverageConditions conditions = conditions_;
  conditions.events = bits_of(collector_.covered_groups());
  return conditions;
}

// What a successor may rely on: what was known when the files ended where they do.
void CollectorThread::note_settled() {
  const Ordinal written = handover_->written();
  // All that was emitted is appended: events that made no record are done with as well.
  region_->journal().recorded(destroys() - destroys_before_, appended_);
  region_->journal().release(written);
  if (const auto now = follows_ ? collector_.continuation() : std::nullopt) {
    settling_.emplace_back(appended_, Settled{*now, number_of(conditions())});
  } else {
    settling_.clear();
    region_->set_settled(std::nullopt);
  }
  std::optional<Settled> settled;
  for (; !settling_.empty() && settling_.front().first <= written; settling_.pop_front())
    settled = settling_.front().second;
  if (settled) region_->set_settled(settled);
}

void CollectorThread::tell_missed(const MissedTime& missed) {
  tracker_.set_now(clock_.now());
  if (missed.by_old_clock) {
    tracker_.emit_gap(missed.by_old_clock->from, missed.by_old_clock->until, RecordReason::kStopped, Count());
  }
  tracker_.emit_gap(missed.since, to_ms(clock_.now()), RecordReason::kStopped, Count());
}

Result<void> CollectorThread::start() {
  if (auto there = wake_.check(); !there) return there;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& failure) {
    return Error{ErrorKind::kUnavailable, std::string("collector thread: ") + failure.what()};
  }
  return {};
}

void CollectorThread::run() {
  pthread_setname_np(pthread_self(), "collector");
  State end = State::kFailed;
  try {
    end = live();
  } catch (const std::bad_alloc&) {
    error_.with([](std::optional<Error>& error) {
      error = Error{ErrorKind::kUnavailable, "no memory is left"};
    });
  }
  if (end == State::kFailed) follows_ = false;
  // Nobody reads the events from here on, and in reliable mode the kernel would keep flows for this socket,
  // also where somebody else holds it, in a table that fills, for as long as the sinks take to finish. But
  // where a successor goes on with them the guard watches the table until then.
  if (source_ && !handover_) (void)source_->set_reliable(false);
  source_.reset();
  change_state(end);
}

CollectorThread::State CollectorThread::live() {
  const auto failed = [this](const Error& cause) {
    error_.with([&](std::optional<Error>& error) { error = cause; });
    return State::kFailed;
  };
  for (;;) {
    const State end = take_turns();
    if (end != State::kPaused) return end;
    if (auto paused = pause(); !paused) return failed(paused.error());
    change_state(State::kPaused);
    wait_while_paused();
    if (stop_.load(std::memory_order_relaxed) || abort_.load(std::memory_order_relaxed)) return State::kDone;
    if (auto resumed = resume(); !resumed) return failed(resumed.error());
    change_state(State::kStarting);
  }
}

Result<void> CollectorThread::pause() {
  paused_at_ = to_ms(clock_.now());
  paused_booted_ = booted(clock_);
  follows_ = false;
  if (handover_) note_settled();
  if (auto set = source_->set_reliable(false); !set) return set;
  auto left = source_->unsubscribe();
  output_.flush();
  publish();
  if (lost_name_) paused_at_ = named_until_;
  // What is known of the table grows old from here on.
  report_.with([](CollectorReport& report) {
    report.live = 0;
    report.open = 0;
    report.groups = {false, false, false};
    report.groups_why = EventsWhy::kConfigured;
  });
  counting_.reset();
  port_usage_.with([](std::shared_ptr<const PortUsageReport>& report) { report.reset(); });
  return left;
}

Result<void> CollectorThread::resume() {
  if (auto set = source_->set_reliable(collector_.reliable()); !set) return set;
  if (auto resumed = collector_.resume(*source_); !resumed) return resumed;
  follows_ = true;
  tell_missed(missed_since(paused_at_, paused_booted_, clock_));
  return {};
}

// Where the name is lost, what was its namespace ends to be held by this.
void CollectorThread::wait_while_paused() {
  for (;;) {
    turns_.fetch_add(1, std::memory_order_relaxed);
    take_next_source();
    if (source_ != nullptr && !is_named_still()) {
      collector_.leave_source();
      source_.reset();
      if (interfaces_) interfaces_->leave();
      gone_.store(true, std::memory_order_release);
      departures_.fetch_add(1, std::memory_order_release);
      notice_.wake();
    }
    const bool logs = source_ != nullptr && logging_.load(std::memory_order_relaxed);
    if (logs || stop_.load(std::memory_order_relaxed) || abort_.load(std::memory_order_relaxed)) return;
    pollfd poller{wake_.fd(), POLLIN, 0};
    if (::poll(&poller, 1, static_cast<int>(Collector::kIdleLimit.count())) > 0) wake_.clear();
  }
}

// A namespace may be deleted and made again under its name, and this one's sockets would keep the old one.
// Nothing is proved of the time in which that is not known. What may not be looked at is taken for the same.
bool CollectorThread::is_named_still() {
  if (netns_.empty() || lost_name_) return !lost_name_;
  const UnixMs now = to_ms(clock_.now());
  const auto named = NetworkNamespace::identify(netns_);
  lost_name_ = named ? *named != identity_ : named.error().kind != ErrorKind::kPermission;
  if (!lost_name_) named_until_ = now;
  return !lost_name_;
}

void CollectorThread::take_next_source() {
  NextSource next = next_source_.with([](NextSource& waiting) { return std::move(waiting); });
  if (next.source == nullptr) return;
  source_ = std::move(next.source);
  if (interfaces_ && next.interfaces) interfaces_->go_on(*next.interfaces);
  identity_ = next.identity;
  if (handover_) {
    RegionOwner owner = region_->owner();  // of the same ledger, in another namespace
    owner.netns_device = identity_.device;
    owner.netns_inode = identity_.inode;
    (void)source_->take_up(owner, handover_->written(), {});  // it inherits nothing
    region_ = source_->region();
    destroys_before_ = destroys();
  }
  lost_name_ = false;
  report_.with([this](CollectorReport& report) {
    report.receive_buffer_bytes = source_->granted_receive_buffer().bytes;
  });
  gone_.store(false, std::memory_order_release);
}

// One step of it. Sessions come and go in between: the count is as exact as a moment that lasts as long as
// it takes.
void CollectorThread::count_ports() {
  if (counting_ == nullptr) {
    counting_ = std::make_unique<PortUsage>();
    counted_ = {};
  }
  if (!tracker_.count_ports(*counting_, counted_, kPortUsageStep)) return;
  auto taken = std::make_shared<PortUsageReport>();
  taken->taken_at = clock_.steady();
  taken->uses = counting_->entries();
  taken->left_out = counting_->left_out();
  counting_.reset();
  port_usage_.with([&](std::shared_ptr<const PortUsageReport>& report) { report = std::move(taken); });
}

CollectorThread::State CollectorThread::take_turns() {
  bool told_ready = false;
  for (;;) {
    turns_.fetch_add(1, std::memory_order_relaxed);
    if (relabelled_.exchange(false, std::memory_order_acquire)) {
      labels_.with([this](const Labels& labels) {
        tracker_.relabel(*labels.origin, labels.vpcs);
        if (flows_) flows_->each([&](Tracker& tracker) { tracker.relabel(*labels.origin, labels.vpcs); });
      });
    }
    if (!logging_.load(std::memory_order_relaxed) || stop_.load(std::memory_order_relaxed) || lost_name_)
      collector_.request_stop();
    if (counting_ != nullptr || port_usage_wanted_.exchange(false, std::memory_order_relaxed)) count_ports();
    if (interfaces_) interfaces_->refresh();
    const auto pace = collector_.turn();
    // Between the turns of one burst a batch may fill up, so that the sinks write much at a time.
    const std::chrono::nanoseconds now = clock_.steady();
    source_->region()->turned(now);
    if (!pace || *pace != Collector::Pace::kAtOnce || now - flushed_at_ >= kFlushInterval) {
      flushed_at_ = now;
      output_.flush();
      publish();
    }
    if (!pace) {
      error_.with([&](std::optional<Error>& error) { error = pace.error(); });
      return State::kFailed;
    }
    if (abort_.load(std::memory_order_relaxed)) return State::kDone;
    if (*pace == Collector::Pace::kDone)
      return stop_.load(std::memory_order_relaxed) ? State::kDone : State::kPaused;
    if (!told_ready && collector_.ready()) {
      told_ready = true;
      change_state(State::kReady);
    }
    wait(*pace == Collector::Pace::kIdle && counting_ != nullptr ? Collector::Pace::kTick : *pace);
  }
}

void CollectorThread::wait(Collector::Pace pace) {
  if (pace == Collector::Pace::kAtOnce) return;
  // On a tick the event socket is left alone: not to be woken for each event is the point of it.
  pollfd fds[] = {{wake_.fd(), POLLIN, 0}, {source_->event_fd(), POLLIN, 0}};
  const bool idle = pace == Collector::Pace::kIdle;
  const auto limit = idle ? Collector::kIdleLimit : Collector::kTickLength;
  if (::poll(fds, idle ? 2 : 1, static_cast<int>(limit.count())) > 0 && (fds[0].revents & POLLIN) != 0)
    wake_.clear();
}

// What was emitted before is handed on already.
void CollectorThread::publish() {
  std::optional<Coverage> coverage;
  const bool named = is_named_still();
  report_.with([&](CollectorReport& report) {
    collector_.report_to(report);
    report.flows = 0;
    if (flows_) flows_->each([&](const Tracker& tracker) { report.flows += tracker.live(); });
    if (interfaces_) report.interfaces_unknown = interfaces_->unknown();
    if (!named && report.covered_from) {
      report.covered_until = std::min(*report.covered_until, named_until_);
      if (*report.covered_until < *report.covered_from)
        report.covered_from = report.covered_until = std::nullopt;
    }
    if (report.covered_from) {
      coverage = {netns_, *report.covered_from, *report.covered_until, report.covered_whole, conditions()};
    }
  });
  output_.prove(std::move(coverage));
  if (handover_) note_settled();
  const CollectorCounters& counters = collector_.counters();
  if (counters.passes == reported_passes_ && counters.passes_failed == reported_failures_) return;
  if (counters.passes_failed != reported_failures_) {
    error_.with([&](std::optional<Error>& error) { error = collector_.last_dump_error(); });
  }
  reported_passes_ = counters.passes;
  reported_failures_ = counters.passes_failed;
  notice_.wake();
}

CollectorReport CollectorThread::report() const {
  CollectorReport report = report_.with([](const CollectorReport& published) { return published; });
  report.ready = state() == State::kReady;
  report.guard_tripped = report.guard_tripped && report.ready;
  report.gone = gone();
  if (report_refused_) report_refused_(report);
  return report;
}

void CollectorThread::change_state(State state) {
  state_.store(state, std::memory_order_release);
  notice_.wake();
}

void CollectorThread::request_close() {
  collector_.request_close();
  wake_.wake();
}

void CollectorThread::request_stop() {
  stop_.store(true, std::memory_order_relaxed);
  wake_.wake();
}

void CollectorThread::set_logging(bool on) {
  logging_.store(on, std::memory_order_relaxed);
  wake_.wake();
}

void CollectorThread::go_on(std::unique_ptr<ConntrackSource> source,
                            std::unique_ptr<InterfaceRoutes> interfaces, const NamespaceIdentity& identity) {
  next_source_.with([&](NextSource& next) { next = {std::move(source), std::move(interfaces), identity}; });
  wake_.wake();
}

void CollectorThread::request_port_usage() {
  port_usage_wanted_.store(true, std::memory_order_relaxed);
  wake_.wake();
}

std::shared_ptr<const CollectorThread::PortUsageReport> CollectorThread::port_usage() const {
  return port_usage_.with([](const std::shared_ptr<const PortUsageReport>& report) { return report; });
}

void CollectorThread::request_abort() {
  abort_.store(true, std::memory_order_relaxed);
  wake_.wake();
}

void CollectorThread::relabel(const Origin& origin, VpcMap vpcs) {
  labels_.with([&](Labels& labels) { labels = Labels{&origin, std::move(vpcs)}; });
  relabelled_.store(true, std::memory_order_release);
  wake_.wake();
}

void CollectorThread::join() {
  if (thread_.joinable()) thread_.join();
}

std::optional<Error> CollectorThread::error() const {
  return error_.with([](const std::optional<Error>& error) { return error; });
}

}  // namespace natsession
