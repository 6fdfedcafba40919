// Oracles: the vectors of the clouds' own SDKs and documents, as network-sinks.md of the project's
// specification has them ("reproduced" there), and some that were computed with Python's hmac.
#include <catch2/catch.hpp>

#include "sink/cloud/cls_sink.h"
#include "sink/cloud/lts_sink.h"
#include "sink/cloud/signed_request.h"
#include "sink/cloud/sls_signature.h"
#include "sink/encoding/digest.h"
#include "sink/log_group_reader.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;

namespace {

const CloudKeys kMock{"mockAccessKeyID", "mockAccessKeySecret", {}, {}};
const std::string kInner = from_hex(
    "0a1e08f8b2939e0512160a07546573744b6579120b54657374436f6e74656e741a00220e31302e3233302e3230312e313137");
const std::string kLiterals = from_hex("f023") + kInner;  // a block of LZ4 that has them as they are

}  // namespace

TEST_CASE("digests are OpenSSL's, and shown in both forms", "[sink][cloud]") {
  // RFC 2202, 3, case 2; RFC 4231, 4.3; RFC 1321, A.5; RFC 4648, 10.
  CHECK(hex_of(hmac_of(Hash::kSha1, "Jefe", "what do ya want for nothing?")) ==
        "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  CHECK(hex_of(hmac_of(Hash::kSha256, "Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex_of(digest_of(Hash::kMd5, "abc"), true) == "900150983CD24FB0D6963F7D28E17F72");
  for (const auto& [plain, coded] : std::vector<std::pair<std::string, std::string>>{{"", ""},
                                                                                     {"f", "Zg=="},
                                                                                     {"fo", "Zm8="},
                                                                                     {"foo", "Zm9v"},
                                                                                     {"foob", "Zm9vYg=="},
                                                                                     {"foobar", "Zm9vYmFy"}})
    CHECK(base64_of(plain) == coded);
}

