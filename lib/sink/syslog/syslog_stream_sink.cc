#include "sink/syslog/syslog_stream_sink.h"

namespace natsession {
namespace {

constexpr std::uint16_t kTcpPort = 514;   // what most receivers listen on; IANA's 601 is for RFC 3195
constexpr std::uint16_t kTlsPort = 6514;  // RFC 5425

Result<SinkOpener> parse_stream(const SinkUrl& url, std::uint16_t usual_port,
                                const std::optional<TlsSettings>& tls) {
  const auto endpoint = endpoint_of(url, usual_port);
  if (!endpoint) return endpoint.error();
  const auto settings = SyslogSettings::parse(url, SyslogFraming::kOctets);
  if (!settings) return settings.error();
  SinkOpener opener = stream_opener(*endpoint, settings->timeout, tls);
  opener.open = [name = url.name(), endpoint = *endpoint, settings = *settings, tls](
                    const EncoderOptions& options, const Clock&) {
    return SyslogStreamSink::open(name, endpoint, settings.with(options), tls);
  };
  return opener;
}

Result<SinkOpener> parse_tcp(const SinkUrl& url) {
  return parse_stream(url, kTcpPort, std::nullopt);
}

Result<SinkOpener> parse_tls(const SinkUrl& url) {
  auto tls = parse_stream_tls(url);
  if (!tls) return tls.error();
  return parse_stream(url, kTlsPort, *tls);
}

}  // namespace

SinkKind syslog_tcp_kind() {
  return {.scheme = "syslog+tcp",
          .usage = "syslog+tcp://HOST[:514]",
          .help = "the same by TCP; options as syslog, and:",
          .options = explain(syslog_framing_options()),
          .also = explain(syslog_options()),
          .remote = true,
          .encoding = SinkEncoding::kMessage,
          .flows = true,
          .own_format = kNatFormat,
          .parse = parse_tcp};
}

SinkKind syslog_tls_kind() {
  return {.scheme = "syslog+tls",
          .usage = "syslog+tls://HOST[:6514]",
          .help = "the same by TLS (RFC 5425); options as syslog+tcp, and:",
          .options = stream_tls_options(),
          .also = joined(explain(syslog_options()), explain(syslog_framing_options())),
          .remote = true,
          .encoding = SinkEncoding::kMessage,
          .flows = true,
          .own_format = kNatFormat,
          .missing = TlsContext::kBuiltIn ? "" : "OpenSSL (NATSESSION_SINK_TLS)",
          .parse = parse_tls};
}

Result<std::unique_ptr<Sink>> SyslogStreamSink::open(std::string name, HostPort endpoint,
                                                     const SyslogSettings& settings,
                                                     std::optional<TlsSettings> tls) {
  std::unique_ptr<SyslogStreamSink> sink(
      new SyslogStreamSink(std::move(name), std::move(endpoint), settings, std::move(tls)));
  if (auto loaded = sink->stream_.load_tls(); !loaded) return loaded.error();
  return std::unique_ptr<Sink>(std::move(sink));
}

SyslogStreamSink::SyslogStreamSink(std::string name, HostPort endpoint, const SyslogSettings& settings,
                                   std::optional<TlsSettings> tls)
    : name_(std::move(name)),
      batch_(settings),
      stream_(std::move(endpoint), settings.timeout, std::move(tls)) {}

Answer SyslogStreamSink::deliver(std::span<const SessionRecord> records) {
  stream_.look();
  std::size_t taken = 0;
  while (taken < records.size()) {
    batch_.fill(records.subspan(taken), stream_.window_bytes());
    if (batch_.ends().empty()) return Answer::rejected(taken, batch_.refusal());
    if (auto failed = stream_.send(batch_.text())) {
      failed->taken = taken;
      return *failed;
    }
    taken += batch_.ends().size();
  }
  return Answer::delivered(taken);
}

}  // namespace natsession
