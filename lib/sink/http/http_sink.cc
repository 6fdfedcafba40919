#include "sink/http/http_sink.h"

#include <array>

#include "record/text_writer.h"

namespace natsession {
namespace {

constexpr std::size_t kMaxLinesBytes = 4 << 20;

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
  return http_opener(
      *settings,
      [name = url.name(), settings = *settings](const EncoderOptions& options, const Clock&) {
        return HttpSink::open(name, settings, options);
      },
      [](HttpClient& client, bool identified) -> Result<Reached> {
        if (auto connected = client.connect(kReachLimit); !connected) return connected.error();
        return Reached{identified ? "connected; whether the credentials are right, the first records tell"
                                  : "connected"};
      });
}

}  // namespace

SinkKind http_kind() {
  return {.scheme = "http",
          .usage = "http://HOST[:80]/PATH",
          .help = "lines of JSON, posted (application/x-ndjson); in PATH write ? as %3F and % as %25",
          .options = explain(http_options()),
          .remote = true,
          .encoding = SinkEncoding::kJsonOnly,
          .blocks = true,
          .flows = true,
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
  return ready(std::unique_ptr<HttpSink>(new HttpSink(std::move(name), settings, options)));
}

HttpSink::HttpSink(std::string name, const HttpSettings& settings, const EncoderOptions& options)
    : HttpServerSink(std::move(name), settings), encoder_(make_encoder(options)) {}

Result<std::size_t> HttpSink::make_request(std::span<const SessionRecord> records, HttpRequest& request) {
  lines_.clear();
  std::size_t count = 0;
  encoder_->append_each(records, lines_, [&] {
    ++count;
    return lines_.size() < kMaxLinesBytes;
  });
  request.headers = {"Content-Type: application/x-ndjson",
                     "X-NatSession-Batch: " + batch_name(records.front(), count, crc32_of(lines_))};
  if (auto set = set_body(lines_, request); !set) return set.error();
  return count;
}

}  // namespace natsession
