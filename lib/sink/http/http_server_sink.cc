#include "sink/http/http_server_sink.h"

#include <utility>

namespace natsession {

Result<void> HttpServerSink::reopen() {
  const auto secrets = HttpSecrets::read(settings_);
  if (!secrets) return secrets.error();
  auto client = HttpClient::create(settings_, *secrets);
  if (!client) return client.error();
  delivery_.use(std::move(*client));
  identified_ = secrets->identify() || !settings_.tls.cert_file.empty();
  return {};
}

Result<void> HttpServerSink::set_body(std::string_view text, HttpRequest& request, Compression how) {
  request.body = text;
  if (how == Compression::kNone) return {};
  const bool zstd = how == Compression::kZstd;
  if (auto packed = zstd ? zstd_text(text, compressed_) : gzip_text(text, compressed_); !packed)
    return packed.error();
  request.headers.emplace_back(zstd ? "Content-Encoding: zstd" : "Content-Encoding: gzip");
  request.body = compressed_;
  return {};
}

std::string HttpServerSink::told(const HttpReply& reply) const {
  return reply.told("post to " + settings_.url);
}

Result<std::unique_ptr<Sink>> ready(std::unique_ptr<HttpServerSink> sink) {
  if (auto opened = sink->reopen(); !opened) return opened.error();
  return std::unique_ptr<Sink>(std::move(sink));
}

SinkOpener http_opener(const HttpSettings& settings,
                       std::function<Result<std::unique_ptr<Sink>>(const EncoderOptions&, const Clock&)> open,
                       HttpReach reach) {
  const auto probe = [settings]() -> Result<void> {
    const auto secrets = HttpSecrets::read(settings);
    if (!secrets) return secrets.error();
    const auto client = HttpClient::create(settings, *secrets);
    if (!client) return client.error();
    return {};
  };
  const auto look = [settings, reach = std::move(reach)]() -> Result<Reached> {
    HttpSettings quick = settings;
    quick.timeout = std::min<std::chrono::milliseconds>(quick.timeout, kReachLimit);
    const auto secrets = HttpSecrets::read(quick);
    if (!secrets) return secrets.error();
    const auto client = HttpClient::create(quick, *secrets);
    if (!client) return client.error();
    return reach(**client, secrets->identify() || !quick.tls.cert_file.empty());
  };
  return {.probe = probe, .reach = look, .secret_files = settings.secret_files(), .open = std::move(open)};
}

SinkKind over_tls(SinkKind kind, std::string_view scheme, std::string_view usage, std::string_view help) {
  kind.scheme = scheme;
  kind.usage = usage;
  kind.help = help;
  kind.also = joined(joined(std::move(kind.also), kind.options), explain(tls_options()));
  kind.options = {};
  return kind;
}

Result<void> well(const HttpReply& reply, bool identified, const std::string& why) {
  const HttpVerdict verdict = judge_by_status(reply, identified, why);
  if (verdict.kind == HttpVerdict::Kind::kTaken) return {};
  return unwell(verdict, why);
}

}  // namespace natsession
