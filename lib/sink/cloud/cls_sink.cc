#include "sink/cloud/cls_sink.h"

#include <algorithm>
#include <array>

#include "sink/encoding/digest.h"
#include "sink/encoding/json_value.h"
#include "sink/encoding/protobuf.h"
#include "sink/sink_url.h"

namespace natsession {
namespace {

// A group has 10,000 logs and 5 MB of values at most, a request 6 MB before compression.
constexpr std::size_t kMaxClsBytes = 4 << 20;
constexpr std::size_t kMaxClsLogs = 10'000;

constexpr RoleService kCvmRoles{.origin = "http://metadata.tencentyun.com",
                                .path = "/latest/meta-data/cam/security-credentials/",
                                .listed = true,
                                .session_path = {},
                                .session_ttl = {},
                                .session_token = {},
                                .within = {},
                                .id = "TmpSecretId",
                                .secret = "TmpSecretKey",
                                .token = "Token",
                                .expire = "ExpiredTime"};

std::span<const Option<ClsSettings>> cls_options() {
  static const Option<ClsSettings> kTable[] = {
      {"compress", "lz4|zstd|none", "how the body is sent",
       choice_option(&ClsSettings::compress, log_compressions())},
  };
  return kTable;
}

Result<SinkOpener> parse_cls(const SinkUrl& url) {
  auto place =
      CloudPlace::of(url, 1, "cls://ENDPOINT/TOPIC, as cls://ap-shanghai.cls.tencentcs.com/TOPIC-ID");
  if (!place) return place.error();
  auto settings = CloudSettings::parse(url);
  if (!settings) return settings.error();
  if (auto checked = settings->keys.check(url); !checked) return checked.error();
  ClsSettings cls;
  if (auto read = read_options(url, cls_options(), cls); !read) return read.error();
  cls.host = place->host();
  cls.topic = place->parts[0];
  cls.origin = settings->http.origin = place->origin(*settings);
  settings->http.url = cls.origin + "/structuredlog?topic_id=" + cls.topic;
  return cloud_opener(url, *settings, [cls](const EncoderOptions& options) {
    return std::make_unique<ClsService>(cls, options);
  });
}

// Sorted, encoded, and with what joins them; and the sorted names.
std::string cls_pairs(const SignedRequest::Pairs& pairs, std::string& names) {
  std::string text;
  for (const auto& [name, value] : sorted(pairs)) {
    text += (text.empty() ? "" : "&") + name + "=" + percent_encoded(value);
    names += (names.empty() ? "" : ";") + name;
  }
  return text;
}

}  // namespace

std::string cls_signature_for(const SignedRequest& request, const CloudKeys& keys,
                              const std::string& seconds) {
  std::string method = request.method;
  for (char& letter : method) letter = static_cast<char>(letter | 0x20);
  std::string parameters;
  std::string headers;
  std::string text = method + "\n" + request.path + "\n";
  text += cls_pairs(request.query, parameters) + "\n";
  text += cls_pairs(request.headers, headers) + "\n";
  const std::string to_sign = "sha1\n" + seconds + "\n" + hex_of(digest_of(Hash::kSha1, text)) + "\n";
  const std::string key = hex_of(hmac_of(Hash::kSha1, keys.secret, seconds));
  return "q-sign-algorithm=sha1&q-ak=" + keys.id + "&q-sign-time=" + seconds + "&q-key-time=" + seconds +
         "&q-header-list=" + headers + "&q-url-param-list=" + parameters +
         "&q-signature=" + hex_of(hmac_of(Hash::kSha1, key, to_sign));
}

std::string cls_signature(const SignedRequest& request, const CloudKeys& keys, UnixNs now) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  return cls_signature_for(request, keys, std::to_string(seconds - 60) + ";" + std::to_string(seconds + 300));
}

CloudJudgement judge_cls(const HttpReply& reply) {
  using Kind = CloudJudgement::Kind;
  using Code = TargetCode;
  static constexpr std::array kCodes{
      CloudCode{"InvalidAuthorization", {Kind::kKeys, Code::kInvalidAccessKeyId}},
      CloudCode{"MissingAuthorization", {Kind::kKeys, Code::kInvalidAccessKeyId}},
      CloudCode{"TopicClosed", {Kind::kFailed, Code::kProjectForbidden}},
      CloudCode{"LogSizeExceed", {Kind::kTooMuch, {}}},
      CloudCode{"NotAllowed", {Kind::kKeys, Code::kUnauthorized}},
      CloudCode{"TopicNotExist", {Kind::kFailed, Code::kLogStoreNotExist}},
      CloudCode{"LogsetNotExist", {Kind::kFailed, Code::kProjectNotExist}},
      CloudCode{"SpeedQuotaExceed", {Kind::kThrottled, Code::kShardWriteQuotaExceed}},
  };
  const std::string code = json_text(reply.body, {"errorcode"}).value_or("");
  const bool own = !code.empty() || !reply.header("x-cls-requestid").empty();
  if (!own && reply.status != 413) return {Kind::kLater, {}};
  if (code == "Unauthorized") {
    // Wrong keys, a signature of another time, and a right that is missing have one code.
    const bool right = says(json_text(reply.body, {"errormessage"}).value_or(""),
                            {"permission", "not authorized", "no right", "policy", "denied"});
    return {Kind::kKeys, right ? Code::kUnauthorized : Code::kInvalidAccessKeyId};
  }
  return judge_by_code(reply, code, kCodes);
}

SinkKind cls_kind() {
  return {
      .scheme = "cls",
      .usage = "cls://ENDPOINT/TOPIC",
      .help = "Tencent Cloud's log service; see natsessiond-cls(7); options as sls, but region and signature",
      .also = joined(joined(cloud_options(), explain(cls_options())), explain(tls_options())),
      .remote = true,
      .encoding = SinkEncoding::kPairs,
      .flows = true,
      .missing = what_clouds_miss(),
      .parse = parse_cls};
}

const RoleService& ClsService::roles() const {
  return kCvmRoles;
}

Result<std::size_t> ClsService::make_request(std::span<const SessionRecord> records, const CloudKeys& keys,
                                             UnixNs now, HttpRequest& request) {
  const std::size_t count = encoder_.fill(records, {.logs = kMaxClsLogs, .bytes = kMaxClsBytes}, group_);
  list_.clear();
  append_bytes(list_, 1, group_);
  const auto compression = compress_logs(settings_.compress, list_, compressed_, request.body);
  if (!compression) return compression.error();

  SignedRequest to_sign{.method = "POST", .path = "/structuredlog", .query = {}, .headers = {}};
  to_sign.query = {{"topic_id", settings_.topic}};
  to_sign.headers = {{"content-type", "application/x-protobuf"}, {"host", settings_.host}};
  request.url = settings_.origin + to_sign.path + "?topic_id=" + settings_.topic;
  request.headers = {"Authorization: " + cls_signature(to_sign, keys, now),
                     "Content-Type: application/x-protobuf", "Host: " + settings_.host};
  if (!compression->empty()) request.headers.push_back("x-cls-compress-type: " + std::string(*compression));
  if (!keys.token.empty()) request.headers.push_back("X-Cls-Token: " + keys.token);
  return count;
}

}  // namespace natsession
