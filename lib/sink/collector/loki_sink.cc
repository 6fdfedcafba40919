#include "sink/collector/loki_sink.h"

#include <algorithm>
#include <utility>

#include "record/escape.h"
#include "record/fields.h"
#include "record/text_writer.h"

namespace natsession {
namespace {

// Loki passes a push on in messages of 4 MiB by default, and a tenant may send some MB a second.
constexpr std::size_t kMaxLokiBytes = 1 << 20;
constexpr std::uint16_t kLokiPort = 3100;
constexpr std::string_view kPush = "/loki/api/v1/push";

std::span<const Option<LokiSettings>> loki_options() {
  static const Option<LokiSettings> kTable[] = {
      {"tenant", "NAME", "whose the lines are (X-Scope-OrgID), where Loki has several tenants",
       text_option(&LokiSettings::tenant, "a tenant's name")},
      {"job", "NAME", "the label job of all lines", text_option(&LokiSettings::job, "a name")},
      {"max_age", "TIME",
       "reject records that ended longer ago, as Loki does: its reject_old_samples_max_age; 0s: send all",
       time_option(&LokiSettings::max_age, {std::chrono::milliseconds(0), std::chrono::hours(24 * 3650)})},
  };
  return kTable;
}

void append_json(std::string_view text, std::string& out) {
  append_line(out, max_escaped_length(text.size()) + kTextSlack,
              [&](char* at) { return write_json_string(at, text); });
}

Result<Reached> look_at_loki(HttpClient& client, bool identified, const LokiSettings& settings) {
  HttpRequest request{.method = HttpRequest::Method::kGet,
                      .url = settings.http.origin + "/loki/api/v1/status/buildinfo"};
  if (!settings.tenant.empty()) request.headers.push_back("X-Scope-OrgID: " + settings.tenant);
  const HttpReply reply = client.send(request);
  if (reply.status == 404) return Reached{"connected; a gateway may hide what Loki is there", false};
  const std::string why = reply.told("look at " + request.url);
  if (reply.is_page()) return Error{ErrorKind::kUnavailable, why + " (no answer of Loki)"};
  if (auto seen = well(reply, identified, why); !seen) return seen.error();
  return Reached{"connected; whether lines may be pushed, the first records tell"};
}

Result<SinkOpener> parse_loki(const SinkUrl& url, std::string_view protocol) {
  LokiSettings settings;
  auto http = HttpSettings::parse(url, protocol, kLokiPort);
  if (!http) return http.error();
  settings.http = std::move(*http);
  settings.http.set_usual_path(url, kPush);
  if (auto read = read_options(url, loki_options(), settings); !read) return read.error();
  for (const std::string& text : {settings.tenant, settings.job}) {
    const bool odd =
        std::any_of(text.begin(), text.end(), [](char byte) { return byte < ' ' || byte == '\x7f'; });
    if (odd) return url.wrong("'" + as_shown(text) + "' has a byte that is no printable ASCII");
  }
  return http_opener(
      settings.http,
      [name = url.name(), settings](const EncoderOptions& options, const Clock& clock) {
        return ready(std::make_unique<LokiSink>(name, settings, options, clock));
      },
      [settings](HttpClient& client, bool identified) { return look_at_loki(client, identified, settings); });
}

}  // namespace

SinkKind loki_kind() {
  return {
      .scheme = "loki",
      .usage = "loki://HOST[:3100]",
      .help =
          "lines of Grafana Loki, by labels job, instance and event; with a path, where its push is not at "
          "/loki/api/v1/push",
      .options = joined(explain(loki_options()), explain(http_options())),
      .remote = true,
      .encoding = SinkEncoding::kMessage,
      .flows = true,
      .missing = HttpClient::kBuiltIn ? "" : "libcurl (NATSESSION_SINK_HTTP)",
      .parse = [](const SinkUrl& url) { return parse_loki(url, "http"); }};
}

SinkKind loki_https_kind() {
  SinkKind kind = over_tls(loki_kind(), "loki+https", "loki+https://HOST[:3100]",
                           "the same over TLS; options as loki and https");
  kind.parse = [](const SinkUrl& url) { return parse_loki(url, "https"); };
  return kind;
}

LokiSink::LokiSink(std::string name, const LokiSettings& settings, const EncoderOptions& options,
                   const Clock& clock)
    : HttpServerSink(std::move(name), settings.http),
      settings_(settings),
      encoder_(make_encoder(options)),
      flows_(options.own != nullptr && !options.own->is_of_sessions()),
      clock_(clock) {}

Answer LokiSink::deliver(std::span<const SessionRecord> records) {
  if (settings_.max_age.count() == 0) return HttpServerSink::deliver(records);
  const UnixMs oldest = to_ms(clock_.now()) - settings_.max_age;
  const auto late = std::find_if(records.begin(), records.end(),
                                 [&](const SessionRecord& record) { return record.end_time < oldest; });
  const auto fresh = static_cast<std::size_t>(late - records.begin());
  if (fresh > 0) {
    Answer answer = HttpServerSink::deliver(records.first(fresh));
    if (fresh == records.size() || answer.kind != Answer::Kind::kDelivered) return answer;
  }
  return Answer::rejected(fresh, "push to " + settings().url + ": the record ended more than " +
                                     format_duration(settings_.max_age) + " ago (max_age)");
}

Result<std::size_t> LokiSink::make_request(std::span<const SessionRecord> records, HttpRequest& request) {
  streams_.clear();
  std::size_t count = 0;
  for (std::size_t bytes = 0; count < records.size() && bytes < kMaxLokiBytes; ++count) {
    append_value(records[count]);
    bytes += line_.size();
  }
  body_ = R"({"streams":[)";
  for (const Stream& stream : streams_) {
    if (&stream != streams_.data()) body_ += ',';
    append_labels(stream);
    body_ += stream.values;
    body_ += "]}";
  }
  body_ += "]}";
  request.headers = {"Content-Type: application/json"};
  if (!settings_.tenant.empty()) request.headers.push_back("X-Scope-OrgID: " + settings_.tenant);
  if (auto set = set_body(body_, request); !set) return set.error();
  return count;
}

// ["NANOSECONDS","LINE"]
void LokiSink::append_value(const SessionRecord& record) {
  auto stream = std::find_if(streams_.begin(), streams_.end(), [&](const Stream& each) {
    return each.origin == record.origin && (flows_ || each.event == record.event);
  });
  if (stream == streams_.end()) stream = streams_.insert(stream, {record.origin, record.event, {}});
  line_.clear();
  encoder_->append(record, line_);
  if (!line_.empty() && line_.back() == '\n') line_.pop_back();
  std::string& out = stream->values;
  out += out.empty() ? "[\"" : ",[\"";
  append_line(out, kMaxTimeLength + kTextSlack,
              [&](char* at) { return write_text(write_unix_ms(at, record.end_time), "000000"); });
  out += "\",";
  append_json(line_, out);
  out += ']';
}

void LokiSink::append_labels(const Stream& stream) {
  body_ += R"({"stream":{"job":)";
  append_json(settings_.job, body_);
  body_ += R"(,"instance":)";
  append_json(stream.origin->instance, body_);
  if (!stream.origin->netns.empty()) {
    body_ += R"(,"netns":)";
    append_json(stream.origin->netns, body_);
  }
  body_ += R"(,"event":)";
  append_json(flows_ ? "flow" : to_string(stream.event), body_);
  body_ += R"(},"values":[)";
}

HttpVerdict LokiSink::judge(const HttpReply& reply) {
  const auto says = [&](std::string_view text) { return reply.body.find(text) != std::string::npos; };
  // It would have said 204 and no more.
  if (reply.status == 200 && reply.is_page())
    return HttpVerdict::of(Answer::retry_later(0, told(reply) + " (no answer of Loki)"));
  if (reply.status > 200 && reply.status < 300 && reply.status != 204) {
    return HttpVerdict::of(Answer::target_failed(0, TargetCode::kProjectForbidden, told(reply)));
  }
  if (reply.status == 429 && (says("er stream rate limit") || says("per_stream_rate_limit"))) {
    return HttpVerdict::of(
        Answer::throttled(0, TargetCode::kShardWriteQuotaExceed, told(reply), reply.retry_after));
  }
  if (reply.status == 500 && says("larger than max")) return {HttpVerdict::Kind::kTooMuch};
  return HttpServerSink::judge(reply);
}

}  // namespace natsession
