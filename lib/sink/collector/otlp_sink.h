// OtlpSink: records as OpenTelemetry logs, to whatever takes OTLP over HTTP with protobuf: a collector, and
// through it most else.
//
//   what happens                                                answer
//   200                                                         delivered
//   200 with partial_success                                    delivered; what was rejected is counted as
//   lost, for it must
//                                                               not be sent again, and nobody says which it
//                                                               was
//   anything else                                               judge_by_status() in http_delivery.h: also
//   500 is tried
//                                                               again, which OTLP leaves open
// Threads: as sink.h says.
#pragma once

#include <string>
#include <string_view>

#include "sink/collector/otlp_message.h"
#include "sink/http/http_server_sink.h"

namespace natsession {

[[nodiscard]] SinkKind otlp_kind();
[[nodiscard]] SinkKind otlp_https_kind();

class OtlpSink final : public HttpServerSink {
 public:
  OtlpSink(std::string name, const HttpSettings& settings) : HttpServerSink(std::move(name), settings) {}

 private:
  Result<std::size_t> make_request(std::span<const SessionRecord> records, HttpRequest& request) override;
  HttpVerdict judge(const HttpReply& reply) override;

  OtlpMessage message_;
  std::size_t sent_ = 0;  // records in the request that is under way
};

}  // namespace natsession
