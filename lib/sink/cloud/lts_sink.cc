#include "sink/cloud/lts_sink.h"

#include <algorithm>
#include <array>

#include "record/escape.h"
#include "sink/cloud/log_group.h"
#include "sink/encoding/digest.h"
#include "sink/encoding/json_value.h"
#include "sink/sink_url.h"

namespace natsession {
namespace {

// The documents name no limit: as much as the others take.
constexpr std::size_t kMaxLtsBytes = 3 << 20;
constexpr std::size_t kMaxLtsLines = 4096;
constexpr std::uint16_t kLtsPort = 8102;
constexpr std::string_view kLtsType = "application/json;charset=UTF-8";

constexpr RoleService kAgency{.origin = "http://169.254.169.254",
                              .path = "/openstack/latest/securitykey",
                              .listed = false,
                              .session_path = "/meta-data/latest/api/token",
                              .session_ttl = "X-Metadata-Token-Ttl-Seconds",
                              .session_token = "X-Metadata-Token",
                              .within = "credential",
                              .id = "access",
                              .secret = "secret",
                              .token = "securitytoken",
                              .expire = "expires_at"};

std::span<const Option<LtsSettings>> lts_token_options() {
  static const Option<LtsSettings> kTable[] = {
      {"iam_token_file", "FILE",
       "lts: in place of keys, the token of IAM in FILE; read anew on SIGHUP and when it is refused",
       text_option(&LtsSettings::iam_token_file, "a file")},
      {"iam_token_env", "NAME", "lts: likewise, in the environment variable NAME",
       text_option(&LtsSettings::iam_token_env, "a variable's name")},
  };
  return kTable;
}

std::span<const Option<LtsSettings>> lts_body_options() {
  static const Option<LtsSettings> kTable[] = {
      {"compress", "gzip|none", "how the body is sent",
       choice_option(&LtsSettings::compress,
                     Names<Compression>{{"gzip", Compression::kGzip}, {"none", Compression::kNone}})},
  };
  return kTable;
}

Result<SinkOpener> parse_lts(const SinkUrl& url) {
  auto place = CloudPlace::of(url, 3, "lts://ENDPOINT[:8102]/PROJECT/GROUP/STREAM");
  if (!place) return place.error();
  auto settings = CloudSettings::parse(url);
  if (!settings) return settings.error();
  LtsSettings lts;
  for (const auto table : {lts_token_options(), lts_body_options()}) {
    if (auto read = read_options(url, table, lts); !read) return read.error();
  }
  if (lts.iam_token_file.empty() && lts.iam_token_env.empty()) {
    if (auto checked = settings->keys.check(url); !checked) return checked.error();
  } else if (!settings->keys.credentials_file.empty() || !settings->keys.id_env.empty() ||
             !settings->keys.role.empty() || (!lts.iam_token_file.empty() && !lts.iam_token_env.empty())) {
    return url.wrong("iam_token_file, iam_token_env and keys exclude one another");
  }
  SinkUrl only_host = url;
  only_host.target = "//" + place->endpoint;
  place->endpoint = endpoint_of(only_host, kLtsPort)->to_string();
  lts.host = place->endpoint;
  lts.origin = settings->http.origin = place->origin(*settings);
  lts.project = place->parts[0];
  lts.path = "/v2/" + place->parts[0] + "/lts/groups/" + place->parts[1] + "/streams/" + place->parts[2] +
             "/tenant/contents/high-accuracy";
  settings->http.url = lts.origin + lts.path;
  SinkOpener opener = cloud_opener(url, *settings, [lts](const EncoderOptions& options) {
    return std::make_unique<LtsService>(lts, options);
  });
  if (!lts.iam_token_file.empty()) opener.secret_files.push_back(lts.iam_token_file);
  return opener;
}

}  // namespace

std::string lts_signature(const SignedRequest& request, const CloudKeys& keys) {
  std::string text = request.method + "\n" + request.path + (request.path.ends_with('/') ? "" : "/") + "\n";
  bool first = true;
  for (const auto& [name, value] : sorted(request.query)) {
    text += (first ? "" : "&") + percent_encoded(name) + "=" + percent_encoded(value);
    first = false;
  }
  text += '\n';
  std::string names;
  for (const auto& [name, value] : sorted(request.headers)) {
    text += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  text += "\n" + names + "\n" + hex_of(digest_of(Hash::kSha256, request.body));
  const std::string to_sign = "SDK-HMAC-SHA256\n" + std::string(request.header("x-sdk-date")) + "\n" +
                              hex_of(digest_of(Hash::kSha256, text));
  return "SDK-HMAC-SHA256 Access=" + keys.id + ", SignedHeaders=" + names +
         ", Signature=" + hex_of(hmac_of(Hash::kSha256, keys.secret, to_sign));
}

CloudJudgement judge_lts(const HttpReply& reply) {
  using Kind = CloudJudgement::Kind;
  using Code = TargetCode;
  static constexpr std::array kCodes{
      CloudCode{"SVCSTG.ALS.403.105", {Kind::kFailed, Code::kProjectNotExist}},
      CloudCode{"LTS.0011", {Kind::kFailed, Code::kProjectNotExist}},
      CloudCode{"LTS.0001", {Kind::kFailed, Code::kProjectNotExist}},
      CloudCode{"LTS.0201", {Kind::kFailed, Code::kLogStoreNotExist}},
      CloudCode{"LTS.0208", {Kind::kFailed, Code::kLogStoreNotExist}},
      CloudCode{"SVCSTG.ALS.200201", {Kind::kFailed, Code::kLogStoreNotExist}},
      CloudCode{"LTS.0414", {Kind::kKeys, Code::kInvalidAccessKeyId}},
      CloudCode{"LTS.0010", {Kind::kLater, {}}},
  };
  // The names of both members vary.
  const std::string code =
      json_text(reply.body, {"errorCode"}).value_or(json_text(reply.body, {"error_code"}).value_or(""));
  if (code.empty() && reply.status != 413 && reply.status != 429) return {Kind::kLater, {}};
  if (reply.status >= 200 && reply.status < 300)
    return {code.starts_with("SVCSTG.ALS.200.") ? Kind::kTaken : Kind::kLater, {}};
  const CloudJudgement judgement = judge_by_code(reply, code, kCodes);
  const bool known =
      std::any_of(kCodes.begin(), kCodes.end(), [&](const CloudCode& row) { return row.code == code; });
  if (reply.status == 401 && !known) return {Kind::kKeys, Code::kInvalidAccessKeyId};
  return judgement;
}

SinkKind lts_kind() {
  return {.scheme = "lts",
          .usage = "lts://ENDPOINT[:8102]/PROJECT/GROUP/STREAM",
          .help = "Huawei Cloud's log service; see natsessiond-lts(7); options as cls, and:",
          .options = joined(explain(lts_token_options()), explain(lts_body_options())),
          .also = joined(cloud_options(), explain(tls_options())),
          .remote = true,
          .encoding = SinkEncoding::kJsonOnly,
          .flows = true,
          .missing = what_clouds_miss(),
          .parse = parse_lts};
}

const RoleService& LtsService::roles() const {
  return kAgency;
}

// The service deletes what is further from its time, and answers as if it had not.
KeptTimes LtsService::kept_times() const {
  return {.past = std::chrono::hours(48), .future = std::chrono::hours(48)};
}

Result<std::string> LtsService::read_token() const {
  if (!settings_.iam_token_env.empty()) return read_secret_variable(settings_.iam_token_env);
  const auto text = read_secret_file(settings_.iam_token_file);
  if (!text) return text.error();
  const std::string_view token = trimmed(std::string_view(*text).substr(0, text->find('\n')));
  if (token.empty() || has_control(token))
    return usage_error(settings_.iam_token_file + ":1: no token of IAM: it is one line");
  return std::string(token);
}

Result<void> LtsService::reopen() {
  if (has_keys()) return {};
  auto token = read_token();
  if (!token) return token.error();
  token_ = std::move(*token);
  return {};
}

bool LtsService::renew() {
  auto token = read_token();
  if (!token || *token == token_) return false;
  token_ = std::move(*token);
  return true;
}

Result<std::size_t> LtsService::make_request(std::span<const SessionRecord> records, const CloudKeys& keys,
                                             UnixNs now, HttpRequest& request) {
  text_ = "{\"contents\":[";
  std::size_t count = 0;
  while (count < records.size() && count < kMaxLtsLines && text_.size() < kMaxLtsBytes) {
    line_.clear();
    encoder_->append(records[count], line_);
    line_.pop_back();
    const auto ms = log_time(records[count]).time_since_epoch().count();
    text_ += count > 0 ? ",{\"log_time_ns\":" : "{\"log_time_ns\":";
    append_line(text_, kMaxTimeLength + 24 + max_escaped_length(line_.size()), [&](char* out) {
      out = write_uint(out, static_cast<std::uint64_t>(std::max<std::int64_t>(0, ms)));
      out = write_text(out, "000000,\"log\":");
      out = write_json_string(out, line_);
      *out = '}';
      return out + 1;
    });
    ++count;
  }
  text_ += "],\"labels\":{}}";
  request.body = text_;
  request.url = settings_.origin + settings_.path;
  request.headers = {"Content-Type: " + std::string(kLtsType), "Host: " + settings_.host};
  if (settings_.compress == Compression::kGzip) {
    if (auto packed = gzip_text(text_, compressed_); !packed) return packed.error();
    request.body = compressed_;
    request.headers.emplace_back("Content-Encoding: gzip");
  }
  if (!has_keys()) {
    request.headers.push_back("X-Auth-Token: " + token_);
    return count;
  }
  SignedRequest to_sign{
      .method = "POST", .path = settings_.path, .query = {}, .headers = {}, .body = request.body};
  to_sign.headers = {{"content-type", std::string(kLtsType)},
                     {"host", settings_.host},
                     {"x-project-id", settings_.project},
                     {"x-sdk-date", basic_time(now)}};
  if (!keys.token.empty()) to_sign.headers.emplace_back("x-security-token", keys.token);
  request.headers.push_back("Authorization: " + lts_signature(to_sign, keys));
  for (std::size_t i = 2; i < to_sign.headers.size(); ++i)
    request.headers.push_back(to_sign.headers[i].first + ": " + to_sign.headers[i].second);
  return count;
}

}  // namespace natsession
