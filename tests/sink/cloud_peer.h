// What tests of the clouds' sinks share: keys in the environment, and what a peer got of records.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sink/http_peer.h"
#include "sink/log_group_reader.h"
#include "sink/sink_fixture.h"

namespace natsession::testing {

// Keys that stand in the environment while tests run.
inline const std::string& cloud_keys() {
  static const std::string kOptions = [] {
    ::setenv("NATSESSION_TEST_KEY_ID", "id1", 1);
    ::setenv("NATSESSION_TEST_KEY_SECRET", "sesame", 1);
    return std::string("&id_env=NATSESSION_TEST_KEY_ID&secret_env=NATSESSION_TEST_KEY_SECRET");
  }();
  return kOptions;
}

// HOST:PORT
inline std::string place_of(const HttpPeer& peer) {
  const std::string url = peer.url("");
  return url.substr(url.find("//") + 2);
}

inline std::string sls_url(const HttpPeer& peer, const std::string& options = cloud_keys()) {
  return "sls://" + place_of(peer) + "/p1/app_log?tls=off&region=cn-test" + options;
}

// The body as it was before compression. SLS says how long that was.
inline std::string unpacked_sls(const ReceivedRequest& request) {
  const auto size = std::stoul(request.headers.at("x-log-bodyrawsize"));
  const auto how = request.headers.find("x-log-compresstype");
  if (how == request.headers.end()) return request.body;
  return how->second == "lz4" ? unlz4(request.body, size) : unzstd(request.body);
}

inline std::vector<std::uint32_t> numbers_of_group(const ReadGroup& group) {
  std::vector<std::uint32_t> numbers;
  for (const ReadLog& log : group.logs)
    numbers.push_back(static_cast<std::uint32_t>(std::stoul(log.contents.at("seq"))));
  return numbers;
}

inline std::vector<std::uint32_t> numbers_of_sls(const ReceivedRequest& request) {
  return numbers_of_group(read_group(unpacked_sls(request)));
}

inline HttpAnswer sls_ok() {
  return HttpAnswer::status(200, "x-log-requestid: R1\r\n");
}
inline HttpAnswer sls_error(int status, const std::string& code, const std::string& message = "words",
                            const std::string& headers = {}) {
  return HttpAnswer::status(status, "x-log-requestid: R2\r\n" + headers,
                            R"({"errorCode":")" + code + R"(","errorMessage":")" + message + R"("})");
}

inline std::string cls_url(const HttpPeer& peer, const std::string& options = cloud_keys()) {
  return "cls://" + place_of(peer) + "/topic-1?tls=off" + options;
}

// CLS does not say how long a body was: no test's is longer than this.
inline ReadGroup group_of_cls(const ReceivedRequest& request) {
  const auto how = request.headers.find("x-cls-compress-type");
  std::string text = request.body;
  if (how != request.headers.end()) text = how->second == "lz4" ? unlz4_up_to(text, 16 << 20) : unzstd(text);
  const auto fields = read_message(text);
  if (fields.size() != 1 || fields[0].number != 1) throw std::runtime_error("not a list of one group");
  return read_group(fields[0].bytes);
}

inline HttpAnswer cls_ok() {
  return HttpAnswer::status(200, "x-cls-requestid: R1\r\n");
}
inline HttpAnswer cls_error(int status, const std::string& code, const std::string& message = "words") {
  return HttpAnswer::status(status, "x-cls-requestid: R2\r\n",
                            R"({"errorcode":")" + code + R"(","errormessage":")" + message + R"("})");
}

inline std::string lts_url(const HttpPeer& peer, const std::string& options = cloud_keys()) {
  return "lts://" + place_of(peer) + "/project1/group1/stream1?tls=off" + options;
}
inline HttpAnswer lts_ok() {
  return HttpAnswer::status(
      200, {}, R"({"errorCode":"SVCSTG.ALS.200.200","error_msg":"Report success.","result":null})");
}
inline HttpAnswer lts_error(int status, const std::string& code, const std::string& message = "words") {
  return HttpAnswer::status(status, {},
                            R"({"error_code":")" + code + R"(","error_msg":")" + message + R"("})");
}

// The lines of a request, each with its newline; and their times.
struct LtsLines {
  std::string text;
  std::vector<std::int64_t> times;
};
inline LtsLines lines_of_lts(const ReceivedRequest& request) {
  const auto parsed = nlohmann::json::parse(request.text());
  LtsLines lines;
  for (const auto& content : parsed.at("contents")) {
    lines.text += content.at("log").get<std::string>() + "\n";
    lines.times.push_back(content.at("log_time_ns").get<std::int64_t>());
  }
  if (!parsed.at("labels").is_object()) throw std::runtime_error("no labels");
  return lines;
}

}  // namespace natsession::testing
