#include "sink/encoder_choice.h"
#include "sink/journald_sink.h"
#include "sink/sink_kind.h"

namespace natsession {
namespace {

Result<JournaldSettings> settings_of(const SinkUrl& url, const EncoderOptions& defaults) {
  const auto options = message_options(url, defaults);
  if (!options) return options.error();
  return JournaldSettings{.options = *options};
}

Result<void> check(const SinkUrl& url) {
  if (auto checked = url.has_no_target(); !checked) return checked;
  const auto settings = settings_of(url, {});
  if (!settings) return settings.error();
  return {};
}

Result<void> probe(const SinkUrl& url) {
  const auto settings = settings_of(url, {});
  if (!settings) return settings.error();
  return JournaldSink::probe(*settings);
}

Result<std::unique_ptr<Sink>> open(const SinkUrl& url, const EncoderOptions& options, const Clock&) {
  const auto settings = settings_of(url, options);
  if (!settings) return settings.error();
  return JournaldSink::open(url.name(), *settings);
}

}  // namespace

SinkKind journald_kind() {
  return {.scheme = "journald",
          .usage = "journald",
          .help =
              "structured entries in systemd's journal (NATSESSION_PRI_IP= ...); its rate limit drops "
              "entries: set "
              "LogRateLimitIntervalSec=1s and LogRateLimitBurst=10000000 in the unit",
          .check = check,
          .probe = probe,
          .open = open};
}

}  // namespace natsession
