#include "sink/cloud/sls_sink.h"

#include <array>

#include "sink/cloud/sls_signature.h"
#include "sink/encoding/digest.h"
#include "sink/encoding/json_value.h"

namespace natsession {
namespace {

// The least of what the service's documents say of a request: 3 MB before compression, 4,096 logs.
constexpr std::size_t kMaxSlsBytes = 3 << 20;
constexpr std::size_t kMaxSlsLogs = 4096;

constexpr RoleService kEcsRoles{.origin = "http://100.100.100.200",
                                .path = "/latest/meta-data/ram/security-credentials/",
                                .listed = true,
                                .session_path = "/latest/api/token",
                                .session_ttl = "X-aliyun-ecs-metadata-token-ttl-seconds",
                                .session_token = "X-aliyun-ecs-metadata-token",
                                .within = {},
                                .id = "AccessKeyId",
                                .secret = "AccessKeySecret",
                                .token = "SecurityToken",
                                .expire = "Expiration"};

std::span<const Option<SlsSettings>> sls_options() {
  static const Option<SlsSettings> kTable[] = {
      {"region", "NAME", "of signature v4, where the endpoint's name does not begin with it",
       text_option(&SlsSettings::region, "a region's name")},
      {"signature", "v4|v1", "how requests are signed",
       choice_option(&SlsSettings::version_4, Names<bool>{{"v4", true}, {"v1", false}})},
      {"compress", "lz4|zstd|none", "how the body is sent",
       choice_option(&SlsSettings::compress, log_compressions())},
  };
  return kTable;
}

// cn-hangzhou.log.aliyuncs.com, cn-hangzhou-intranet.log.aliyuncs.com; nothing: another name.
std::string region_of(std::string_view host) {
  if (!host.ends_with(".aliyuncs.com")) return {};
  std::string_view region = host.substr(0, host.find('.'));
  for (const std::string_view network : {"-intranet", "-internal", "-share"}) {
    if (region.ends_with(network)) region.remove_suffix(network.size());
  }
  return std::string(region);
}

Result<SinkOpener> parse_sls(const SinkUrl& url) {
  auto place = CloudPlace::of(
      url, 2, "sls://ENDPOINT/PROJECT/LOGSTORE, as sls://cn-hangzhou.log.aliyuncs.com/nat/log");
  if (!place) return place.error();
  auto settings = CloudSettings::parse(url);
  if (!settings) return settings.error();
  if (auto checked = settings->keys.check(url); !checked) return checked.error();
  SlsSettings sls;
  if (auto read = read_options(url, sls_options(), sls); !read) return read.error();
  sls.host = place->parts[0] + "." + place->host();
  sls.logstore = place->parts[1];
  if (sls.region.empty()) sls.region = region_of(place->host());
  if (sls.version_4 && sls.region.empty())
    return url.wrong("region: the endpoint's name does not say it, and signature v4 needs it");
  settings->http.origin = place->origin(*settings, place->parts[0] + ".");
  settings->http.url = settings->http.origin + "/logstores/" + sls.logstore + "/shards/lb";
  return cloud_opener(url, *settings, [sls, origin = settings->http.origin](const EncoderOptions& options) {
    return std::make_unique<SlsService>(sls, origin, options);
  });
}

using SlsKind = CloudJudgement::Kind;

// By errorCode; any other with status 400 is of what we sent.
constexpr std::array kSlsCodes{
    CloudCode{"ProjectNotExist", {SlsKind::kFailed, TargetCode::kProjectNotExist}},
    CloudCode{"LogStoreNotExist", {SlsKind::kFailed, TargetCode::kLogStoreNotExist}},
    CloudCode{"LogStoreWithoutShard", {SlsKind::kFailed, TargetCode::kLogStoreNotExist}},
    CloudCode{"ProjectForbidden", {SlsKind::kFailed, TargetCode::kProjectForbidden}},
    CloudCode{"InvalidAccessKeyId", {SlsKind::kKeys, TargetCode::kInvalidAccessKeyId}},
    CloudCode{"SignatureNotMatch", {SlsKind::kKeys, TargetCode::kInvalidAccessKeyId}},
    CloudCode{"WriteQuotaExceed", {SlsKind::kThrottled, TargetCode::kWriteQuotaExceed}},
    CloudCode{"ExceedQuota", {SlsKind::kThrottled, TargetCode::kWriteQuotaExceed}},
    CloudCode{"ShardWriteQuotaExceed", {SlsKind::kThrottled, TargetCode::kShardWriteQuotaExceed}},
    CloudCode{"RequestTimeExpired", {SlsKind::kClock, {}}},
    CloudCode{"RequestTimeTooSkewed", {SlsKind::kClock, {}}},
    CloudCode{"InvalidTimestamp", {SlsKind::kBadTime, {}}},
    CloudCode{"PostBodyTooLarge", {SlsKind::kTooMuch, {}}},
};

}  // namespace

CloudJudgement judge_sls(const HttpReply& reply) {
  const std::string code = json_text(reply.body, {"errorCode"}).value_or("");
  const bool own = !code.empty() || !reply.header("x-log-requestid").empty();
  if (!own && reply.status != 413) return {SlsKind::kLater, {}};
  if (code == "Unauthorized") {
    const bool unknown =
        says(json_text(reply.body, {"errorMessage"}).value_or(""), {"not found", "disabled"});
    return {SlsKind::kKeys, unknown ? TargetCode::kInvalidAccessKeyId : TargetCode::kUnauthorized};
  }
  return judge_by_code(reply, code, kSlsCodes);
}

SinkKind sls_kind() {
  return {.scheme = "sls",
          .usage = "sls://ENDPOINT/PROJECT/LOGSTORE",
          .help = "Alibaba Cloud's Log Service; see natsessiond-sls(7); options of TLS as https, and:",
          .options = joined(cloud_options(), explain(sls_options())),
          .also = explain(tls_options()),
          .remote = true,
          .encoding = SinkEncoding::kPairs,
          .flows = true,
          .missing = what_clouds_miss(),
          .parse = parse_sls};
}

const RoleService& SlsService::roles() const {
  return kEcsRoles;
}

KeptTimes SlsService::kept_times() const {
  return {.past = std::chrono::hours(7 * 24), .future = std::chrono::minutes(15)};
}

Result<std::size_t> SlsService::make_request(std::span<const SessionRecord> records, const CloudKeys& keys,
                                             UnixNs now, HttpRequest& request) {
  const std::size_t count = encoder_.fill(records, {.logs = kMaxSlsLogs, .bytes = kMaxSlsBytes}, group_);
  const auto compression = compress_logs(settings_.compress, group_, compressed_, request.body);
  if (!compression) return compression.error();

  SignedRequest to_sign{.method = "POST", .path = path_, .query = {}, .headers = {}, .body = request.body};
  to_sign.headers = {{"host", settings_.host},
                     {"content-type", "application/x-protobuf"},
                     {"x-log-apiversion", "0.6.0"},
                     {"x-log-bodyrawsize", std::to_string(group_.size())}};
  if (!compression->empty()) to_sign.headers.emplace_back("x-log-compresstype", *compression);
  if (!keys.token.empty()) to_sign.headers.emplace_back("x-acs-security-token", keys.token);
  std::string authorization;
  if (settings_.version_4) {
    to_sign.headers.emplace_back("x-log-date", basic_time(now));
    to_sign.headers.emplace_back("x-log-content-sha256", hex_of(digest_of(Hash::kSha256, request.body)));
    authorization = sls_signature_v4(to_sign, keys, settings_.region);
  } else {
    const std::string md5 = digest_of(Hash::kMd5, request.body);
    if (md5.empty()) return usage_error("OpenSSL gives no MD5 here: use signature=v4");
    to_sign.headers.emplace_back("date", http_date(now));
    to_sign.headers.emplace_back("content-md5", hex_of(md5, /*upper=*/true));
    to_sign.headers.emplace_back("x-log-signaturemethod", "hmac-sha1");
    authorization = sls_signature_v1(to_sign, keys);
  }
  request.url = origin_ + path_;
  request.headers = {"Authorization: " + authorization};
  for (const auto& [name, value] : to_sign.headers) request.headers.push_back(name + ": " + value);
  return count;
}

}  // namespace natsession
