// ElasticsearchSink: records as documents of Elasticsearch or OpenSearch (POST /INDEX/_bulk), under the names
// of the Elastic Common Schema (flat_record.h) and @timestamp, which is end_time.
//
// Each is created under an _id of its own: session_id-seq, or for a gap a hash of what it says. What is there
// already is not created again: a batch that is sent a second time makes no doubles.
//
//   what happens                                                answer
//   each document created, or there already (409)               delivered
//   a document is refused (400: a field does not fit)           Rejected, that record alone
//   a document was put off (429, 5xx)                           RetryLater from it on; 429 WriteQuotaExceed
//   a document: 404, there is no such index                     TargetFailed LogStoreNotExist
//   a document: 403, its index takes no writes                  TargetFailed ProjectForbidden
//   the whole request: 404                                      TargetFailed LogStoreNotExist
//   likewise: 401, 403                                          TargetFailed InvalidAccessKeyId, Unauthorized
//   likewise: anything else                                     judge_by_status() in http_delivery.h
// Threads: as sink.h says.
#pragma once

#include <string>
#include <string_view>

#include "record/encoder.h"
#include "sink/http/http_server_sink.h"

namespace natsession {

[[nodiscard]] SinkKind elasticsearch_kind();
[[nodiscard]] SinkKind elasticsearch_https_kind();

class ElasticsearchSink final : public HttpServerSink {
 public:
  // `settings.url` is that of the index.
  ElasticsearchSink(std::string name, const HttpSettings& settings);

 private:
  Result<std::size_t> make_request(std::span<const SessionRecord> records, HttpRequest& request) override;
  HttpVerdict judge(const HttpReply& reply) override;

  const std::string bulk_url_;
  std::size_t sent_ = 0;  // documents in the request that is under way
  std::string lines_;
};

}  // namespace natsession