TEST_CASE("a request's times are written as the clouds want them, and read back", "[sink][cloud]") {
  const UnixNs time{1'262'507'627s};  // date -u -d @1262507627
  CHECK(http_date(time) == "Sun, 03 Jan 2010 08:33:47 GMT");
  CHECK(basic_time(time + 999ms) == "20100103T083347Z");
  CHECK(read_http_date("Sun, 03 Jan 2010 08:33:47 GMT") == time);
  CHECK(read_cloud_time("2010-01-03T08:33:47Z") == time);
  CHECK(read_cloud_time("2010-01-03T08:33:47.000000Z") == time);
  CHECK(read_cloud_time("1262507627") == time);
  for (const char* const text :
       {"", "Sun, 03 Jan 2010 08:33:47 CET", "Sun, 31 Feb 2010 08:33:47 GMT", "Sun, 03 Jan 2010 25:33:47 GMT",
        "Sun, 03 Jan 2010 08-33-47 GMT", "Sun, -3 Jan 2010 08:33:47 GMT"})
    CHECK_FALSE(read_http_date(text));
  for (const char* const text :
       {"", "soon", "99999999999999999999", "2010-01-03 08:33:47", "2010-13-03T08:33:47Z"})
    CHECK_FALSE(read_cloud_time(text));
}

TEST_CASE("names and values are percent-encoded by RFC 3986", "[sink][cloud]") {
  CHECK(percent_encoded("aZ09-_.~ /=\xc3") == "aZ09-_.~%20%2F%3D%C3");
}

TEST_CASE("SLS version 1 signs as the SDK's own test", "[sink][cloud][sls]") {
  SignedRequest list{.method = "GET", .path = "/logstores", .query = {}, .headers = {}};
  list.headers = {{"date", "Mon, 3 Jan 2010 08:33:47 GMT"},
                  {"x-log-apiversion", "0.6.0"},
                  {"x-log-signaturemethod", "hmac-sha1"},
                  {"x-log-bodyrawsize", "0"},
                  {"user-agent", "is not signed"}};
  CHECK(sls_signature_v1(list, kMock) == "LOG mockAccessKeyID:Rwm6cTKzoti4HWoe+GKcb6Kv07E=");

  const std::string body = from_hex("0a32") + kInner;
  SignedRequest put{.method = "GET", .path = "/logstores/app_log", .query = {}, .headers = {}, .body = body};
  put.headers = {{"date", "Mon, 3 Jan 2010 08:33:47 GMT"},
                 {"content-type", "application/x-protobuf"},
                 {"content-md5", hex_of(digest_of(Hash::kMd5, body), true)},
                 {"x-log-apiversion", "0.6.0"},
                 {"x-log-signaturemethod", "hmac-sha1"},
                 {"x-log-bodyrawsize", "50"}};
  CHECK(put.header("content-md5") == "8D6881250FF5559F59BBDF04100F6E59");
  CHECK(sls_signature_v1(put, kMock) == "LOG mockAccessKeyID:87xQWqFaOSewqRIma8kPjGYlXHc=");

  put.method = "POST";
  put.path += "/shards/lb";
  put.headers[2].second = hex_of(digest_of(Hash::kMd5, kLiterals), true);
  put.headers.emplace_back("x-log-compresstype", "lz4");
  put.headers.emplace_back("x-acs-security-token", "tok");
  CHECK(sls_signature_v1(put, kMock) == "LOG mockAccessKeyID:BQwSEu+m/6EgvyqOmO8idP9hVOg=");
}

TEST_CASE("SLS version 4 signs as the SDKs' own tests", "[sink][cloud][sls]") {
  const CloudKeys keys{"acsddda21dsd", "zxasdasdasw2", {}, {}};
  const std::string body = "adasd= -asd zcas";
  SignedRequest request{.method = "POST", .path = "/logstores", .query = {}, .headers = {}, .body = body};
  const auto sign = [&](std::string_view region) {
    SignedRequest whole = request;
    whole.headers.emplace_back("x-log-date", "20220808T032330Z");
    whole.headers.emplace_back("x-log-content-sha256", hex_of(digest_of(Hash::kSha256, whole.body)));
    return sls_signature_v4(whole, keys, region);
  };
  CHECK(sign("cn-shanghai") ==
        "SLS4-HMAC-SHA256 Credential=acsddda21dsd/20220808/cn-shanghai/sls/aliyun_v4_request,"
        "Signature=8a10a5e723cb2e75964816de660b2c16a58af8bc0261f7f0722d832468c76ce8");
  request.headers = {{"x-log-test", "het123"}, {"x-acs-ppp", "dds"}, {"hello", "unsigned"}};
  request.query = {{" abc", "efg"}, {" agc ", ""}, {"", "efg"}, {"A-bc", "eFg"}};
  CHECK_THAT(sign("cn-hangzhou"),
             Catch::Matchers::EndsWith("a98f5632e93836e63839cd836a54055f480020a9364ca944e2d34f2eb9bf1bed"));
  request.body = {};
  CHECK_THAT(sign("cn-hangzhou"),
             Catch::Matchers::EndsWith("5a66d8f8051983e0e9d08e0f960ef9252ef971eead5bb5c7acec8617a2eb2701"));
  request.method = "GET";
  CHECK_THAT(sign("cn-hangzhou"),
             Catch::Matchers::EndsWith("d92741852500791d662a8d469ff61627c0559ecd86c3f59b7bf6772b6c62666a"));
}

TEST_CASE("SLS version 4 signs a whole write", "[sink][cloud][sls]") {
  SignedRequest put{.method = "POST",
                    .path = "/logstores/app_log/shards/lb",
                    .query = {},
                    .headers = {},
                    .body = kLiterals};
  put.headers = {{"host", "p1.cn-hangzhou.log.aliyuncs.com"},
                 {"content-type", "application/x-protobuf"},
                 {"x-log-apiversion", "0.6.0"},
                 {"x-log-bodyrawsize", "50"},
                 {"x-log-compresstype", "lz4"},
                 {"x-acs-security-token", "tok"},
                 {"x-log-date", "20220808T032330Z"},
                 {"x-log-content-sha256", hex_of(digest_of(Hash::kSha256, kLiterals))}};
  CHECK_THAT(sls_signature_v4(put, kMock, "cn-hangzhou"),
             Catch::Matchers::EndsWith("f4b3c0c44c90526465558ae4c8d3e05f0997411ecfe5e68d02fe3c02c1b6e5fa"));
}

TEST_CASE("CLS signs as its document's examples", "[sink][cloud][cls]") {
  const CloudKeys keys{"id", "LUSE4nPK1d4tX5SHyXv6tZXXXXXXXXXX", {}, {}};
  const std::string seconds = "1510109254;1510109314";
  const auto [method, path, query, headers, lists, signature] = GENERATE(
      table<std::string, std::string, SignedRequest::Pairs, SignedRequest::Pairs, std::string, std::string>({
          {"GET", "/logset", SignedRequest::Pairs{{"logset_id", "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"}},
           SignedRequest::Pairs{{"host", "ap-shanghai.cls.myqcloud.com"}}, "host&q-url-param-list=logset_id",
           "2c53900d3fe8d2e875db8a6af5fe7303ee1567a8"},
          {"PUT", "/logset", SignedRequest::Pairs{},
           SignedRequest::Pairs{{"host", "ap-shanghai.cls.myqcloud.com"},
                                {"content-md5", "f9c7fc33c7eab68dfa8a52508d1f4659"},
                                {"content-type", "application/json"}},
           "content-md5;content-type;host&q-url-param-list=", "85a55e61de42483ba03bffd07a6c01b8d651af51"},
          {"POST", "/structuredlog", SignedRequest::Pairs{{"topic_id", "xxxxxxxx-xxxx-xxxx-xxxx"}},
           SignedRequest::Pairs{{"host", "ap-shanghai.cls.tencentcs.com"},
                                {"content-type", "application/x-protobuf"}},
           "content-type;host&q-url-param-list=topic_id", "54ceb5904607d074a882cd6011fb623db5b44aa9"},
      }));
  const SignedRequest request{.method = method, .path = path, .query = query, .headers = headers};
  CHECK(cls_signature_for(request, keys, seconds) ==
        "q-sign-algorithm=sha1&q-ak=id&q-sign-time=" + seconds + "&q-key-time=" + seconds +
            "&q-header-list=" + lists + "&q-signature=" + signature);
}

TEST_CASE("LTS signs as the cloud's own test", "[sink][cloud][lts]") {
  const CloudKeys keys{"QTWAOYTTINDUT2QVKYUC", "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc", {}, {}};
  SignedRequest list{
      .method = "GET", .path = "/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs", .query = {}, .headers = {}};
  list.query = {{"marker", "13551d6b-755d-4757-b956-536f674975c0"}, {"limit", "2"}};
  list.headers = {{"content-type", "application/json"},
                  {"host", "service.region.example.com"},
                  {"x-sdk-date", "20191115T033655Z"}};
  CHECK(lts_signature(list, keys) ==
        "SDK-HMAC-SHA256 Access=QTWAOYTTINDUT2QVKYUC, SignedHeaders=content-type;host;x-sdk-date, "
        "Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe");
  const std::string body =
      R"({"log_time_ns":1586850540000000000,"contents":["a"],"labels":{"user_tag":"x"}})";
  SignedRequest put{.method = "POST",
                    .path = "/v2/0123456789abcdef0123456789abcdef/lts/groups/g/streams/s/tenant/contents",
                    .query = {},
                    .headers = {},
                    .body = body};
  put.headers = {{"content-type", "application/json;charset=UTF-8"},
                 {"host", "lts-access.test.example.com"},
                 {"x-sdk-date", "20191115T033655Z"}};
  CHECK_THAT(lts_signature(put, keys),
             Catch::Matchers::EndsWith("d251e75ea96742fae0bca38058e9adfd439bedbcb81a7a10351edec22c589081"));
}
