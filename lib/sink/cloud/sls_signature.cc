#include "sink/cloud/sls_signature.h"

#include "sink/encoding/digest.h"
#include "sink/sink_url.h"

namespace natsession {
namespace {

constexpr std::string_view kSls4 = "SLS4-HMAC-SHA256";
constexpr std::string_view kSls4End = "aliyun_v4_request";

bool is_sls_header(std::string_view name) {
  return (name.starts_with("x-log-") && !name.starts_with("x-log-meta-")) || name.starts_with("x-acs-");
}

}  // namespace

std::string sls_signature_v1(const SignedRequest& request, const CloudKeys& keys) {
  std::string text = request.method + "\n";
  for (const std::string_view name : {"content-md5", "content-type", "date"}) {
    text += request.header(name);
    text += '\n';
  }
  for (const auto& [name, value] : request.sorted_headers(is_sls_header)) text += name + ":" + value + "\n";
  text += request.path;
  char before = '?';
  for (const auto& [name, value] : sorted(request.query)) {
    text += before + name + "=" + value;
    before = '&';
  }
  return "LOG " + keys.id + ":" + base64_of(hmac_of(Hash::kSha1, keys.secret, text));
}

std::string sls_signature_v4(const SignedRequest& request, const CloudKeys& keys, std::string_view region) {
  const std::string_view time = request.header("x-log-date");
  const std::string day(time.substr(0, 8));
  std::string text = request.method + "\n" + request.path + "\n";
  bool first = true;
  for (const auto& [name, value] : sorted(request.query)) {
    if (!first) text += '&';
    text += name + (value.empty() ? "" : "=" + percent_encoded(value));
    first = false;
  }
  text += '\n';
  std::string names;
  const auto counts = [](std::string_view name) {
    return name == "host" || name == "content-type" || is_sls_header(name);
  };
  for (const auto& [name, value] : request.sorted_headers(counts)) {
    text += name + ":" + value + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  text += "\n" + names + "\n";
  text += request.header("x-log-content-sha256");

  const std::string scope = day + "/" + std::string(region) + "/sls/" + std::string(kSls4End);
  std::string to_sign(kSls4);
  to_sign += "\n" + std::string(time) + "\n" + scope + "\n" + hex_of(digest_of(Hash::kSha256, text));
  std::string key = "aliyun_v4" + keys.secret;
  for (const std::string_view part : {std::string_view(day), region, std::string_view("sls"), kSls4End})
    key = hmac_of(Hash::kSha256, key, part);
  return std::string(kSls4) + " Credential=" + keys.id + "/" + scope +
         ",Signature=" + hex_of(hmac_of(Hash::kSha256, key, to_sign));
}

}  // namespace natsession
