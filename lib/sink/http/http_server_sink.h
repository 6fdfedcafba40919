// HttpServerSink: what the sinks of one HTTP server have in common: a connection made anew on SIGHUP with the
// secrets read anew, bodies compressed as the URL says, answers judged by their status. Each adds its
// requests, and what its server's answers mean beyond that.
// Threads: as sink.h says.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "record/encoder.h"
#include "sink/http/http_delivery.h"
#include "sink/http/http_settings.h"
#include "sink/sink_kind.h"

namespace natsession {

class HttpServerSink : public Sink, protected HttpProtocol {
 public:
  [[nodiscard]] std::string_view name() const final { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override {
    return delivery_.deliver(records, *this);
  }
  // Reads headers and credentials anew, and connects with the next request.
  // Errors: as HttpSecrets::read() and HttpClient::create().
  Result<void> reopen() override;

 protected:
  HttpServerSink(std::string name, const HttpSettings& settings)
      : name_(std::move(name)), settings_(settings) {}

  // Makes `text` the body, compressed as the settings say, or `how`; it stays as it is until the request is
  // answered.
  Result<void> set_body(std::string_view text, HttpRequest& request) {
    return set_body(text, request, settings_.compress);
  }
  Result<void> set_body(std::string_view text, HttpRequest& request, Compression how);
  HttpVerdict judge(const HttpReply& reply) override {
    return judge_by_status(reply, identified_, told(reply));
  }
  [[nodiscard]] std::string told(const HttpReply& reply) const override;

  [[nodiscard]] const HttpSettings& settings() const { return settings_; }
  [[nodiscard]] bool identified() const { return identified_; }  // credentials are sent
  [[nodiscard]] HttpDelivery& delivery() { return delivery_; }

 private:
  const std::string name_;
  const HttpSettings settings_;
  HttpDelivery delivery_;
  bool identified_ = false;
  std::string compressed_;
};

// A sink that is ready for its first batch.
// Errors: as HttpServerSink::reopen().
[[nodiscard]] Result<std::unique_ptr<Sink>> ready(std::unique_ptr<HttpServerSink> sink);

// The opener of such a sink. `reach` looks at the server, with a client that can send, and whether anything
// of ours says who we are.
using HttpReach = std::function<Result<Reached>(HttpClient& client, bool identified)>;
[[nodiscard]] SinkOpener http_opener(
    const HttpSettings& settings,
    std::function<Result<std::unique_ptr<Sink>>(const EncoderOptions&, const Clock&)> open, HttpReach reach);

// The row of the same sink over TLS; its options are told with the other.
[[nodiscard]] SinkKind over_tls(SinkKind kind, std::string_view scheme, std::string_view usage,
                                std::string_view help);

// What is wrong with a server whose answer to a look at it, told as `why`, is not the one that is hoped for;
// nothing where its status is 2xx.
// Errors: kUnavailable, beginning with the code of the log's specification where there is one.
[[nodiscard]] Result<void> well(const HttpReply& reply, bool identified, const std::string& why);

}  // namespace natsession
