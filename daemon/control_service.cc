#include "control_service.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "config/flow_log_files.h"
#include "messages.h"

namespace natsession {
namespace {

// A count that is so young is taken for the present.
constexpr std::chrono::seconds kPortUsageAge{3};
// Where the table has to be dumped for it: one part in this of the time at most.
constexpr int kCountShare = 10;
// So long a question waits for a newer one.
constexpr std::chrono::milliseconds kPortUsagePatience{1500};
// So long a question waits for the ledger to have what ended before it was asked.
constexpr std::chrono::milliseconds kRecordedPatience{2000};
// How often is looked whether it has come.
constexpr std::chrono::milliseconds kInterval{5};

}  // namespace

ControlService::ControlService(Collectors& collectors, Delivery& delivery,
                               std::vector<std::shared_ptr<LiveSessions>> tables, const Clock& clock)
    : collectors_(collectors),
      delivery_(delivery),
      tables_(std::move(tables)),
      clock_(clock),
      started_(to_ms(clock.now())),
      rates_(std::vector<Rates>(collectors.size())),
      counts_(collectors.size()) {}

void ControlService::set_table(std::size_t index, std::shared_ptr<LiveSessions> table) {
  const std::lock_guard lock(counts_[index].mutex);
  counts_[index].usage.reset();  // it was of another namespace
  tables_.with([&](auto& tables) { tables[index].swap(table); });
}

void ControlService::tick() {
  rates_.with([this](std::vector<Rates>& rates) {
    for (std::size_t i = 0; i < rates.size(); ++i) {
      const CollectorReport report = collectors_[i]->report();
      rates[i].events.sample(clock_.steady(), report.events.total());
      rates[i].records.sample(clock_.steady(), report.records.total());
    }
  });
}

Status ControlService::status() {
  Status status = status_at_hand();
  for (std::size_t i = 0; i < status.collectors.size(); ++i) {
    CollectorReport& collector = status.collectors[i];
    if (collector.open || !collector.ready) continue;
    if (const auto counted = count(i); counted && *counted) collector.open = (*counted)->sessions;
  }
  return status;
}

// By a dump of the table, which takes two seconds of CPU a million: so at most a part of the time. None:
// there is no table.
Result<std::shared_ptr<const LiveSessions::Usage>> ControlService::count(std::size_t index) {
  Count& kept = counts_[index];
  const std::lock_guard lock(kept.mutex);
  const std::chrono::nanoseconds now = clock_.steady();
  const auto age = std::max<std::chrono::nanoseconds>(kPortUsageAge, kept.took * kCountShare);
  if (kept.usage && now - kept.began < age) return kept.usage;
  const auto table = tables_.with([&](const auto& tables) { return tables[index]; });
  if (table == nullptr) return std::shared_ptr<const LiveSessions::Usage>();
  auto usage = table->count();
  if (!usage) return usage.error();
  kept.began = now;
  kept.took = clock_.steady() - now;
  kept.usage = std::make_shared<const LiveSessions::Usage>(*std::move(usage));
  return kept.usage;
}

Status ControlService::status_at_hand() {
  tick();
  Status status;
  status.version = NATSESSION_VERSION;
  status.build = NATSESSION_BUILD;
  status.started = started_;
  status.now = to_ms(clock_.now());
  status.logging = logging_.load(std::memory_order_relaxed);
  for (const auto& collector : collectors_) status.collectors.push_back(collector->report());
  rates_.with([&](const std::vector<Rates>& rates) {
    for (std::size_t i = 0; i < rates.size(); ++i) {
      status.collectors[i].events_per_second = rates[i].events.per_second();
      status.collectors[i].records_per_second = rates[i].records.per_second();
    }
  });
  status.sinks = delivery_.sink_reports();
  status.ledger = delivery_.ledger_report();
  if (identity_ != nullptr) status.identity = identity_->report();
  return status;
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
  const auto wanted = [&](const auto& collector) {
    return !filter.netns || *filter.netns == collector->netns();
  };
  if (std::none_of(collectors_.begin(), collectors_.end(), wanted)) {
    std::string known;
    for (const auto& collector : collectors_) known += (known.empty() ? "" : ", ") + collector->netns();
    return Error{ErrorKind::kUsage, fmt::format("netns '{}' is not watched: {}", filter.netns.value_or(""),
                                                known.empty() ? "the daemon watches its own only" : known)};
  }
  const auto tables = tables_.with([](const auto& kept) { return kept; });
  for (std::size_t i = 0; i < tables.size(); ++i) {
    if (!wanted(collectors_[i]) || answer.more) continue;
    if (tables[i] == nullptr) {
      if (!filter.netns) continue;
      return Error{ErrorKind::kUnavailable, fmt::format("netns '{}' is gone", *filter.netns)};
    }
    if (auto collected = tables[i]->collect(filter, answer); !collected) return collected.error();
  }
  answer.recorded = filter.recorded && wait_until_recorded(to_ms(clock_.now()));
  return answer;
}

template <typename Met>
bool ControlService::wait_until(std::chrono::nanoseconds deadline, Met met) const {
  while (!met()) {
    if (clock_.steady() >= deadline) return false;
    std::this_thread::sleep_for(kInterval);
  }
  return true;
}

// Whether all sessions that ended before `time` are in the ledger, for its readers.
bool ControlService::wait_until_recorded(UnixMs time) const {
  if (!delivery_.ledger_report()) return false;
  const auto saw_it = [time](const auto& collector) {
    const CollectorReport report = collector->report();
    return report.covered_until && *report.covered_until >= time;
  };
  const auto gone = [](const auto& collector) { return collector->gone(); };
  bool recorded = false;
  static_cast<void>(wait_until(clock_.steady() + kRecordedPatience, [&] {
    if (!logging_.load(std::memory_order_relaxed) ||
        std::any_of(collectors_.begin(), collectors_.end(), gone))
      return true;
    if (std::all_of(collectors_.begin(), collectors_.end(), saw_it)) {
      delivery_.want_proof();
    } else {
      for (const auto& collector : collectors_) collector->wake();
    }
    const auto proved = delivery_.proved_until();
    recorded = proved && *proved >= time;
    return recorded;
  }));
  return recorded;
}

Result<FlowLogsAnswer> ControlService::flow_logs() {
  if (configuration_.empty())
    return Error{ErrorKind::kUsage, "natsessiond runs without --config: it has no files of flow logs"};
  return flow_logs_of(configuration_);
}

// Who may steer decides with this program's rights where entries go; but not which programs run.
Result<FlowLogChanged> ControlService::change_flow_log(const FlowLogChange& change) {
  if (configuration_.empty())
    return Error{ErrorKind::kUsage, "natsessiond runs without --config: it has no files of flow logs"};
  if (change.action == "create") {
    const auto log = parse_asked(change.log);
    if (!log) return log.error();
    if (log->destination.command()) {
      return Error{ErrorKind::kPermission,
                   "destination: a flow log whose destination starts a program is made by root, in conf.d"};
    }
  }
  auto changed = change_flow_logs(configuration_, change);
  const std::string name = change.name.empty() ? "" : " " + change.name;
  if (changed) {
    log_info(fmt::format("control socket: flow log {}: {}: {}", changed->name, changed->done, changed->file));
  } else {
    log_debug(
        fmt::format("control socket: flow log{}: {}: {}", name, change.action, changed.error().message));
  }
  return changed;
}

Result<std::vector<PortUse>> ControlService::port_use() {
  const std::chrono::nanoseconds now = clock_.steady();
  const auto is_followed = [](const CollectorThread& collector) { return collector.report().groups.new_; };
  for (const auto& collector : collectors_) {
    const auto usage = collector->port_usage();
    const bool old = usage == nullptr || now - usage->taken_at > kPortUsageAge;
    if (old && is_followed(*collector)) collector->request_port_usage();
  }
  std::vector<PortUse> uses;
  for (std::size_t i = 0; i < collectors_.size(); ++i) {
    const CollectorThread& collector = *collectors_[i];
    if (collector.state() != CollectorThread::State::kReady) continue;
    const auto add = [&](const std::vector<PortUsage::Entry>& entries) {
      for (const PortUsage::Entry& use : entries)
        uses.push_back({collector.netns(), use.nat_ip, use.protocol, use.ports, use.sessions});
    };
    if (!is_followed(collector)) {
      const auto counted = count(i);
      if (!counted) return counted.error();
      if (*counted) add((*counted)->ports);
      continue;
    }
    const bool counted = wait_until(now + kPortUsagePatience, [&] {
      const auto usage = collector.port_usage();
      return usage != nullptr && usage->taken_at >= now - kPortUsageAge;
    });
    if (!counted && collector.port_usage() == nullptr) {
      return Error{ErrorKind::kUnavailable, "the ports in use are not counted yet"};
    }
    // None: switched off just now.
    if (const auto usage = collector.port_usage()) add(usage->uses);
  }
  return uses;
}

}  // namespace natsession
