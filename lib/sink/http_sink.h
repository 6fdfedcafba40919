// HttpSink: records as lines of JSON, posted (application/x-ndjson, gzip unless told otherwise).
//
// Each request has
//   X-NatSession-Batch: first=SESSION_ID/SEQ; records=N; crc32=HEX
// with the first record's name, the number of lines, and the CRC-32 of the lines before compression: the same
// batch sent again has the same value, so a receiver can tell a repetition. A batch whose answer was lost is
// sent again. What answers mean: judge_by_status() in http_delivery.h.
//
// Threads: as sink.h says.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "record/encoder.h"
#include "sink/http_delivery.h"
#include "sink/http_settings.h"
#include "sink/sink_kind.h"

namespace natsession {

[[nodiscard]] SinkKind http_kind();
[[nodiscard]] SinkKind https_kind();

class HttpSink final : public Sink, private HttpProtocol {
 public:
  // Connects to nothing yet.
  // Errors: as HttpSecrets::read() and HttpClient::create().
  [[nodiscard]] static Result<std::unique_ptr<Sink>> open(std::string name, const HttpSettings& settings,
                                                          const EncoderOptions& options);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override {
    return delivery_.deliver(records, *this);
  }
  Result<void> reopen() override;  // reads headers and credentials anew

 private:
  HttpSink(std::string name, const HttpSettings& settings, const EncoderOptions& options);

  Result<std::size_t> make_request(std::span<const SessionRecord> records, HttpRequest& request) override;
  HttpVerdict judge(const HttpReply& reply) override;
  [[nodiscard]] std::string told(const HttpReply& reply) const override;

  const std::string name_;
  const HttpSettings settings_;
  const std::unique_ptr<Encoder> encoder_;
  HttpDelivery delivery_;
  bool identified_ = false;  // credentials are sent
  std::string lines_;
  std::string compressed_;
};

}  // namespace natsession
