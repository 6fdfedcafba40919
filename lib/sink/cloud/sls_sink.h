// SlsService: Alibaba Cloud's Log Service (SLS), by PutLogs: one LogGroup a request, compressed and signed.
//
//   POST /logstores/LOGSTORE/shards/lb    Host: PROJECT.ENDPOINT
//   LogGroup = *( 1: Log ); 4: source, the name of the instance
//
// Threads: as cloud_sink.h says.
#pragma once

#include "sink/cloud/cloud_sink.h"
#include "sink/cloud/log_group.h"

namespace natsession {

[[nodiscard]] SinkKind sls_kind();

struct SlsSettings {
  std::string host;  // PROJECT.ENDPOINT without a port, whatever is connected to
  std::string logstore;
  std::string region;  // of version 4
  bool version_4 = true;
  LogCompression compress = LogCompression::kLz4;
};

// What an answer of SLS says, by its errorCode, then by its status. An answer that bears neither a code nor a
// request's number is not the service's own.
[[nodiscard]] CloudJudgement judge_sls(const HttpReply& reply);

class SlsService final : public CloudService {
 public:
  SlsService(SlsSettings settings, std::string origin, const EncoderOptions& options)
      : settings_(std::move(settings)),
        path_("/logstores/" + settings_.logstore + "/shards/lb"),
        origin_(std::move(origin)),
        encoder_(options) {}

  [[nodiscard]] const RoleService& roles() const override;
  [[nodiscard]] KeptTimes kept_times() const override;
  Result<std::size_t> make_request(std::span<const SessionRecord> records, const CloudKeys& keys, UnixNs now,
                                   HttpRequest& request) override;
  [[nodiscard]] CloudJudgement judge(const HttpReply& reply) const override { return judge_sls(reply); }
  [[nodiscard]] std::string_view request_id_header() const override { return "x-log-requestid"; }

 private:
  const SlsSettings settings_;
  const std::string path_;
  const std::string origin_;
  const LogEncoder encoder_;
  std::string group_;
  std::string compressed_;
};

}  // namespace natsession
