// LokiSink: records as lines of Grafana Loki (POST /loki/api/v1/push, JSON). A line is the record as logfmt
// or JSON; its time is end_time. Labels are few and bounded, for each set of them is a stream that Loki holds
// in memory: job, instance, netns where there are several, and event. Addresses stand in the line.
//
// A line that Loki has is dropped there when it comes again: it has the same labels, time and text.
//
//   what happens                                                answer
//   200, 204                                                    delivered
//   another 2xx: a status that blocks writes                    TargetFailed ProjectForbidden
//   a record that ended longer ago than `max_age`               Rejected, without a request: Loki would
//   refuse it 400: a line is too old, too far behind, too long            halved until it stands alone:
//   Rejected 429: the limit of a stream                                  RetryLater, ShardWriteQuotaExceed
//   429: the tenant's limit, of rate or of streams              RetryLater, WriteQuotaExceed
//   500: a message too large within Loki                        smaller requests
//   anything else                                               judge_by_status() in http_delivery.h
// Threads: as sink.h says.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "record/encoder.h"
#include "sink/http/http_server_sink.h"

namespace natsession {

[[nodiscard]] SinkKind loki_kind();
[[nodiscard]] SinkKind loki_https_kind();

struct LokiSettings {
  HttpSettings http;
  std::string tenant;  // X-Scope-OrgID; empty: none is said
  std::string job = "natsession";
  // Loki's own limit (reject_old_samples_max_age) is a week unless its operator has set another.
  std::chrono::milliseconds max_age = std::chrono::hours(7 * 24);
};

class LokiSink final : public HttpServerSink {
 public:
  LokiSink(std::string name, const LokiSettings& settings, const EncoderOptions& options, const Clock& clock);

  Answer deliver(std::span<const SessionRecord> records) override;

 private:
  // One stream of a request: its labels, and its values so far.
  struct Stream {
    const Origin* origin = nullptr;
    RecordEvent event{};
    std::string values;
  };

  Result<std::size_t> make_request(std::span<const SessionRecord> records, HttpRequest& request) override;
  HttpVerdict judge(const HttpReply& reply) override;
  void append_value(const SessionRecord& record);
  void append_labels(const Stream& stream);

  const LokiSettings settings_;
  const std::unique_ptr<Encoder> encoder_;
  const bool flows_;  // entries of a flow log: one stream, event "flow"
  const Clock& clock_;
  std::vector<Stream> streams_;
  std::string line_;
  std::string body_;
};

}  // namespace natsession
