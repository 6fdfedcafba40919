#include "refused_thread.h"

#include <algorithm>
#include <system_error>

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>

#include "messages.h"

namespace natsession {
namespace {

constexpr std::chrono::milliseconds kIdle{200};
constexpr std::chrono::seconds kStopLimit{20};  // where the log takes nothing any more
// Records that are told between two looks at the socket.
constexpr std::size_t kFlowsAtOnce = 1024;
static_assert(kFlowsAtOnce <= RecordOutput::kRoom / 2);
// A copy is on its way for so long at most: what was refused in a window has come then.
constexpr std::chrono::milliseconds kOnTheWay = 3 * NflogSocket::kFlushAfter;

}  // namespace

RefusedThread::RefusedThread(const Settings& settings, RefusedReader reader, InterfaceTable names,
                             const Origin& origin, VpcMap vpcs, Producer& output, const Clock& clock)
    : origin_(origin),
      vpcs_(std::move(vpcs)),
      output_(output),
      clock_(clock),
      place_(Place{std::move(reader), InterfaceNames(std::move(names))}) {
  for (const std::chrono::seconds window : settings.windows)
    series_.push_back(std::make_unique<Series>(window, settings.max_flows, to_ms(clock.now())));
}

RefusedThread::~RefusedThread() {
  request_stop();
  join();
}

Result<void> RefusedThread::start() {
  if (auto there = wake_.check(); !there) return there;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& failure) {
    return Error{ErrorKind::kUnavailable, std::string("thread of refused packets: ") + failure.what()};
  }
  return {};
}

void RefusedThread::request_stop() {
  stop_.store(true, std::memory_order_relaxed);
  wake_.wake();
}

void RefusedThread::join() {
  if (thread_.joinable()) thread_.join();
}

RefusedThread::Report RefusedThread::report() const {
  return report_.with([](const Report& report) { return report; });
}

void RefusedThread::leave() {
  next_.with([](Next& next) { next = {true, std::nullopt}; });
  wake_.wake();
}

void RefusedThread::go_on(RefusedReader reader, InterfaceTable names) {
  next_.with([&](Next& next) { next = {true, Place{std::move(reader), InterfaceNames(std::move(names))}}; });
  wake_.wake();
}

void RefusedThread::change_place() {
  if (auto next = next_.with([](Next& waiting) { return std::exchange(waiting, Next()); }); next.changes) {
    coming_ = std::move(next.place);
    // What was refused a moment before is on its way, and nobody counts it where the socket is closed.
    leave_at_ = clock_.steady() + (place_ && !broken_ ? kOnTheWay : std::chrono::milliseconds::zero());
  }
  if (leave_at_ && clock_.steady() >= *leave_at_) {
    leave_at_.reset();
    counted_ = counters();
    // What was added up so far is of the place that is left, and has its names: it is told before another
    // one's.
    if (place_) {
      for (const auto& [index, interface] : place_->names.table().all())
        left_names_[index] = label_of_interface(interface.name);
    }
    place_.reset();
    broken_ = false;
    leaving_ = true;
  }
  const auto told = [](const auto& series) { return !series->closing && series->table.flows() == 0; };
  if (!leaving_ || !std::all_of(series_.begin(), series_.end(), told)) return;
  leaving_ = false;
  left_names_.clear();
  place_ = std::exchange(coming_, std::nullopt);
  for (const auto& series : series_) series->is_first = series->is_first || place_;
}

std::string_view RefusedThread::name_of(std::uint32_t index) {
  if (place_) return place_->names.name_of(index);
  const auto known = left_names_.find(index);
  return known != left_names_.end() ? known->second : kUnknownInterface;
}

RefusedCounters RefusedThread::counters() const {
  RefusedCounters all = counted_;
  if (place_) all += place_->reader.counters();
  return all;
}

void RefusedThread::run() {
  pthread_setname_np(pthread_self(), "refused");
  while (true) {
    const bool stopping = stop_.load(std::memory_order_relaxed);
    change_place();
    if (place_) place_->names.refresh();
    const bool more = take_copies();
    close_windows(to_ms(clock_.now()), stopping);
    bool telling = false;
    for (const auto& series : series_) {
      if (series->closing) tell(*series);
      telling = telling || series->closing;
    }
    output_.flush();
    publish();
    if (!stopping) stopping_since_.reset();
    if (stopping && !stopping_since_) stopping_since_ = clock_.steady();
    if (stopping && (!telling || clock_.steady() - *stopping_since_ > kStopLimit)) return;
    if (more || (telling && output_.has_room())) continue;
    pollfd fds[] = {{wake_.fd(), POLLIN, 0},
                    {broken_ || !place_ ? -1 : place_->reader.fd(), POLLIN, 0},
                    {place_ ? place_->names.fd() : -1, POLLIN, 0}};
    constexpr std::chrono::milliseconds kTick{10};
    const auto limit = telling ? kTick : kIdle;
    if (::poll(fds, stopping ? 0 : std::size(fds), static_cast<int>(limit.count())) > 0 &&
        (fds[0].revents & POLLIN) != 0)
      wake_.clear();
  }
}

