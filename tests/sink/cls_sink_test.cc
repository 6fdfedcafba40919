#include "sink/cloud/cls_sink.h"

#include <catch2/catch.hpp>

#include "sink/cloud_peer.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

std::unique_ptr<Sink> open_cls(const std::string& url) {
  auto opened = open_sink(url, {}, kStoppedClock);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

}  // namespace

TEST_CASE("records are posted to a topic as one signed list of one group", "[sink][cloud][cls]") {
  const HttpPeer peer([](const ReceivedRequest&) { return cls_ok(); });
  const std::string how = GENERATE("lz4", "zstd", "none");
  auto sink = open_cls(cls_url(peer) + "&compress=" + how);
  CHECK(sink->deliver(numbered_records(0, 100)).kind == Answer::Kind::kDelivered);
  const auto requests = peer.requests();
  REQUIRE(requests.size() == 1);
  CHECK(requests[0].line == "POST /structuredlog?topic_id=topic-1 HTTP/1.1");
  CHECK(requests[0].headers.at("host") == "127.0.0.1");
  CHECK(requests[0].headers.at("content-type") == "application/x-protobuf");
  CHECK(requests[0].headers.count("x-cls-compress-type") == (how == "none" ? 0 : 1));
  CHECK_THAT(requests[0].headers.at("authorization"),
             Contains("q-ak=id1&q-sign-time=-60;300&") && Contains("q-header-list=content-type;host&"));
  const ReadGroup group = group_of_cls(requests[0]);
  CHECK((numbers_of_group(group) == numbers(0, 100)));
  CHECK(group.source == "nat-1");
}

TEST_CASE("each error of CLS has its code", "[sink][cloud][cls]") {
  using Kind = Answer::Kind;
  using Code = TargetCode;
  const auto [status, error, message, kind, code] =
      GENERATE(table<int, std::string, std::string, Kind, Code>({
          {404, "TopicNotExist", "", Kind::kTargetFailed, Code::kLogStoreNotExist},
          {404, "LogsetNotExist", "", Kind::kTargetFailed, Code::kProjectNotExist},
          {400, "TopicClosed", "", Kind::kTargetFailed, Code::kProjectForbidden},
          {400, "InvalidAuthorization", "", Kind::kTargetFailed, Code::kInvalidAccessKeyId},
          {400, "MissingAuthorization", "", Kind::kTargetFailed, Code::kInvalidAccessKeyId},
          {401, "Unauthorized", "the secret id is wrong", Kind::kTargetFailed, Code::kInvalidAccessKeyId},
          {401, "Unauthorized", "no permission for this topic", Kind::kTargetFailed, Code::kUnauthorized},
          {403, "NotAllowed", "", Kind::kTargetFailed, Code::kUnauthorized},
          {429, "SpeedQuotaExceed", "", Kind::kRetryLater, Code::kShardWriteQuotaExceed},
      }));
  const HttpPeer peer([&, status = status, error = error, message = message](const ReceivedRequest&) {
    return cls_error(status, error, message);
  });
  const Answer answer = open_cls(cls_url(peer))->deliver(numbered_records(0, 5));
  CHECK(answer.kind == kind);
  CHECK((kind == Kind::kTargetFailed ? answer.code : answer.throttled_by.value()) == code);
  CHECK_THAT(answer.why, Contains(error) && Contains("request R2") && !Contains("sesame"));
}

TEST_CASE("what CLS finds too large goes in halves, and what it cannot read is set aside alone",
          "[sink][cloud][cls]") {
  const auto [status, code] =
      GENERATE(table<int, std::string>({{403, "LogSizeExceed"}, {413, ""}, {400, "InvalidContent"}}));
  std::vector<std::uint32_t> kept;
  const HttpPeer peer([&, status = status, code = code](const ReceivedRequest& request) {
    const auto numbers = numbers_of_group(group_of_cls(request));
    if (std::find(numbers.begin(), numbers.end(), 33) != numbers.end()) return cls_error(status, code);
    kept.insert(kept.end(), numbers.begin(), numbers.end());
    return cls_ok();
  });
  auto sink = open_cls(cls_url(peer));
  const auto records = numbered_records(0, 100);
  const Answer answer = sink->deliver(records);
  CHECK(answer.kind == Answer::Kind::kRejected);
  CHECK(answer.taken == 33);
  CHECK((kept == numbers(0, 33)));
}

TEST_CASE("a request to CLS has 10,000 logs at most, and records of any age", "[sink][cloud][cls]") {
  std::vector<std::uint32_t> kept;
  const HttpPeer peer([&](const ReceivedRequest& request) {
    const auto numbers = numbers_of_group(group_of_cls(request));
    CHECK(numbers.size() <= 10'000);
    kept.insert(kept.end(), numbers.begin(), numbers.end());
    return cls_ok();
  });
  CHECK(open_cls(cls_url(peer))->deliver(numbered_records(0, 12'000)).kind == Answer::Kind::kDelivered);
  CHECK((kept == numbers(0, 12'000)));
  CHECK(peer.requests().size() <= 3);
}

TEST_CASE("an answer without CLS's number of the request is not its own", "[sink][cloud][cls]") {
  const int status = GENERATE(200, 401, 404, 500);
  const HttpPeer peer([&](const ReceivedRequest&) { return HttpAnswer::status(status, {}, "<html>"); });
  CHECK(open_cls(cls_url(peer))->deliver(numbered_records(0, 5)).kind == Answer::Kind::kRetryLater);
}
