#include <array>

#include "sink/endpoint.h"
#include "sink/sink_kind.h"
#include "sink/syslog_datagram_sink.h"
#include "sink/syslog_settings.h"
#include "sink/syslog_stream_sink.h"

namespace natsession {
namespace {

constexpr std::uint16_t kUdpPort = 514;  // RFC 5426
constexpr std::uint16_t kTcpPort =
    514;  // what rsyslog and most receivers listen on; IANA's 601 is for RFC 3195
constexpr std::string_view kLocalSocket = "/dev/log";

// syslog:

Result<std::string> local_path(const SinkUrl& url) {
  if (url.target.empty()) return std::string(kLocalSocket);
  if (!url.target.starts_with('/') || url.target.starts_with("//")) {
    return url.wrong("'" + url.target +
                     "' is not the path of a socket: syslog:, which is /dev/log, or syslog:/PATH; "
                     "another machine is syslog+udp://, syslog+tcp:// or syslog+tls://HOST");
  }
  return url.target;
}

Result<void> check_local(const SinkUrl& url) {
  if (const auto path = local_path(url); !path) return path.error();
  const auto settings = SyslogSettings::parse(url, {}, SyslogFraming::kNone);
  if (!settings) return settings.error();
  return {};
}

Result<std::unique_ptr<Sink>> open_local(const SinkUrl& url, const EncoderOptions& options,
                                         const Clock& clock) {
  const auto path = local_path(url);
  if (!path) return path.error();
  const auto settings = SyslogSettings::parse(url, options, SyslogFraming::kNone);
  if (!settings) return settings.error();
  return std::unique_ptr<Sink>(std::make_unique<SyslogDatagramSink>(url.name(), *path, *settings, clock));
}

// syslog+udp:

Result<void> check_udp(const SinkUrl& url) {
  if (const auto endpoint = Endpoint::parse(url, kUdpPort); !endpoint) return endpoint.error();
  const auto settings = SyslogSettings::parse(url, {}, SyslogFraming::kNone);
  if (!settings) return settings.error();
  return {};
}

Result<std::unique_ptr<Sink>> open_udp(const SinkUrl& url, const EncoderOptions& options,
                                       const Clock& clock) {
  auto endpoint = Endpoint::parse(url, kUdpPort);
  if (!endpoint) return endpoint.error();
  const auto settings = SyslogSettings::parse(url, options, SyslogFraming::kNone);
  if (!settings) return settings.error();
  return std::unique_ptr<Sink>(
      std::make_unique<SyslogDatagramSink>(url.name(), std::move(*endpoint), *settings, clock));
}

// syslog+tcp:

constexpr std::array kStreamOptions{kSyslogFramingOption};

Result<void> check_tcp(const SinkUrl& url) {
  if (const auto endpoint = Endpoint::parse(url, kTcpPort); !endpoint) return endpoint.error();
  const auto settings = SyslogSettings::parse(url, {}, SyslogFraming::kOctets);
  if (!settings) return settings.error();
  return {};
}

Result<std::unique_ptr<Sink>> open_tcp(const SinkUrl& url, const EncoderOptions& options, const Clock&) {
  auto endpoint = Endpoint::parse(url, kTcpPort);
  if (!endpoint) return endpoint.error();
  const auto settings = SyslogSettings::parse(url, options, SyslogFraming::kOctets);
  if (!settings) return settings.error();
  return SyslogStreamSink::open(url.name(), std::move(*endpoint), *settings, std::nullopt);
}

Result<void> no_probe(const SinkUrl&) {
  return {};
}

}  // namespace

SinkKind syslog_kind() {
  return {.scheme = "syslog",
          .usage = "syslog:[PATH]",
          .help =
              "RFC 5424 messages, with every field as structured data, to the local socket PATH; default "
              "/dev/log",
          .options = syslog_option_table(),
          .remote = true,
          .check = check_local,
          .probe = no_probe,
          .open = open_local};
}

SinkKind syslog_udp_kind() {
  return {.scheme = "syslog+udp",
          .usage = "syslog+udp://HOST[:514]",
          .help = "the same by UDP, which may lose messages without a word; options as syslog",
          .also = syslog_option_table(),
          .remote = true,
          .check = check_udp,
          .probe = no_probe,
          .open = open_udp};
}

SinkKind syslog_tcp_kind() {
  return {.scheme = "syslog+tcp",
          .usage = "syslog+tcp://HOST[:514]",
          .help = "the same by TCP; options as syslog, and:",
          .options = kStreamOptions,
          .also = syslog_option_table(),
          .remote = true,
          .check = check_tcp,
          .probe = no_probe,
          .open = open_tcp};
}

}  // namespace natsession
