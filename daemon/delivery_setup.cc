#include "delivery_setup.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/time.h"
#include "messages.h"

namespace natsession {
namespace {

EncoderOptions encoder_options(const Config& config) {
  return {.format = config.format,
          .time_format = config.time_format,
          .fields = config.fields,
          .with_netns = config.netns.size() > 1};
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

Result<std::vector<SinkSpec>> make_sinks(const Config& config, const Clock& clock,
                                         std::vector<std::unique_ptr<CommandRunner>> runners) {
  auto sinks = open_sinks(config.sinks, encoder_options(config), clock, std::move(runners));
  if (!sinks) return sinks.error();
  std::vector<SinkSpec> specs;
  for (std::size_t i = 0; i < sinks->size(); ++i) {
    const DeliveryOptions& asked = config.sinks[i].delivery();
    SinkSpec spec;
    spec.sink = std::move((*sinks)[i]);
    // Local sinks are given what there is, at once, unless their URL says otherwise.
    if (config.sinks[i].remote())
      spec.batch = {.records = config.batch, .bytes = config.batch_bytes, .linger = config.linger};
    if (const auto& usual = config.sinks[i].usual_batch(); usual)
      spec.batch = {.records = usual->records, .bytes = usual->bytes, .linger = usual->linger};
    if (asked.batch) spec.batch.records = *asked.batch;
    if (asked.batch_bytes) spec.batch.bytes = *asked.batch_bytes;
    if (asked.linger) spec.batch.linger = *asked.linger;
    spec.suspend = asked.suspend.value_or(config.suspend);
    spec.from_start = asked.from_start;
    log_debug(fmt::format(
        "sink {}: opened; batches of at most {} records or {} after {}", spec.sink->name(),
        spec.batch.records, format_byte_count(spec.batch.bytes),
        format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(spec.batch.linger))));
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace natsession
