#include "sink/cloud/sls_sink.h"

#include <set>

#include <catch2/catch.hpp>

#include "sink/cloud_peer.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

const ManualClock kAt1000{UnixNs(1000s)};  // numbered records are of about then

std::unique_ptr<Sink> open_cloud(const std::string& url, const Clock& clock = kAt1000) {
  auto opened = open_sink(url, {}, clock);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

HttpPeer::Handler always_sls(const HttpAnswer& answer) {
  return [answer](const ReceivedRequest&) { return answer; };
}

std::vector<std::uint32_t> taken_by(const HttpPeer& peer, const HttpPeer::Handler& handler) {
  std::vector<std::uint32_t> taken;
  for (const ReceivedRequest& request : peer.requests()) {
    if (!handler(request).bytes.starts_with("HTTP/1.1 2")) continue;
    for (const std::uint32_t number : numbers_of_sls(request)) taken.push_back(number);
  }
  return taken;
}

// As the worker goes on: behind what is rejected.
std::vector<std::uint32_t> deliver_around(Sink& sink, const std::vector<SessionRecord>& records,
                                          Answer& last) {
  std::vector<std::uint32_t> rejected;
  for (std::size_t at = 0; at < records.size();) {
    last = sink.deliver(std::span(records).subspan(at));
    at += last.taken;
    if (last.kind == Answer::Kind::kRejected) {
      rejected.push_back(records[at++].seq);
    } else if (last.kind != Answer::Kind::kDelivered) {
      break;
    }
  }
  return rejected;
}

}  // namespace

TEST_CASE("records are put into a logstore as one signed group of logs", "[sink][cloud][sls]") {
  const HttpPeer peer(always_sls(sls_ok()));
  const auto [options, how] = GENERATE(table<std::string, std::string>(
      {{"", "lz4"}, {"&compress=zstd", "zstd"}, {"&compress=none", ""}, {"&signature=v1", "lz4"}}));
  auto sink = open_cloud(sls_url(peer) + options);
  CHECK(sink->name() == sls_url(peer).substr(0, sls_url(peer).find('?')));
  CHECK(sink->deliver(numbered_records(500, 600)).kind == Answer::Kind::kDelivered);
  const auto requests = peer.requests();
  REQUIRE(requests.size() == 1);
  const auto& headers = requests[0].headers;
  CHECK(requests[0].line == "POST /logstores/app_log/shards/lb HTTP/1.1");
  CHECK(headers.at("host") == "p1.127.0.0.1");
  CHECK(headers.at("content-type") == "application/x-protobuf");
  CHECK(headers.at("x-log-apiversion") == "0.6.0");
  CHECK(headers.count("x-log-compresstype") == (how.empty() ? 0 : 1));
  if (options == "&signature=v1") {
    CHECK(headers.at("date") == "Thu, 01 Jan 1970 00:16:40 GMT");
    CHECK_THAT(headers.at("authorization"), Catch::Matchers::StartsWith("LOG id1:"));
  } else {
    CHECK(headers.at("x-log-date") == "19700101T001640Z");
    CHECK_THAT(headers.at("authorization"),
               Contains("Credential=id1/19700101/cn-test/sls/aliyun_v4_request"));
  }
  CHECK((numbers_of_sls(requests[0]) == numbers(500, 600)));
  CHECK(read_group(unpacked_sls(requests[0])).source == "nat-1");
}

TEST_CASE("the region and the name of the project's host come from the endpoint", "[sink][cloud][sls]") {
  const std::string keys = "?credentials_file=/nonexistent";
  for (const char* const endpoint :
       {"cn-hangzhou.log.aliyuncs.com", "cn-hangzhou-intranet.log.aliyuncs.com:443"})
    CHECK(check_sink_url("sls://" + std::string(endpoint) + "/nat/log" + keys));
  const auto none = check_sink_url("sls://sls.example.net/nat/log" + keys);
  REQUIRE_FALSE(none);
  CHECK_THAT(none.error().message, Contains("region"));
  CHECK(check_sink_url("sls://sls.example.net/nat/log" + keys + "&signature=v1"));
}

