// HttpSink: records as lines of JSON, posted (application/x-ndjson, gzip unless told otherwise).
//
// Each request has
//   X-NatSession-Batch: first=SESSION_ID/SEQ; records=N; crc32=HEX
// with the first record's name, the number of lines, and the CRC-32 of the lines before compression: the same
// batch sent again has the same value, so a receiver can tell a repetition. A batch whose answer was lost is
// sent again.
//
//   what happens                                                answer
//   2xx                                                         delivered
//   400, 422                                                    halved until the bad record stands alone:
//                                                               Rejected; 100 in a row: TargetFailed
//                                                               ProjectForbidden
//   401, 407                                                    TargetFailed InvalidAccessKeyId
//   403                                                         TargetFailed Unauthorized; without
//                                                               credentials ProjectForbidden
//   404, 405, 410; a redirect, which is not followed            TargetFailed LogStoreNotExist
//   413                                                         smaller batches, until reopened; one record:
//                                                               Rejected
//   429                                                         RetryLater, WriteQuotaExceed; Retry-After
//   any other 4xx                                               TargetFailed ProjectForbidden
//   408, 5xx                                                    RetryLater, after Retry-After
//   no whole answer: refused, silent, cut, garbage, no address  RetryLater
//   a certificate is not accepted, ours or the server's         TargetFailed Unauthorized
//
// Threads: as sink.h says.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "record/encoder.h"
#include "sink/http_client.h"
#include "sink/http_settings.h"
#include "sink/sink_kind.h"

namespace natsession {

[[nodiscard]] SinkKind http_kind();
[[nodiscard]] SinkKind https_kind();

class HttpSink final : public Sink {
 public:
  // Connects to nothing yet.
  // Errors: as HttpSecrets::read() and HttpClient::create().
  [[nodiscard]] static Result<std::unique_ptr<Sink>> open(std::string name, const HttpSettings& settings,
                                                          const EncoderOptions& options);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override;
  Result<void> reopen() override;  // reads headers and credentials anew

 private:
  HttpSink(std::string name, const HttpSettings& settings, const EncoderOptions& options);

  std::size_t encode(std::span<const SessionRecord> records);
  [[nodiscard]] Answer failure(const HttpReply& reply) const;
  Answer reject(std::size_t taken, const HttpReply& reply);
  [[nodiscard]] std::string told(const HttpReply& reply) const;

  const std::string name_;
  const HttpSettings settings_;
  const std::unique_ptr<Encoder> encoder_;
  std::unique_ptr<HttpClient> client_;
  bool identified_ = false;  // credentials are sent
  std::string lines_;
  std::string compressed_;
  std::size_t most_;                   // records that the server takes at once
  std::size_t rejected_in_a_row_ = 0;  // with nothing taken between
};

}  // namespace natsession
