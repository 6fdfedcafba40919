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

#include "record/encoder.h"
#include "sink/http/http_server_sink.h"

namespace natsession {

[[nodiscard]] SinkKind http_kind();
[[nodiscard]] SinkKind https_kind();

class HttpSink final : public HttpServerSink {
 public:
  // Connects to nothing yet.
  // Errors: as HttpServerSink::reopen().
  [[nodiscard]] static Result<std::unique_ptr<Sink>> open(std::string name, const HttpSettings& settings,
                                                          const EncoderOptions& options);

 private:
  HttpSink(std::string name, const HttpSettings& settings, const EncoderOptions& options);

  Result<std::size_t> make_request(std::span<const SessionRecord> records, HttpRequest& request) override;

  const std::unique_ptr<Encoder> encoder_;
  std::string lines_;
};

}  // namespace natsession
