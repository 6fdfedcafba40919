#include "sink/collector/otlp_sink.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include "sink/encoding/json_value.h"

namespace natsession {
namespace {

constexpr std::size_t kMaxOtlpBytes = 4 << 20;  // a receiver takes 20 MiB by default
constexpr std::uint16_t kOtlpPort = 4318;
constexpr std::string_view kLogs = "/v1/logs";
constexpr std::string_view kProtobuf = "Content-Type: application/x-protobuf";
constexpr std::string_view kNotOtlp = " (no answer of OTLP)";

// A request without a resource is one, and writes nothing.
Result<Reached> look_at_otlp(HttpClient& client, bool identified, const HttpSettings& settings) {
  const HttpReply reply = client.send({.headers = {std::string(kProtobuf)}});
  const std::string why = reply.told("post nothing to " + settings.url);
  if (auto seen = well(reply, identified, why); !seen) return seen.error();
  if (reply.is_page()) return Error{ErrorKind::kUnavailable, why + std::string(kNotOtlp)};
  return Reached{"connected, and it takes logs"};
}

// The same as read_otlp_response() reads, of an answer in JSON.
OtlpPartialSuccess read_json(std::string_view body) {
  OtlpPartialSuccess partial;
  const std::string rejected = json_text(body, {"partialSuccess", "rejectedLogRecords"}).value_or("");
  std::from_chars(rejected.data(), rejected.data() + rejected.size(), partial.rejected);
  partial.message = json_text(body, {"partialSuccess", "errorMessage"}).value_or("");
  return partial;
}

Result<SinkOpener> parse_otlp(const SinkUrl& url, std::string_view protocol) {
  auto settings = HttpSettings::parse(url, protocol, kOtlpPort);
  if (!settings) return settings.error();
  settings->set_usual_path(url, kLogs);
  return http_opener(
      *settings,
      [name = url.name(), settings = *settings](const EncoderOptions&, const Clock&) {
        return ready(std::make_unique<OtlpSink>(name, settings));
      },
      [settings = *settings](HttpClient& client, bool identified) {
        return look_at_otlp(client, identified, settings);
      });
}

}  // namespace

SinkKind otlp_kind() {
  return {
      .scheme = "otlp",
      .usage = "otlp://HOST[:4318]",
      .help = "OpenTelemetry logs (OTLP over HTTP, protobuf); with a path, where they are not at /v1/logs",
      .options = explain(http_options()),
      .remote = true,
      .encoding = SinkEncoding::kBinary,
      .missing = HttpClient::kBuiltIn ? "" : "libcurl (NATSESSION_SINK_HTTP)",
      .parse = [](const SinkUrl& url) { return parse_otlp(url, "http"); }};
}

SinkKind otlp_https_kind() {
  SinkKind kind = over_tls(otlp_kind(), "otlp+https", "otlp+https://HOST[:4318]",
                           "the same over TLS; options as otlp and https");
  kind.parse = [](const SinkUrl& url) { return parse_otlp(url, "https"); };
  return kind;
}

Result<std::size_t> OtlpSink::make_request(std::span<const SessionRecord> records, HttpRequest& request) {
  sent_ = message_.fill(records, kMaxOtlpBytes);
  request.headers = {std::string(kProtobuf)};
  if (auto set = set_body(message_.bytes(), request); !set) return set.error();
  return sent_;
}

HttpVerdict OtlpSink::judge(const HttpReply& reply) {
  if (reply.status != 200) return HttpServerSink::judge(reply);
  if (reply.is_page()) return HttpVerdict::of(Answer::retry_later(0, told(reply) + std::string(kNotOtlp)));
  // What says nothing has taken all: it need not say so in protobuf.
  const auto partial = reply.header("content-type").find("json") != std::string_view::npos
                           ? std::optional(read_json(reply.body))
                           : read_otlp_response(reply.body);
  if (!partial) return {};
  HttpVerdict verdict;
  if (partial->rejected == 0 && partial->message.empty()) return verdict;
  verdict.answer.lost = std::min<std::uint64_t>(partial->rejected, sent_);
  verdict.answer.why = "post to " + settings().url + ": " +
                       (verdict.answer.lost == 0 ? "it warns"
                                                 : std::to_string(verdict.answer.lost) + " of " +
                                                       std::to_string(sent_) + " records were rejected") +
                       ": " + as_shown(partial->message);
  return verdict;
}

}  // namespace natsession
