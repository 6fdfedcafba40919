#include "delivery_setup.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/time.h"
#include "kernel_setup.h"
#include "messages.h"
#include "session/flow_trackers.h"
#include "sink/flow/flow_sink.h"

namespace natsession {
namespace {

EncoderOptions encoder_options(const Config& config) {
  return {.format = config.format,
          .time_format = config.time_format,
          .fields = config.fields,
          .with_netns = config.netns.size() > 1};
}

SinkSpec spec_of(const Config& config, const SinkConfig& sink, std::unique_ptr<Sink> opened) {
  const DeliveryOptions& asked = sink.delivery();
  SinkSpec spec;
  spec.sink = std::move(opened);
  // Local sinks are given what there is, at once, unless their URL says otherwise.
  if (sink.remote())
    spec.batch = {.records = config.batch, .bytes = config.batch_bytes, .linger = config.linger};
  if (const auto& usual = sink.usual_batch(); usual)
    spec.batch = {.records = usual->records, .bytes = usual->bytes, .linger = usual->linger};
  if (asked.batch) spec.batch.records = *asked.batch;
  if (asked.batch_bytes) spec.batch.bytes = *asked.batch_bytes;
  if (asked.linger) spec.batch.linger = *asked.linger;
  spec.suspend = asked.suspend.value_or(config.suspend);
  spec.from_start = asked.from_start;
  log_debug(
      fmt::format("sink {}: opened; batches of at most {} records or {} after {}", spec.sink->name(),
                  spec.batch.records, format_byte_count(spec.batch.bytes),
                  format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(spec.batch.linger))));
  return spec;
}

Result<std::unique_ptr<Sink>> open_flow_log(const Config& config, const FlowLogConfig& log,
                                            const Clock& clock, std::unique_ptr<CommandRunner> runner,
                                            const InterfaceDirectory& interfaces,
                                            const std::vector<FlowLogTimes>& times,
                                            const SinkIdentity& identity) {
  EncoderOptions options = encoder_options(config);
  options.own = std::make_shared<const FlowEncoder>(
      log.record,
      FlowIds{config.account_id, config.region_id, config.az_id, config.interface_ids, config.network_ids,
              config.vm_ids, log.destination.tells_identity() ? identity.subscribers : nullptr},
      log.format);
  auto behind = log.destination.open(options, clock, std::move(runner));
  if (!behind) {
    return Error{behind.error().kind, fmt::format("flow log {}: {}", log.name, behind.error().message)};
  }
  FlowSinkSettings settings{
      .name = log.name,
      .resource = log.resource,
      .traffic = log.traffic,
      .window = log.window,
      .shares_session_log = session_log_serves(log.window, config.records, config.window),
      .netns = config.netns.empty() ? std::vector<std::string>{""} : config.netns,
      .refused = wants_refused(config),
      .off = {},
      .limits = {.entries = config.flow_entries}};
  for (const FlowLogTimes& known : times) {
    if (known.name == log.name) settings.off = known.off;
  }
  // Records have a namespace's name only where more than one is watched.
  if (settings.netns.size() == 1) settings.netns = {""};
  return std::unique_ptr<Sink>(
      std::make_unique<FlowSink>(std::move(*behind), std::move(settings), interfaces));
}

}  // namespace

LedgerSettings ledger_settings(const Config& config) {
  LedgerSettings settings;
  settings.directory = config.ledger;
  settings.retention = config.retention;
  settings.limit = config.ledger_max;
  settings.window = config.window;
  if (config.sync.mode == Sync::Mode::kAlways) settings.sync = SyncMode::kAlways;
  if (config.sync.mode == Sync::Mode::kNever) settings.sync = SyncMode::kNever;
  if (config.sync.mode == Sync::Mode::kInterval) settings.sync_interval = config.sync.interval;
  // Retention deletes whole segments: a few of them make up the ledger, however small it is.
  constexpr std::uint64_t kSegments = 16;
  settings.segment_limit.bytes = std::min(settings.segment_limit.bytes, config.ledger_max.bytes / kSegments);
  settings.segment_span = std::min(settings.segment_span, config.retention / static_cast<int>(kSegments));
  return settings;
}

std::vector<const SinkConfig*> destinations(const Config& config) {
  std::vector<const SinkConfig*> all;
  for (const SinkConfig& sink : config.sinks) all.push_back(&sink);
  for (const FlowLogConfig& log : config.flow_logs) {
    if (log.on) all.push_back(&log.destination);
  }
  return all;
}

Result<std::vector<SinkSpec>> make_sinks(const Config& config, const Clock& clock,
                                         std::vector<std::unique_ptr<CommandRunner>> runners,
                                         const InterfaceDirectory& interfaces,
                                         const std::vector<FlowLogTimes>& times,
                                         const SinkIdentity& identity) {
  for (const SinkConfig* const destination : destinations(config)) {
    if (auto probed = destination->probe(); !probed) return probed.error();
  }
  const auto commands = std::count_if(config.sinks.begin(), config.sinks.end(),
                                      [](const SinkConfig& sink) { return sink.command().has_value(); });
  std::vector<std::unique_ptr<CommandRunner>> of_flow_logs(
      std::make_move_iterator(runners.begin() + commands), std::make_move_iterator(runners.end()));
  runners.resize(static_cast<std::size_t>(commands));
  auto sinks = open_sinks(config.sinks, encoder_options(config), clock, std::move(runners), identity);
  if (!sinks) return sinks.error();
  std::vector<SinkSpec> specs;
  for (std::size_t i = 0; i < sinks->size(); ++i)
    specs.push_back(spec_of(config, config.sinks[i], std::move((*sinks)[i])));
  auto runner = of_flow_logs.begin();
  for (const FlowLogConfig& log : config.flow_logs) {
    if (!log.on) continue;
    auto opened =
        open_flow_log(config, log, clock, log.destination.command() ? std::move(*runner++) : nullptr,
                      interfaces, times, identity);
    if (!opened) return opened.error();
    SinkSpec spec = spec_of(config, log.destination, std::move(*opened));
    spec.takes = Takes::kAll;
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace natsession
