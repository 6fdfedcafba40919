#include "collector_thread.h"

#include <poll.h>

#include <cerrno>
#include <system_error>

namespace natsession {
namespace {

// In a burst records are handed on in full batches, and at least so often.
constexpr std::chrono::milliseconds kFlushInterval{20};

}  // namespace

CollectorThread::CollectorThread(std::string netns, std::unique_ptr<ConntrackSource> source, const TrackerSettings& tracking,
                                 const CollectorSettings& collecting, const Origin& origin, const VpcMap& vpcs,
                                 Producer& output, const Clock& clock, WakeFd& notice)
    : netns_(std::move(netns)),
      clock_(clock),
      notice_(notice),
      source_(std::move(source)),
      output_(output),
      tracker_(tracking, origin, vpcs, output),
      collector_(*source_, tracker_, output, clock, collecting),
      labels_(Labels{&origin, &vpcs}) {}

CollectorThread::~CollectorThread() {
  request_abort();
  join();
}

void CollectorThread::restore(const SessionState& state) {
  tracker_.set_now(clock_.now());
  for (const Tracker::Saved& saved : state.sessions) tracker_.restore(saved);
  tracker_.emit_gap(state.stopped, to_ms(clock_.now()), RecordReason::kStopped, Count());
}

Result<void> CollectorThread::start() {
  if (!wake_.valid()) return system_error("eventfd", errno);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& failure) {
    return Error{ErrorKind::kUnavailable, std::string("collector thread: ") + failure.what()};
  }
  return {};
}

void CollectorThread::run() {
  const State end = take_turns();
  // Nobody reads the events from here on, and in reliable mode the kernel would keep flows for this socket, in a table
  // that fills, for as long as the sinks take to finish.
  (void)source_->set_reliable(false);  // also where somebody else holds the socket, too
  source_.reset();
  change_state(end);
}

CollectorThread::State CollectorThread::take_turns() {
  bool told_ready = false;
  for (;;) {
    if (relabelled_.exchange(false, std::memory_order_acquire)) {
      labels_.with([this](const Labels& labels) { tracker_.relabel(*labels.origin, *labels.vpcs); });
    }
    const auto pace = collector_.turn();
    // Between the turns of one burst a batch may fill up, so that the sinks write much at a time.
    const std::chrono::nanoseconds now = clock_.steady();
    if (!pace || *pace != Collector::Pace::kAtOnce || now - flushed_at_ >= kFlushInterval) {
      flushed_at_ = now;
      output_.flush();
      publish();
    }
    if (!pace) {
      error_.with([&](std::optional<Error>& error) { error = pace.error(); });
      return State::kFailed;
    }
    if (!told_ready && collector_.ready()) {
      told_ready = true;
      change_state(State::kReady);
    }
    if (*pace == Collector::Pace::kDone || abort_.load(std::memory_order_relaxed)) return State::kDone;
    wait(*pace);
  }
}

void CollectorThread::wait(Collector::Pace pace) {
  if (pace == Collector::Pace::kAtOnce) return;
  // On a tick the event socket is left alone: not to be woken for each event is the point of it.
  pollfd fds[] = {{wake_.fd(), POLLIN, 0}, {source_->event_fd(), POLLIN, 0}};
  const bool idle = pace == Collector::Pace::kIdle;
  const auto limit = idle ? Collector::kIdleLimit : Collector::kTickLength;
  if (::poll(fds, idle ? 2 : 1, static_cast<int>(limit.count())) > 0 && (fds[0].revents & POLLIN) != 0) wake_.clear();
}

void CollectorThread::publish() {
  const auto set = [](std::atomic<std::uint64_t>& to, std::uint64_t value) {
    to.store(value, std::memory_order_relaxed);
  };
  const TrackerCounters tracked = tracker_.counters();
  set(status_.live, tracker_.live());
  set(status_.records, tracked.records);
  set(status_.vanished, tracked.vanished);
  set(status_.not_followed, tracked.not_followed);
  set(status_.events_delayed, collector_.counters().events_delayed);
  set(status_.guard_trips, collector_.counters().guard_trips);
  set(status_.events_lost, collector_.counters().events_lost);
  set(status_.malformed, source_->event_counters().decode.malformed);
  if (status_.passes_failed.load(std::memory_order_relaxed) != collector_.counters().passes_failed) {
    set(status_.passes_failed, collector_.counters().passes_failed);
    error_.with([&](std::optional<Error>& error) { error = collector_.last_dump_error(); });
    notice_.wake();
  }
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
  collector_.request_stop();
  wake_.wake();
}

void CollectorThread::request_abort() {
  abort_.store(true, std::memory_order_relaxed);
  wake_.wake();
}

void CollectorThread::relabel(const Origin& origin, const VpcMap& vpcs) {
  labels_.with([&](Labels& labels) { labels = Labels{&origin, &vpcs}; });
  relabelled_.store(true, std::memory_order_release);
  wake_.wake();
}

void CollectorThread::join() {
  if (thread_.joinable()) thread_.join();
}

std::optional<Error> CollectorThread::error() const {
  return error_.with([](const std::optional<Error>& error) { return error; });
}

Result<void> CollectorThread::save_state(const std::string& path, std::string_view boot_id) {
  return write_state_file(path, boot_id, to_ms(clock_.now()), tracker_);
}

}  // namespace natsession
