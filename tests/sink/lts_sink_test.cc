#include "sink/cloud/lts_sink.h"

#include <catch2/catch.hpp>

#include "sink/cloud_peer.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

std::unique_ptr<Sink> open_lts(const std::string& url, const Clock& clock = kStoppedClock) {
  auto opened = open_sink(url, {}, clock);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

}  // namespace

TEST_CASE("records are posted to a stream as lines of JSON, each with its time, and signed",
          "[sink][cloud][lts]") {
  const HttpPeer peer([](const ReceivedRequest&) { return lts_ok(); });
  const bool packed = GENERATE(true, false);
  auto sink = open_lts(lts_url(peer) + (packed ? "" : "&compress=none"));
  auto records = numbered_records(0, 100);
  records[50].origin = &hostile_origin();
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  const auto requests = peer.requests();
  REQUIRE(requests.size() == 1);
  CHECK(requests[0].line ==
        "POST /v2/project1/lts/groups/group1/streams/stream1/tenant/contents/high-accuracy HTTP/1.1");
  CHECK(requests[0].headers.at("content-type") == "application/json;charset=UTF-8");
  CHECK(requests[0].headers.count("content-encoding") == (packed ? 1 : 0));
  CHECK(requests[0].headers.at("x-sdk-date") == "19700101T000000Z");
  CHECK(requests[0].headers.at("x-project-id") == "project1");
  CHECK_THAT(requests[0].headers.at("authorization"),
             Contains("Access=id1, SignedHeaders=content-type;host;x-project-id;x-sdk-date, "));
  const LtsLines lines = lines_of_lts(requests[0]);
  CHECK((lines.text == text_of(records)));
  CHECK(lines.times[7] == 8'000'000'000);
}

TEST_CASE("a token of IAM serves in place of keys, and is read anew when it is refused",
          "[sink][cloud][lts]") {
  const TempDir directory;
  const std::string file = directory.file("token");
  write_file(file, "old\n");
  const HttpPeer peer([](const ReceivedRequest& request) {
    return request.headers.at("x-auth-token") == "new" ? lts_ok() : lts_error(401, "LTS.0414");
  });
  auto sink = open_lts(lts_url(peer, "&iam_token_file=" + file));
  const Answer answer = sink->deliver(numbered_records(0, 1));
  CHECK(answer.code == TargetCode::kInvalidAccessKeyId);
  CHECK_THAT(answer.why, !Contains("old"));
  write_file(file, "new\n");
  CHECK(sink->deliver(numbered_records(0, 1)).kind == Answer::Kind::kDelivered);
  CHECK(peer.requests().back().headers.count("authorization") == 0);
  write_file(file, "\n");
  CHECK_FALSE(sink->reopen());
  const auto both = check_sink_url(lts_url(peer) + "&iam_token_file=" + file);
  REQUIRE_FALSE(both);
  CHECK_THAT(both.error().message, Contains("exclude"));
  CHECK_FALSE(check_sink_url(lts_url(peer, "")));
}

TEST_CASE("each error of LTS has its code", "[sink][cloud][lts]") {
  using Kind = Answer::Kind;
  using Code = TargetCode;
  const auto [status, error, kind, code] = GENERATE(table<int, std::string, Kind, Code>({
      {401, "SVCSTG.ALS.403.105", Kind::kTargetFailed, Code::kProjectNotExist},
      {403, "LTS.0011", Kind::kTargetFailed, Code::kProjectNotExist},
      {400, "LTS.0201", Kind::kTargetFailed, Code::kLogStoreNotExist},
      {400, "LTS.0208", Kind::kTargetFailed, Code::kLogStoreNotExist},
      {400, "SVCSTG.ALS.200201", Kind::kTargetFailed, Code::kLogStoreNotExist},
      {401, "LTS.0414", Kind::kTargetFailed, Code::kInvalidAccessKeyId},
      {401, "LTS.0003", Kind::kTargetFailed, Code::kInvalidAccessKeyId},
      {403, "LTS.0003", Kind::kTargetFailed, Code::kUnauthorized},
      {429, "LTS.0429", Kind::kRetryLater, Code::kWriteQuotaExceed},
  }));
  const HttpPeer peer(
      [status = status, error = error](const ReceivedRequest&) { return lts_error(status, error); });
  const Answer answer = open_lts(lts_url(peer))->deliver(numbered_records(0, 5));
  CHECK(answer.kind == kind);
  CHECK((kind == Kind::kTargetFailed ? answer.code : answer.throttled_by.value()) == code);
  CHECK_THAT(answer.why, Contains(error) && !Contains("sesame"));
}

TEST_CASE("what LTS would delete in silence was never delivered", "[sink][cloud][lts]") {
  const HttpPeer peer([](const ReceivedRequest&) { return lts_ok(); });
  const ManualClock clock{UnixNs(48h + 50s)};
  auto sink = open_lts(lts_url(peer), clock);
  const Answer answer = sink->deliver(numbered_records(0, 100));
  CHECK(answer.kind == Answer::Kind::kRejected);
  CHECK(answer.taken == 0);
  CHECK(peer.requests().empty());
  CHECK(sink->deliver(numbered_records(49, 100)).kind == Answer::Kind::kDelivered);
  CHECK((numbers_in(lines_of_lts(peer.requests()[0]).text) == numbers(49, 100)));
}

TEST_CASE("an answer that LTS did not give is no delivery", "[sink][cloud][lts]") {
  const auto answer =
      GENERATE(HttpAnswer::status(200, {}, "<html>"), HttpAnswer::status(503, {}, R"({"result":null})"),
               HttpAnswer::status(404, {}, "not here"), lts_error(200, "LTS.0010"));
  const HttpPeer peer([&](const ReceivedRequest&) { return answer; });
  CHECK(open_lts(lts_url(peer))->deliver(numbered_records(0, 5)).kind == Answer::Kind::kRetryLater);
}

TEST_CASE("an agency of the machine gives keys for LTS", "[sink][cloud][lts]") {
  const HttpPeer roles([](const ReceivedRequest& request) {
    if (request.line.starts_with("PUT /meta-data/latest/api/token ")) return HttpAnswer::status(404);
    CHECK(request.line == "GET /openstack/latest/securitykey HTTP/1.1");
    return HttpAnswer::status(200, {},
                              R"({"credential":{"access":"AK1","secret":"s","securitytoken":"tok",)"
                              R"("expires_at":"2030-01-01T00:00:00.000000Z"}})");
  });
  const HttpPeer peer([](const ReceivedRequest&) { return lts_ok(); });
  auto sink = open_lts(lts_url(peer, "&role=auto&metadata=" + roles.url("")));
  CHECK(sink->deliver(numbered_records(0, 1)).kind == Answer::Kind::kDelivered);
  CHECK(peer.requests()[0].headers.at("x-security-token") == "tok");
  CHECK_THAT(peer.requests()[0].headers.at("authorization"),
             Contains("Access=AK1") && Contains("x-security-token"));
}
