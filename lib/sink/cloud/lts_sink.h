// LtsService: Huawei Cloud's log service (LTS), by tenant/contents/high-accuracy: lines of JSON, each with
// its time, compressed with gzip, with a token or signed.
//
//   POST /v2/PROJECT/lts/groups/GROUP/streams/STREAM/tenant/contents/high-accuracy
//   {"contents":[{"log_time_ns":N,"log":"LINE"}, …],"labels":{}}
//
// Threads: as cloud_sink.h says.
#pragma once

#include "sink/cloud/cloud_sink.h"

namespace natsession {

[[nodiscard]] SinkKind lts_kind();

struct LtsSettings {
  std::string host;  // as in the header, with its port
  std::string origin;
  std::string project;
  std::string path;
  std::string iam_token_file;  // a token of IAM in place of keys: in a file, or a variable
  std::string iam_token_env;
  Compression compress = Compression::kGzip;
};

// The value of the header Authorization, by SDK-HMAC-SHA256.
// Shape:  `request` has the headers that are signed, X-Sdk-Date among them, and no others.
[[nodiscard]] std::string lts_signature(const SignedRequest& request, const CloudKeys& keys);

// What an answer of LTS says, by its code and status. An answer without a code is not the service's own.
[[nodiscard]] CloudJudgement judge_lts(const HttpReply& reply);

class LtsService final : public CloudService {
 public:
  LtsService(LtsSettings settings, const EncoderOptions& options)
      : settings_(std::move(settings)), encoder_(make_encoder(options)) {}

  [[nodiscard]] const RoleService& roles() const override;
  [[nodiscard]] KeptTimes kept_times() const override;
  Result<void> reopen() override;
  [[nodiscard]] bool has_keys() const override {
    return settings_.iam_token_file.empty() && settings_.iam_token_env.empty();
  }
  [[nodiscard]] bool renew() override;
  Result<std::size_t> make_request(std::span<const SessionRecord> records, const CloudKeys& keys, UnixNs now,
                                   HttpRequest& request) override;
  [[nodiscard]] CloudJudgement judge(const HttpReply& reply) const override { return judge_lts(reply); }

 private:
  [[nodiscard]] Result<std::string> read_token() const;

  const LtsSettings settings_;
  const std::unique_ptr<Encoder> encoder_;
  std::string token_;  // of IAM
  std::string line_;
  std::string text_;
  std::string compressed_;
};

}  // namespace natsession
