#include <vector>

#include "sink/endpoint.h"
#include "sink/sink_kind.h"
#include "sink/syslog_settings.h"
#include "sink/syslog_stream_sink.h"
#include "sink/tls_settings.h"

namespace natsession {
namespace {

constexpr std::uint16_t kPort = 6514;  // RFC 5425

const std::vector<SinkOption>& own_options() {
  static const std::vector<SinkOption> kOptions = [] {
    const auto tls = tls_option_table();
    std::vector<SinkOption> options(tls.begin(), tls.end());
    options.push_back(
        {"servername", "NAME", "the name that must stand in the server's certificate; default HOST"});
    return options;
  }();
  return kOptions;
}

const std::vector<SinkOption>& shared_options() {
  static const std::vector<SinkOption> kOptions = [] {
    const auto syslog = syslog_option_table();
    std::vector<SinkOption> options(syslog.begin(), syslog.end());
    options.push_back(kSyslogFramingOption);
    return options;
  }();
  return kOptions;
}

struct Parsed {
  Endpoint endpoint;
  SyslogSettings settings;
  TlsSettings tls;
};

Result<Parsed> parse(const SinkUrl& url, const EncoderOptions& options) {
  auto endpoint = Endpoint::parse(url, kPort);
  if (!endpoint) return endpoint.error();
  const auto settings = SyslogSettings::parse(url, options, SyslogFraming::kOctets);
  if (!settings) return settings.error();
  auto tls = TlsSettings::parse(url);
  if (!tls) return tls.error();
  return Parsed{std::move(*endpoint), *settings, std::move(*tls)};
}

Result<void> check(const SinkUrl& url) {
  if (!TlsContext::kBuiltIn) {
    return url.wrong("this natsessiond was built without OpenSSL (NATSESSION_SINK_TLS), so it has no " +
                     url.scheme);
  }
  const auto parsed = parse(url, {});
  if (!parsed) return parsed.error();
  return {};
}

Result<void> probe(const SinkUrl& url) {
  const auto parsed = parse(url, {});
  if (!parsed) return parsed.error();
  const auto context = TlsContext::create(parsed->tls);
  if (!context) return context.error();
  return {};
}

Result<std::unique_ptr<Sink>> open(const SinkUrl& url, const EncoderOptions& options, const Clock&) {
  auto parsed = parse(url, options);
  if (!parsed) return parsed.error();
  return SyslogStreamSink::open(url.name(), std::move(parsed->endpoint), parsed->settings,
                                std::move(parsed->tls));
}

}  // namespace

SinkKind syslog_tls_kind() {
  return {.scheme = "syslog+tls",
          .usage = "syslog+tls://HOST[:6514]",
          .help = "the same by TLS (RFC 5425); options as syslog+tcp, and:",
          .options = own_options(),
          .also = shared_options(),
          .remote = true,
          .check = check,
          .probe = probe,
          .open = open};
}

}  // namespace natsession
