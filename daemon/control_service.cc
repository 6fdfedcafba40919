#include "control_service.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <thread>

#include <fmt/format.h>

namespace natsession {
namespace {

// A census that is so young is taken for the present.
constexpr std::chrono::seconds kCensusAge{3};
// So long a question waits for a newer one.
constexpr std::chrono::milliseconds kCensusPatience{1500};

std::string build_text() {
#ifdef NDEBUG
  return fmt::format("g++ {}, optimised", __VERSION__);
#else
  return fmt::format("g++ {}, with assertions", __VERSION__);
#endif
}

EventCounts events_of(const CollectorStatus& status) {
  return {status.events_new.load(std::memory_order_relaxed),
          status.events_update.load(std::memory_order_relaxed),
          status.events_destroy.load(std::memory_order_relaxed)};
}

}  // namespace

ControlService::ControlService(const Config& config, Collectors& collectors, Delivery& delivery,
                               std::vector<std::unique_ptr<LiveSessions>> tables, const Clock& clock)
    : config_(config),
      collectors_(collectors),
      delivery_(delivery),
      tables_(std::move(tables)),
      clock_(clock),
      started_(to_ms(clock.now())),
      rates_(std::vector<Rates>(collectors.size())) {}

void ControlService::tick() {
  rates_.with([this](std::vector<Rates>& rates) {
    for (std::size_t i = 0; i < rates.size(); ++i) {
      const CollectorStatus& status = collectors_[i]->status();
      rates[i].events.sample(clock_.steady(), events_of(status).total());
      rates[i].records.sample(clock_.steady(), status.all_records());
    }
  });
}

Status ControlService::status() {
  tick();
  Status status;
  status.version = NATSESSION_VERSION;
  status.build = build_text();
  status.started = started_;
  status.now = to_ms(clock_.now());
  status.logging = logging_.load(std::memory_order_relaxed);
  report_collectors(status);
  report_sinks(status);
  report_ledger(status);
  return status;
}

void ControlService::report_collectors(Status& status) {
  for (const auto& collector : collectors_) {
    const CollectorStatus& seen = collector->status();
    const auto get = [](const std::atomic<std::uint64_t>& value) {
      return value.load(std::memory_order_relaxed);
    };
    const auto records = [&](RecordEvent event) {
      return get(seen.records[static_cast<std::size_t>(event)]);
    };
    CollectorReport report;
    report.netns = collector->netns();
    report.ready = collector->state() == CollectorThread::State::kReady;
    report.reliable = seen.reliable.load(std::memory_order_relaxed);
    report.guard_tripped = config_.reliable == ReliableMode::kAuto && report.ready && !report.reliable;
    report.live = get(seen.live);
    report.events = events_of(seen);
    report.records = {records(RecordEvent::kStart), records(RecordEvent::kInterim),
                      records(RecordEvent::kEnd), records(RecordEvent::kGap)};
    report.events_delayed = get(seen.events_delayed);
    report.events_lost = get(seen.events_lost);
    report.gaps = get(seen.gaps);
    report.guard_trips = get(seen.guard_trips);
    report.vanished = get(seen.vanished);
    report.not_followed = get(seen.not_followed);
    report.malformed = get(seen.malformed);
    report.dumps_failed = get(seen.passes_failed);
    report.receive_buffer_bytes = collector->granted_receive_buffer().bytes;
    status.collectors.push_back(std::move(report));
  }
  rates_.with([&](const std::vector<Rates>& rates) {
    for (std::size_t i = 0; i < rates.size(); ++i) {
      status.collectors[i].events_per_second = rates[i].events.per_second();
      status.collectors[i].records_per_second = rates[i].records.per_second();
    }
  });
}

void ControlService::report_sinks(Status& status) const {
  for (const SinkStatus& seen : delivery_.status()) {
    SinkReport report;
    report.name = seen.name;
    report.destination = seen.name;
    report.enabled = seen.enabled;
    report.state = seen.state == DeliveryState::kFailed      ? SinkState::kFailed
                   : seen.state == DeliveryState::kModifying ? SinkState::kModifying
                                                             : SinkState::kSuccess;
    report.code = seen.code;
    report.message = seen.message;
    report.last_failure_at = seen.last_failure_at;
    report.delivered = seen.delivered;
    report.retried = seen.retried;
    report.waiting = seen.waiting;
    report.dropped = seen.dropped;
    report.rejected = seen.rejected;
    report.oldest_waiting = seen.oldest_waiting;
    report.suspended_until = seen.suspended_until;
    status.sinks.push_back(std::move(report));
  }
}

void ControlService::report_ledger(Status& status) const {
  const auto seen = delivery_.ledger_status();
  if (!seen) return;
  std::error_code ignored;
  LedgerReport report;
  report.directory = std::filesystem::absolute(seen->directory, ignored).string();
  report.bytes = seen->upkeep.bytes;
  report.limit_bytes = config_.ledger_max.bytes;
  report.segments = seen->upkeep.segments;
  report.sealed_segments = seen->upkeep.sealed_segments;
  report.records = seen->upkeep.records;
  if (seen->upkeep.records > 0) report.oldest = seen->upkeep.oldest;
  report.retention = config_.retention;
  report.appended = seen->writer.appended;
  report.pending = seen->writer.pending + seen->queued;
  report.append_failures = seen->failures;
  report.dropped = seen->dropped;
  report.deleted_segments = seen->upkeep.deleted_segments;
  report.deleted_unread_records = seen->upkeep.deleted_unread_records;
  report.damaged_frames = seen->upkeep.damaged_frames;
  report.failure = seen->writer.failure;
  report.upkeep_failure = seen->upkeep.failure;
  status.ledger = std::move(report);
}

Result<void> ControlService::set_enabled(const std::optional<std::string>& sink, bool enabled) {
  if (sink) return delivery_.set_enabled(*sink, enabled);
  logging_.store(enabled, std::memory_order_relaxed);
  for (const auto& collector : collectors_) collector->set_logging(enabled);
  return {};
}

Result<SessionsAnswer> ControlService::sessions(const SessionFilter& filter) {
  SessionsAnswer answer;
  answer.now = to_ms(clock_.now());
  const auto wanted = [&](const auto& table) { return !filter.netns || *filter.netns == table->netns(); };
  if (std::none_of(tables_.begin(), tables_.end(), wanted)) {
    std::string known;
    for (const auto& table : tables_) known += (known.empty() ? "" : ", ") + table->netns();
    return Error{ErrorKind::kUsage, fmt::format("netns '{}' is not watched: {}", filter.netns.value_or(""),
                                                known.empty() ? "the daemon watches its own only" : known)};
  }
  for (const auto& table : tables_) {
    if (!wanted(table) || answer.more) continue;
    if (auto collected = table->collect(filter, answer); !collected) return collected.error();
  }
  return answer;
}

bool ControlService::wait_for_census(const CollectorThread& collector, std::chrono::nanoseconds since,
                                     std::chrono::nanoseconds deadline) const {
  for (;;) {
    const auto census = collector.census();
    if (census != nullptr && census->taken_at >= since) return true;
    if (clock_.steady() >= deadline) return census != nullptr;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Result<std::vector<PortUse>> ControlService::port_use() {
  const std::chrono::nanoseconds now = clock_.steady();
  for (const auto& collector : collectors_) {
    const auto census = collector->census();
    if (census == nullptr || now - census->taken_at > kCensusAge) collector->request_census();
  }
  std::vector<PortUse> uses;
  for (const auto& collector : collectors_) {
    if (collector->state() != CollectorThread::State::kReady) continue;
    if (!wait_for_census(*collector, now - kCensusAge, now + kCensusPatience)) {
      return Error{ErrorKind::kUnavailable, "the ports in use are not counted yet"};
    }
    const auto census = collector->census();
    if (census == nullptr) continue;  // switched off just now
    for (const PortCensus::Use& use : census->uses) {
      uses.push_back({collector->netns(), use.nat_ip, use.protocol, use.ports, use.sessions});
    }
  }
  return uses;
}

}  // namespace natsession
