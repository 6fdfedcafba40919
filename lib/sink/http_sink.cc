#include "sink/http_sink.h"

#include <algorithm>
#include <array>
#include <limits>

#include "record/text_writer.h"

namespace natsession {
namespace {

constexpr std::size_t kMaxRequestBytes = 4 << 20;
constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
// A server that refuses so many records one after the other refuses not the records but what we are doing.
constexpr std::size_t kMaxRejectedInARow = 100;

enum class Verdict { kTaken, kTooMuch, kBadRecord, kFailed };

Verdict verdict_of(const HttpReply& reply) {
  if (reply.status >= 200 && reply.status < 300) return Verdict::kTaken;
  if (reply.status == 413) return Verdict::kTooMuch;
  if (reply.status == 400 || reply.status == 422) return Verdict::kBadRecord;
  return Verdict::kFailed;
}

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
  auto settings = HttpSettings::parse(url);
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
  std::vector<std::string> secret_files = settings->tls.secret_files();
  for (const std::string& file : {settings->credentials_file, settings->headers_file}) {
    if (!file.empty()) secret_files.push_back(file);
  }
  return SinkOpener{.probe = probe, .reach = reach, .secret_files = std::move(secret_files), .open = open};
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
    : name_(std::move(name)), settings_(settings), encoder_(make_encoder(options)), most_(kNoLimit) {}

Result<void> HttpSink::reopen() {
  const auto secrets = HttpSecrets::read(settings_);
  if (!secrets) return secrets.error();
  auto client = HttpClient::create(settings_, *secrets);
  if (!client) return client.error();
  client_ = std::move(*client);
  identified_ = secrets->identify() || !settings_.tls.cert_file.empty();
  most_ = kNoLimit;
  return {};
}

Answer HttpSink::deliver(std::span<const SessionRecord> records) {
  std::size_t taken = 0;
  std::size_t suspects = 0;  // among so many records from the next on there is a bad one
  while (taken < records.size()) {
    std::size_t count = std::min(most_, records.size() - taken);
    if (suspects > 0) count = std::min(count, std::max<std::size_t>(1, suspects / 2));
    count = encode(records.subspan(taken, count));
    std::string_view body = lines_;
    if (settings_.compress == Compression::kGzip) {
      if (auto packed = gzip_text(lines_, compressed_); !packed) {
        return Answer::retry_later(taken, packed.error().message);
      }
      body = compressed_;
    }
    const HttpReply reply = client_->post(body, batch_name(records[taken], count, crc32_of(lines_)));
    const Verdict verdict = verdict_of(reply);
    if (verdict == Verdict::kTaken) {
      taken += count;
      suspects -= std::min(suspects, count);
      rejected_in_a_row_ = 0;
    } else if (verdict == Verdict::kFailed) {
      Answer answer = failure(reply);
      answer.taken = taken;
      return answer;
    } else if (count == 1) {
      return reject(taken, reply);
    } else if (verdict == Verdict::kTooMuch) {
      most_ = count / 2;
    } else {
      suspects = count;
    }
  }
  return Answer::delivered(taken);
}

// Fills lines_; returns of how many records.
std::size_t HttpSink::encode(std::span<const SessionRecord> records) {
  lines_.clear();
  std::size_t count = 0;
  while (count < records.size() && lines_.size() < kMaxRequestBytes)
    encoder_->append(records[count++], lines_);
  return count;
}

Answer HttpSink::reject(std::size_t taken, const HttpReply& reply) {
  if (++rejected_in_a_row_ > kMaxRejectedInARow) {
    return Answer::target_failed(taken, TargetCode::kProjectForbidden,
                                 told(reply) + "; it has refused " + std::to_string(kMaxRejectedInARow) +
                                     " records in a row, so no more are offered");
  }
  return Answer::rejected(taken, told(reply));
}

Answer HttpSink::failure(const HttpReply& reply) const {
  const std::string why = told(reply);
  const int status = reply.status;
  const auto failed = [&](TargetCode code) { return Answer::target_failed(0, code, why); };
  if (status == 0) return reply.refused ? failed(TargetCode::kUnauthorized) : Answer::retry_later(0, why);
  if (status == 429) {
    // The clouds' log services name what is exhausted in the body.
    const bool part = reply.body.find(to_string(TargetCode::kShardWriteQuotaExceed)) != std::string::npos;
    return Answer::throttled(0, part ? TargetCode::kShardWriteQuotaExceed : TargetCode::kWriteQuotaExceed,
                             why, reply.retry_after);
  }
  if (status == 401 || status == 407) return failed(TargetCode::kInvalidAccessKeyId);
  if (status == 403) return failed(identified_ ? TargetCode::kUnauthorized : TargetCode::kProjectForbidden);
  if (status == 404 || status == 405 || status == 410) return failed(TargetCode::kLogStoreNotExist);
  if (status >= 300 && status < 400) return failed(TargetCode::kLogStoreNotExist);
  if (status >= 400 && status < 500 && status != 408) return failed(TargetCode::kProjectForbidden);
  Answer answer = Answer::retry_later(0, why);
  answer.after = reply.retry_after;
  return answer;
}

std::string HttpSink::told(const HttpReply& reply) const {
  const std::string begin = "post to " + settings_.url + ": ";
  if (reply.status == 0) return begin + reply.error;
  std::string text = begin + "status " + std::to_string(reply.status);
  if (!reply.location.empty())
    text += ": it has moved to " + without_secrets(reply.location) + ", which is not followed";
  if (!reply.body.empty()) text += ": " + reply.body;
  return text;
}

}  // namespace natsession
