#include "sink/http_sink.h"

#include <array>

#include "record/text_writer.h"

namespace natsession {
namespace {

constexpr std::size_t kMaxRequestBytes = 4 << 20;

std::string batch_name(const SessionRecord& first, std::size_t count, std::uint32_t checksum) {
  std::array<char, kHex64Length + kTextSlack> hex;
  std::string name = "first=";
  name.append(hex.data(), write_hex64(hex.data(), first.session_id));
  name += "/" + std::to_string(first.seq) + "; records=" + std::to_string(count) + "; crc32=";
  name.append(hex.data() + 8, write_hex64(hex.data(), checksum));
  return name;
}

// Nothing is asked for at the server.
Result<SinkOpener> parse_http(const SinkUrl& url) {
  auto settings = HttpSettings::parse(url, url.scheme, url.scheme == "https" ? 443 : 80);
  if (!settings) return settings.error();
  const auto open = [name = url.name(), settings = *settings](const EncoderOptions& options, const Clock&) {
    return HttpSink::open(name, settings, options);
  };
  const auto probe = [open]() -> Result<void> {
    const auto opened = open({}, SystemClock());
    if (!opened) return opened.error();
    return {};
  };
  const auto reach = [settings = *settings]() -> Result<Reached> {
    const auto secrets = HttpSecrets::read(settings);
    if (!secrets) return secrets.error();
    auto client = HttpClient::create(settings, *secrets);
    if (!client) return client.error();
    if (auto connected = (*client)->connect(kReachLimit); !connected) return connected.error();
    return Reached{secrets->identify()
                       ? "connected; whether the credentials are right, the first records tell"
                       : "connected"};
  };
  return SinkOpener{.probe = probe, .reach = reach, .secret_files = settings->secret_files(), .open = open};
}

}  // namespace

SinkKind http_kind() {
  return {.scheme = "http",
          .usage = "http://HOST[:80]/PATH",
          .help = "lines of JSON, posted (application/x-ndjson); in PATH write ? as %3F and % as %25",
          .options = explain(http_options()),
          .remote = true,
          .encoding = SinkEncoding::kJsonOnly,
          .missing = HttpClient::kBuiltIn ? "" : "libcurl (NATSESSION_SINK_HTTP)",
          .parse = parse_http};
}

SinkKind https_kind() {
  SinkKind kind = http_kind();
  kind.scheme = "https";
  kind.usage = "https://HOST[:443]/PATH";
  kind.help = "the same over TLS; options as http, and:";
  kind.also = std::move(kind.options);
  kind.options = explain(tls_options());
  return kind;
}

Result<std::unique_ptr<Sink>> HttpSink::open(std::string name, const HttpSettings& settings,
                                             const EncoderOptions& options) {
  std::unique_ptr<HttpSink> sink(new HttpSink(std::move(name), settings, options));
  if (auto opened = sink->reopen(); !opened) return opened.error();
  return std::unique_ptr<Sink>(std::move(sink));
}

HttpSink::HttpSink(std::string name, const HttpSettings& settings, const EncoderOptions& options)
    : name_(std::move(name)), settings_(settings), encoder_(make_encoder(options)) {}

Result<void> HttpSink::reopen() {
  const auto secrets = HttpSecrets::read(settings_);
  if (!secrets) return secrets.error();
  auto client = HttpClient::create(settings_, *secrets);
  if (!client) return client.error();
  delivery_.use(std::move(*client));
  identified_ = secrets->identify() || !settings_.tls.cert_file.empty();
  return {};
}

Result<std::size_t> HttpSink::make_request(std::span<const SessionRecord> records, HttpRequest& request) {
  lines_.clear();
  std::size_t count = 0;
  while (count < records.size() && lines_.size() < kMaxRequestBytes)
    encoder_->append(records[count++], lines_);
  request.headers = {"Content-Type: application/x-ndjson",
                     "X-NatSession-Batch: " + batch_name(records.front(), count, crc32_of(lines_))};
  request.body = lines_;
  if (settings_.compress == Compression::kGzip) {
    if (auto packed = gzip_text(lines_, compressed_); !packed) return packed.error();
    request.headers.emplace_back("Content-Encoding: gzip");
    request.body = compressed_;
  }
  return count;
}

HttpVerdict HttpSink::judge(const HttpReply& reply) {
  return judge_by_status(reply, identified_, told(reply));
}

std::string HttpSink::told(const HttpReply& reply) const {
  return reply.told("post to " + settings_.url);
}

}  // namespace natsession
