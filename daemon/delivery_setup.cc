#include "delivery_setup.h"

#include "base/time.h"
#include "sink/delivery_options.h"
#include "sink/registry.h"

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
  if (config.sync == "always") {
    settings.sync = SyncMode::kAlways;
  } else if (config.sync == "never") {
    settings.sync = SyncMode::kNever;
  } else if (const auto interval = parse_duration(config.sync)) {
    settings.sync_interval = *interval;
  }
  // Retention deletes whole segments: a few of them make up the ledger, however small it is.
  constexpr std::uint64_t kSegments = 16;
  settings.segment_limit.bytes = std::min(settings.segment_limit.bytes, config.ledger_max.bytes / kSegments);
  settings.segment_span = std::min(settings.segment_span, config.retention / static_cast<int>(kSegments));
  return settings;
}

Result<std::vector<SinkSpec>> make_sinks(const Config& config, const Clock& clock) {
  auto sinks = open_sinks(config.sinks, encoder_options(config), clock);
  if (!sinks) return sinks.error();
  std::vector<SinkSpec> specs;
  for (std::size_t i = 0; i < sinks->size(); ++i) {
    const auto asked = delivery_options(config.sinks[i]);
    if (!asked) return asked.error();
    SinkSpec spec;
    spec.sink = std::move((*sinks)[i]);
    // Local sinks are given what there is, at once, unless their URL says otherwise.
    if (asked->remote)
      spec.batch = {.records = config.batch, .bytes = config.batch_bytes, .linger = config.linger};
    if (asked->batch) spec.batch.records = *asked->batch;
    if (asked->batch_bytes) spec.batch.bytes = *asked->batch_bytes;
    if (asked->linger) spec.batch.linger = *asked->linger;
    spec.suspend = asked->suspend.value_or(config.suspend);
    spec.from_start = asked->from_start;
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace natsession