TEST_CASE("a URL of a log service that says too little or too much is refused", "[sink][cloud][sls]") {
  const auto [url, word] = GENERATE(table<std::string, std::string>({
      {"sls://cn-hangzhou.log.aliyuncs.com/nat?role=auto", "sls://ENDPOINT/PROJECT/LOGSTORE"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/a/b?role=auto", "sls://ENDPOINT/PROJECT/LOGSTORE"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/%3F?role=auto", "sls://ENDPOINT/PROJECT/LOGSTORE"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/..?role=auto", "sls://ENDPOINT/PROJECT/LOGSTORE"},
      {"sls:///nat/log?role=auto", "host"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/log", "credentials_file=FILE"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/log?id_env=A", "belong together"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/log?token_env=A&role=auto", "token_env"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/log?id_env=A&secret_env=B&role=auto", "exclude"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/log?role=a/b", "role"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/log?role=auto&metadata=ftp://x", "metadata"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/log?role=auto&format=csv", "names and values"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/log?role=auto&compress=gzip", "compress"},
      {"sls://cn-hangzhou.log.aliyuncs.com/nat/log?secret=sesame", "***"},
  }));
  const auto checked = check_sink_url(url);
  REQUIRE_FALSE(checked);
  CHECK_THAT(checked.error().message, Contains(word) && !Contains("sesame"));
}

TEST_CASE("each error of SLS has its code", "[sink][cloud][sls]") {
  using Kind = Answer::Kind;
  using Code = TargetCode;
  const auto [status, error, message, kind, code] =
      GENERATE(table<int, std::string, std::string, Kind, Code>({
          {404, "ProjectNotExist", "", Kind::kTargetFailed, Code::kProjectNotExist},
          {404, "LogStoreNotExist", "", Kind::kTargetFailed, Code::kLogStoreNotExist},
          {404, "LogStoreWithoutShard", "", Kind::kTargetFailed, Code::kLogStoreNotExist},
          {403, "ProjectForbidden", "", Kind::kTargetFailed, Code::kProjectForbidden},
          {401, "SignatureNotMatch", "", Kind::kTargetFailed, Code::kInvalidAccessKeyId},
          {401, "InvalidAccessKeyId", "the id you provided is invalid", Kind::kTargetFailed,
           Code::kInvalidAccessKeyId},
          {401, "Unauthorized", "AccessKeyId not found", Kind::kTargetFailed, Code::kInvalidAccessKeyId},
          {401, "Unauthorized", "AccessKeyId is Disabled", Kind::kTargetFailed, Code::kInvalidAccessKeyId},
          {401, "Unauthorized", "security token expired", Kind::kTargetFailed, Code::kUnauthorized},
          {403, "Unauthorized", "denied by sts or ram, action: log:PostLogStoreLogs", Kind::kTargetFailed,
           Code::kUnauthorized},
          {403, "WriteQuotaExceed", "", Kind::kRetryLater, Code::kWriteQuotaExceed},
          {403, "ExceedQuota", "", Kind::kRetryLater, Code::kWriteQuotaExceed},
          {403, "ShardWriteQuotaExceed", "", Kind::kRetryLater, Code::kShardWriteQuotaExceed},
      }));
  const HttpPeer peer(always_sls(sls_error(status, error, message)));
  auto sink = open_cloud(sls_url(peer));
  const Answer answer = sink->deliver(numbered_records(500, 505));
  CHECK(answer.kind == kind);
  CHECK((kind == Kind::kTargetFailed ? answer.code : answer.throttled_by.value()) == code);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains(error) && Contains("/logstores/app_log") && Contains("request R2") &&
                             !Contains("sesame"));
}

TEST_CASE("what is not the service's own answer is no delivery and no refusal", "[sink][cloud][sls]") {
  const auto [status, body] =
      GENERATE(table<int, std::string>({{200, "<html>Log in to the hotel's network</html>"},
                                        {400, "<html>Bad gateway</html>"},
                                        {404, "<html>Not here</html>"},
                                        {502, "bad gateway"},
                                        {200, ""}}));
  const HttpPeer peer(always_sls(HttpAnswer::status(status, {}, body)));
  const Answer answer = open_cloud(sls_url(peer))->deliver(numbered_records(500, 505));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 0);
}

