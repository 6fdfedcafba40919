// ClsService: Tencent Cloud's log service (CLS), by structuredlog: one LogGroupList a request, compressed and
// signed.
//
//   POST /structuredlog?topic_id=TOPIC
//   LogGroupList = 1: LogGroup;  LogGroup = *( 1: Log ); 4: source, the name of the instance
//
// Threads: as cloud_sink.h says.
#pragma once

#include "sink/cloud/cloud_sink.h"
#include "sink/cloud/log_group.h"

namespace natsession {

[[nodiscard]] SinkKind cls_kind();

struct ClsSettings {
  std::string host;  // as in the header, without a port
  std::string topic;
  std::string origin;
  LogCompression compress = LogCompression::kLz4;
};

// The value of the header Authorization, of a request signed from a minute before `now` to five minutes
// behind it.
// Shape:  `request` has the headers that are signed, and no others.
[[nodiscard]] std::string cls_signature(const SignedRequest& request, const CloudKeys& keys, UnixNs now);
// Likewise, for the seconds START;END.
[[nodiscard]] std::string cls_signature_for(const SignedRequest& request, const CloudKeys& keys,
                                            const std::string& seconds);

// What an answer of CLS says, by its errorcode, then by its status; as judge_sls().
[[nodiscard]] CloudJudgement judge_cls(const HttpReply& reply);

class ClsService final : public CloudService {
 public:
  ClsService(ClsSettings settings, const EncoderOptions& options)
      : settings_(std::move(settings)), encoder_(options) {}

  [[nodiscard]] const RoleService& roles() const override;
  [[nodiscard]] KeptTimes kept_times() const override { return {}; }
  Result<std::size_t> make_request(std::span<const SessionRecord> records, const CloudKeys& keys, UnixNs now,
                                   HttpRequest& request) override;
  [[nodiscard]] CloudJudgement judge(const HttpReply& reply) const override { return judge_cls(reply); }
  [[nodiscard]] std::string_view request_id_header() const override { return "x-cls-requestid"; }

 private:
  const ClsSettings settings_;
  const LogEncoder encoder_;
  std::string group_;
  std::string list_;
  std::string compressed_;
};

}  // namespace natsession