// Each window's length has a table of its own, and packets are read once.
bool RefusedThread::take_copies() {
  if (broken_ || !place_) return false;
  const auto more = place_->reader.on_readable([this](std::span<const RefusedPacket> packets) {
    for (const auto& series : series_) series->table.add(packets);
  });
  if (more) return *more;
  broken_ = true;
  log_error(fmt::format("refused packets: {}; flow logs say SKIPDATA of them until natsessiond starts again",
                        more.error().message));
  return false;
}

void RefusedThread::close_windows(UnixMs now, bool all) {
  for (const auto& series : series_) {
    if (series->closing) continue;
    auto end = series->schedule.close_if_due(now - kOnTheWay);
    if (!end && (all || (leaving_ && series->table.flows() > 0))) end = now;
    if (!end || !series->table.close_window()) continue;
    series->closing = end;
  }
}

void RefusedThread::tell(Series& series) {
  if (!output_.has_room()) return;
  if (series.table.take(kFlowsAtOnce, [&](const RefusedFlow& flow) { emit(series, flow); }) > 0) return;
  const RefusedCounters counters = this->counters();
  for (const RefusedLeftOut& left : series.table.left_out())
    emit_skipped(series, name_of(left.interface), left.egress, Count(left.packets), series.window);
  const std::uint64_t lost = counters.lost - series.lost_before;
  if (lost > 0 || counters.dropped_messages != series.dropped_before || broken_ || !place_)
    emit_skipped(series, {}, false, lost > 0 ? Count(lost) : Count(), series.window);
  // Nobody took copies before this process did, and what the one before had added up, a kill took along, also
  // where somebody kept the event socket and so the session log has no gap. The window before counts as well:
  // it may have ended in between.
  if (series.is_first) emit_skipped(series, {}, false, Count(), 2 * series.window);
  series.is_first = false;
  series.lost_before = counters.lost;
  series.dropped_before = counters.dropped_messages;
  SessionRecord record = record_of_window(FlowKind::kWindowClosed, &origin_, series.begin_of_closing(),
                                          *series.closing, series.flow());
  record.seq = 1;
  record.session_id = derive_session_id(record);
  // A stop ends within a window, which is not over.
  if (record.end_time - record.start_time == series.window) output_.emit(record);
  series.closing.reset();
}

void RefusedThread::emit(const Series& series, const RefusedFlow& flow) {
  SessionRecord record;
  record.origin = &origin_;
  record.vpc_id = vpcs_.find(flow.src, 0, 0);
  record.protocol = flow.protocol;
  record.pri_ip = flow.src;
  record.pub_ip = flow.dst;
  record.pri_port = record.nat_port = flow.src_port;
  record.pub_port = flow.dst_port;
  record.pkts_from_vpc = Count(flow.packets);
  record.bytes_from_vpc = Count(flow.bytes);
  record.pkts_from_pub = record.bytes_from_pub = Count(0);
  record.start_time = flow.first;
  // The last packet may have come a moment before the window ended, and be told in it all the same.
  record.end_time = std::max(flow.first, std::min(flow.last, *series.closing));
  record.start_time = std::min(record.start_time, record.end_time);
  record.session_start = record.start_time;
  record.event = RecordEvent::kEnd;
  record.flow = series.flow();
  record.flow_kind = FlowKind::kRefused;
  record.tcp_flags = flow.tcp_flags;
  (flow.egress ? record.oif : record.iif) = name_of(flow.interface);
  record.session_id = derive_session_id(record);
  output_.emit(record);
}

void RefusedThread::emit_skipped(const Series& series, std::string_view interface, bool egress, Count count,
                                 std::chrono::seconds span) {
  SessionRecord record =
      record_of_window(FlowKind::kSkipped, &origin_, series.begin_of_closing() + series.window - span,
                       *series.closing, series.flow());
  record.seq = 1;
  record.events_lost = count;
  (egress ? record.oif : record.iif) = interface;
  record.session_id = derive_session_id(record);
  output_.emit(record);
}

void RefusedThread::publish() {
  std::uint64_t left_out = 0;
  for (const auto& series : series_) left_out = std::max(left_out, series->table.left_out_packets());
  report_.with([&](Report& report) {
    report.counters = counters();
    report.left_out = left_out;
  });
}

}  // namespace natsession