TEST_CASE("one bad record stands alone in the end, and the others arrive", "[sink][cloud][sls]") {
  const auto [code, status] = GENERATE(table<std::string, int>({{"InvalidTimestamp", 400},
                                                                {"PostBodyInvalid", 400},
                                                                {"PostBodyTooLarge", 413},
                                                                {"PostBodyTooLarge", 400}}));
  const auto handler = [code = code, status = status](const ReceivedRequest& request) {
    const auto numbers = numbers_of_sls(request);
    const bool bad = std::find(numbers.begin(), numbers.end(), 533) != numbers.end();
    return bad ? sls_error(status, code) : sls_ok();
  };
  const HttpPeer peer(handler);
  auto sink = open_cloud(sls_url(peer));
  Answer last;
  CHECK(deliver_around(*sink, numbered_records(500, 600), last) == std::vector<std::uint32_t>{533});
  CHECK(last.kind == Answer::Kind::kDelivered);
  auto wanted = numbers(500, 600);
  wanted.erase(wanted.begin() + 33);
  CHECK((taken_by(peer, handler) == wanted));
}

TEST_CASE("a request has 4096 logs and three megabytes at most", "[sink][cloud][sls]") {
  const HttpPeer peer(always_sls(sls_ok()));
  const ManualClock clock{UnixNs(5000s)};
  auto sink = open_cloud(sls_url(peer), clock);
  CHECK(sink->deliver(numbered_records(0, 5000)).kind == Answer::Kind::kDelivered);
  const Origin origin{std::string(100'000, 'x'), ""};
  std::vector<SessionRecord> large;
  for (std::uint32_t number = 5000; number < 5100; ++number)
    large.push_back(testing::numbered_record(number, origin));
  CHECK(sink->deliver(large).kind == Answer::Kind::kDelivered);
  std::vector<std::uint32_t> all;
  for (const ReceivedRequest& request : peer.requests()) {
    CHECK(std::stoul(request.headers.at("x-log-bodyrawsize")) <= (3 << 20) + 110'000);
    const auto some = numbers_of_sls(request);
    CHECK(some.size() <= 4096);
    all.insert(all.end(), some.begin(), some.end());
  }
  CHECK((all == numbers(0, 5100)));
}

TEST_CASE("where the clocks differ too far the service's time is taken, and told", "[sink][cloud][sls]") {
  int refused = 0;
  const HttpPeer peer([&](const ReceivedRequest& request) {
    if (request.headers.at("x-log-date") != "19700101T003640Z") {
      ++refused;
      return sls_error(400, "RequestTimeExpired", "", "Date: Thu, 01 Jan 1970 00:36:40 GMT\r\n");
    }
    return sls_ok();
  });
  auto sink = open_cloud(sls_url(peer));
  const Answer first = sink->deliver(numbered_records(990, 991));
  CHECK(first.kind == Answer::Kind::kDelivered);
  CHECK_THAT(first.why, Contains("clock is 1200 s behind"));
  CHECK(sink->deliver(numbered_records(991, 992)).why.empty());
  CHECK(refused == 1);
}

TEST_CASE("a service whose clock is a day off is not followed", "[sink][cloud][sls]") {
  const HttpPeer peer(
      always_sls(sls_error(400, "RequestTimeExpired", "", "Date: Sat, 03 Jan 1970 00:36:40 GMT\r\n")));
  auto sink = open_cloud(sls_url(peer));
  const Answer answer = sink->deliver(numbered_records(990, 991));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK_THAT(answer.why, Contains("RequestTimeExpired"));
  CHECK(peer.requests().size() == 1);
}

TEST_CASE("records whose time the service refuses do not hold up those behind them", "[sink][cloud][sls]") {
  const auto handler = [](const ReceivedRequest& request) {
    for (const std::uint32_t number : numbers_of_sls(request)) {
      if (number < 300) return sls_error(400, "InvalidTimestamp");
    }
    return sls_ok();
  };
  const HttpPeer peer(handler);
  auto sink = open_cloud(sls_url(peer));
  Answer last;
  CHECK((deliver_around(*sink, numbered_records(0, 400), last) == numbers(0, 300)));
  CHECK(last.kind == Answer::Kind::kDelivered);
}

TEST_CASE("a service that finds every time wrong is asked twice a delivery", "[sink][cloud][sls]") {
  const HttpPeer peer(
      always_sls(sls_error(400, "RequestTimeExpired", "", "Date: Thu, 01 Jan 1970 00:36:40 GMT\r\n")));
  auto sink = open_cloud(sls_url(peer));
  CHECK(sink->deliver(numbered_records(990, 991)).kind == Answer::Kind::kRetryLater);
  CHECK(peer.requests().size() == 2);
}

TEST_CASE("what the service would not keep goes to the dead letters, and was never delivered",
          "[sink][cloud][sls]") {
  const HttpPeer peer(always_sls(sls_ok()));
  const ManualClock clock{UnixNs(std::chrono::hours(7 * 24) + 550s)};
  std::vector<SessionRecord> records = numbered_records(500, 600);
  Answer last;
  SECTION("not sent, unless asked for") {
    auto sink = open_cloud(sls_url(peer), clock);
    CHECK((deliver_around(*sink, records, last) == numbers(500, 549)));
    CHECK((taken_by(peer, always_sls(sls_ok())) == numbers(549, 600)));
  }
  SECTION("sent once, in requests of their own") {
    auto sink = open_cloud(sls_url(peer) + "&late=send", clock);
    const Answer first = sink->deliver(records);
    CHECK(first.kind == Answer::Kind::kRejected);
    CHECK(first.taken == 0);
    CHECK_THAT(first.why,
               Contains("sent, but not counted as delivered") && Contains("1970-01-01T00:08:21.000Z"));
    records.erase(records.begin());
    CHECK((deliver_around(*sink, records, last) == numbers(501, 549)));
    CHECK((numbers_of_sls(peer.requests()[0]) == numbers(500, 549)));
    CHECK((taken_by(peer, always_sls(sls_ok())) == numbers(500, 600)));
  }
  SECTION("as the URL says where the service keeps more") {
    auto sink = open_cloud(sls_url(peer) + "&late_after=30d", clock);
    CHECK(deliver_around(*sink, records, last).empty());
  }
  CHECK(last.kind == Answer::Kind::kDelivered);
}

TEST_CASE("late records that a service does not take when they are sent wait", "[sink][cloud][sls]") {
  bool well = false;
  const HttpPeer peer([&](const ReceivedRequest&) { return well ? sls_ok() : sls_error(500, "ServerBusy"); });
  const ManualClock clock{UnixNs(std::chrono::hours(30 * 24))};
  auto sink = open_cloud(sls_url(peer) + "&late=send", clock);
  const auto records = numbered_records(500, 505);
  CHECK(sink->deliver(records).kind == Answer::Kind::kRetryLater);
  well = true;
  CHECK(sink->deliver(records).kind == Answer::Kind::kRejected);
}

TEST_CASE("a record ahead of the service's time waits for it; one far ahead is none that it keeps",
          "[sink][cloud][sls]") {
  const HttpPeer peer(always_sls(sls_ok()));
  auto sink = open_cloud(sls_url(peer));
  auto records = numbered_records(998, 1000);
  records.push_back(numbered_record(2000));
  const Answer answer = sink->deliver(records);
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 2);
  CHECK(answer.after == 60s);
  CHECK_THAT(answer.why, Contains("ahead") && Contains("clock"));
  records[0] = numbered_record(400'000);
  CHECK(sink->deliver(records).kind == Answer::Kind::kRejected);
}

TEST_CASE("a check finds a logstore that takes records, with none sent", "[sink][cloud][sls]") {
  const auto [answer, words] = GENERATE(table<HttpAnswer, std::string>({
      {sls_ok(), ""},
      {sls_error(400, "PostBodyInvalid"), ""},
      {sls_error(404, "LogStoreNotExist"), "LogStoreNotExist: post to "},
      {sls_error(401, "Unauthorized", "denied by sts or ram"), "Unauthorized: post to "},
      {sls_error(403, "WriteQuotaExceed"), "WriteQuotaExceed: post to "},
      {HttpAnswer::status(502), "status 502"},
  }));
  const HttpPeer peer(always_sls(answer));
  const auto reached = SinkConfig::parse(sls_url(peer))->reach();
  CHECK(reached.has_value() == words.empty());
  if (!reached) CHECK_THAT(reached.error().message, Contains(words));
  REQUIRE(peer.requests().size() == 1);
  CHECK(read_group(unpacked_sls(peer.requests()[0])).logs.empty());
}
