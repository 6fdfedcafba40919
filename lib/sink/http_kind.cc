#include "sink/encoder_choice.h"
#include "sink/http_client.h"
#include "sink/http_settings.h"
#include "sink/http_sink.h"
#include "sink/sink_kind.h"

namespace natsession {
namespace {

Result<void> check(const SinkUrl& url) {
  if (!HttpClient::kBuiltIn) {
    return url.wrong("this natsessiond was built without libcurl (NATSESSION_SINK_HTTP), so it has no " +
                     url.scheme);
  }
  const auto settings = HttpSettings::parse(url);
  if (!settings) return settings.error();
  return {};
}

Result<std::unique_ptr<Sink>> open(const SinkUrl& url, const EncoderOptions& defaults, const Clock&) {
  const auto settings = HttpSettings::parse(url);
  if (!settings) return settings.error();
  const auto options = json_options(url, defaults);
  if (!options) return options.error();
  return HttpSink::open(url.name(), *settings, *options);
}

// Nothing is asked for at the server.
Result<void> probe(const SinkUrl& url) {
  const auto settings = HttpSettings::parse(url);
  if (!settings) return settings.error();
  const auto opened = HttpSink::open(url.name(), *settings, {});
  if (!opened) return opened.error();
  return {};
}

}  // namespace

SinkKind http_kind() {
  return {.scheme = "http",
          .usage = "http://HOST[:80]/PATH",
          .help = "lines of JSON, posted (application/x-ndjson); in PATH write ? as %3F and % as %25",
          .options = http_option_table(),
          .remote = true,
          .check = check,
          .probe = probe,
          .open = open,
          .screen = HttpSettings::screen};
}

SinkKind https_kind() {
  return {.scheme = "https",
          .usage = "https://HOST[:443]/PATH",
          .help = "the same over TLS; options as http, and:",
          .options = tls_option_table(),
          .also = http_option_table(),
          .remote = true,
          .check = check,
          .probe = probe,
          .open = open,
          .screen = HttpSettings::screen};
}

}  // namespace natsession
