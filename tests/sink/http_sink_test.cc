#include "sink/http/http_sink.h"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>
#include <zlib.h>

#include "sink/http_peer.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

std::unique_ptr<Sink> open(const std::string& url) {
  auto opened = open_sink(url, {.format = RecordFormat::kCsv}, kStoppedClock);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

HttpAnswer ok(const ReceivedRequest&) {
  return HttpAnswer::status(200);
}

HttpPeer::Handler always(const HttpAnswer& answer) {
  return [answer](const ReceivedRequest&) { return answer; };
}

// A server that knows some records as bad, and says so with a status.
HttpPeer::Handler refusing(int status, const std::set<std::uint32_t>& bad) {
  return [status, bad](const ReceivedRequest& request) {
    for (const std::uint32_t number : numbers_in(request.text())) {
      if (bad.count(number) > 0) return HttpAnswer::status(status, {}, "bad record");
    }
    return HttpAnswer::status(204);
  };
}

struct Outcome {
  std::vector<std::uint32_t> rejected;
  Answer last;
};

// What delivery does: a rejected record is passed over.
Outcome deliver_all(Sink& sink, const std::vector<SessionRecord>& records) {
  Outcome outcome;
  for (std::size_t at = 0; at < records.size();) {
    outcome.last = sink.deliver(std::span(records).subspan(at));
    at += outcome.last.taken;
    if (outcome.last.kind == Answer::Kind::kRejected) {
      outcome.rejected.push_back(records[at++].seq);
    } else if (outcome.last.kind != Answer::Kind::kDelivered) {
      break;
    }
  }
  return outcome;
}

// The records of the requests that were answered well, in order.
std::vector<std::uint32_t> kept_by(const HttpPeer& peer, const HttpPeer::Handler& handler) {
  std::vector<std::uint32_t> kept;
  for (const ReceivedRequest& request : peer.requests()) {
    if (!handler(request).bytes.starts_with("HTTP/1.1 2")) continue;
    for (const std::uint32_t number : numbers_in(request.text())) kept.push_back(number);
  }
  return kept;
}

}  // namespace

TEST_CASE("records are posted as lines of JSON, compressed, over one connection", "[sink][http]") {
  const HttpPeer peer(ok);
  const bool compressed = GENERATE(true, false);
  auto sink = open(peer.url("/a/b%3Fc=d%2520e") + (compressed ? "" : "?compress=none"));
  const auto records = numbered_records(0, 100);
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  CHECK(sink->deliver(numbered_records(100, 101)).taken == 1);
  const auto requests = peer.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].line == "POST /a/b?c=d%20e HTTP/1.1");
  CHECK(requests[0].headers.at("content-type") == "application/x-ndjson");
  CHECK(requests[0].headers.count("content-encoding") == (compressed ? 1 : 0));
  CHECK(requests[0].headers.count("expect") == 0);
  CHECK(requests[0].headers.count("authorization") == 0);
  CHECK((requests[0].text() == text_of(records)));
  if (compressed) CHECK(requests[0].body.size() < text_of(records).size() / 3);
  CHECK((numbers_in(requests[1].text()) == numbers(100, 101)));
  CHECK(peer.connections() == 1);
}

TEST_CASE("a proxy of the environment is not asked, and not named as the collector", "[sink][http]") {
  for (const char* const name : {"http_proxy", "all_proxy", "ALL_PROXY"})
    ::setenv(name, "http://127.0.0.1:9/", 1);
  const HttpPeer peer(ok);
  const auto sink = open(peer.url("/in"));
  CHECK(sink->deliver(numbered_records(0, 1)).kind == Answer::Kind::kDelivered);
  for (const char* const name : {"http_proxy", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
}

TEST_CASE("a batch says which it is, so that its repetition can be told", "[sink][http]") {
  int calls = 0;
  const HttpPeer peer([&](const ReceivedRequest&) { return HttpAnswer::status(++calls == 1 ? 500 : 200); });
  auto sink = open(peer.url());
  const auto records = numbered_records(7, 10);
  CHECK(sink->deliver(records).kind == Answer::Kind::kRetryLater);
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  CHECK(sink->deliver(numbered_records(7, 11)).kind == Answer::Kind::kDelivered);
  const auto requests = peer.requests();
  REQUIRE(requests.size() == 3);
  const std::string lines = text_of(records);
  char checksum[9];
  std::snprintf(checksum, sizeof(checksum), "%08lx",
                crc32(0, reinterpret_cast<const Bytef*>(lines.data()), static_cast<uInt>(lines.size())));
  const std::string name = requests[0].headers.at("x-natsession-batch");
  CHECK(name == std::string("first=1122334455667788/7; records=3; crc32=") + checksum);
  CHECK(requests[1].headers.at("x-natsession-batch") == name);
  CHECK(requests[1].body == requests[0].body);
  CHECK(requests[2].headers.at("x-natsession-batch") != name);
}

TEST_CASE("what the server answers decides what to do next", "[sink][http]") {
  using Kind = Answer::Kind;
  const auto [status, kind, code] = GENERATE(table<int, Kind, TargetCode>({
      {301, Kind::kTargetFailed, TargetCode::kLogStoreNotExist},
      {308, Kind::kTargetFailed, TargetCode::kLogStoreNotExist},
      {401, Kind::kTargetFailed, TargetCode::kInvalidAccessKeyId},
      {403, Kind::kTargetFailed, TargetCode::kProjectForbidden},
      {404, Kind::kTargetFailed, TargetCode::kLogStoreNotExist},
      {405, Kind::kTargetFailed, TargetCode::kLogStoreNotExist},
      {407, Kind::kTargetFailed, TargetCode::kInvalidAccessKeyId},
      {408, Kind::kRetryLater, {}},
      {410, Kind::kTargetFailed, TargetCode::kLogStoreNotExist},
      {415, Kind::kTargetFailed, TargetCode::kProjectForbidden},
      {451, Kind::kTargetFailed, TargetCode::kProjectForbidden},
      {500, Kind::kRetryLater, {}},
      {502, Kind::kRetryLater, {}},
      {503, Kind::kRetryLater, {}},
      {507, Kind::kRetryLater, {}},
  }));
  CAPTURE(status);
  const HttpPeer peer(
      always(HttpAnswer::status(status, "Location: http://elsewhere.example/\r\n", "no\x01t \xffnow\n")));
  const Answer answer = open(peer.url())->deliver(numbered_records(0, 5));
  CHECK(answer.kind == kind);
  if (kind == Kind::kTargetFailed) CHECK(answer.code == code);
  CHECK(answer.taken == 0);
  CHECK_FALSE(answer.throttled_by);
  CHECK_FALSE(answer.after);
  CHECK_THAT(answer.why,
             Contains(peer.url()) && Contains("status " + std::to_string(status)) && Contains("no t  now"));
  if (status / 100 == 3) CHECK_THAT(answer.why, Contains("moved to http://elsewhere.example/"));
  CHECK(peer.requests().size() == 1);
}

TEST_CASE("a server that is asked too much says how long to wait", "[sink][http]") {
  const auto [status, header, after] =
      GENERATE(table<int, std::string, std::optional<std::chrono::milliseconds>>({
          {429, "Retry-After: 17\r\n", 17s},
          {503, "Retry-After: 3\r\n", 3s},
          {429, "", std::nullopt},
          {429, "Retry-After: 99999999999\r\n", 1h},
          {429, "Retry-After: soon\r\n", std::nullopt},
      }));
  const HttpPeer peer(always(HttpAnswer::status(status, header)));
  const Answer answer = open(peer.url())->deliver(numbered_records(0, 5));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.after == after);
  CHECK((answer.throttled_by == TargetCode::kWriteQuotaExceed) == (status == 429));
}

TEST_CASE("a server whose partition is asked too much may name it", "[sink][http]") {
  const HttpPeer peer(always(HttpAnswer::status(429, "", R"({"errorCode":"ShardWriteQuotaExceed"})")));
  CHECK(open(peer.url())->deliver(numbered_records(0, 5)).throttled_by == TargetCode::kShardWriteQuotaExceed);
}

TEST_CASE("a batch that is too large for the server goes in parts, and the size is remembered",
          "[sink][http]") {
  const HttpPeer::Handler at_most_10 = [](const ReceivedRequest& request) {
    return HttpAnswer::status(numbers_in(request.text()).size() > 10 ? 413 : 200);
  };
  const HttpPeer peer(at_most_10);
  auto sink = open(peer.url());
  CHECK(sink->deliver(numbered_records(0, 100)).kind == Answer::Kind::kDelivered);
  CHECK((kept_by(peer, at_most_10) == numbers(0, 100)));
  const std::size_t before = peer.requests().size();
  CHECK(sink->deliver(numbered_records(100, 106)).kind == Answer::Kind::kDelivered);
  CHECK(peer.requests().size() == before + 1);
}

TEST_CASE("a record that alone is too large for the server is rejected", "[sink][http]") {
  const auto handler = refusing(413, {3});
  const HttpPeer peer(handler);
  auto sink = open(peer.url());
  const Outcome outcome = deliver_all(*sink, numbered_records(0, 8));
  CHECK(outcome.rejected == std::vector<std::uint32_t>{3});
  CHECK(kept_by(peer, handler) == std::vector<std::uint32_t>{0, 1, 2, 4, 5, 6, 7});
}

TEST_CASE("only the bad records of a batch are rejected, and few requests find them", "[sink][http]") {
  const int status = GENERATE(400, 422);
  const auto [bad, most] = GENERATE(table<std::set<std::uint32_t>, std::size_t>({
      {{0}, 24},
      {{999}, 24},
      {{500}, 24},
      {{123, 124, 700}, 60},
  }));
  const auto handler = refusing(status, bad);
  const HttpPeer peer(handler);
  auto sink = open(peer.url());
  const Outcome outcome = deliver_all(*sink, numbered_records(0, 1000));
  CHECK(outcome.rejected == std::vector<std::uint32_t>(bad.begin(), bad.end()));
  std::vector<std::uint32_t> good;
  for (const std::uint32_t n : numbers(0, 1000)) {
    if (bad.count(n) == 0) good.push_back(n);
  }
  CHECK((kept_by(peer, handler) == good));
  CHECK(peer.requests().size() <= most);
}

TEST_CASE("a server that refuses record after record refuses all, and gets no more of them", "[sink][http]") {
  const HttpPeer peer(always(HttpAnswer::status(400, {}, "what is this")));
  auto sink = open(peer.url());
  const Outcome outcome = deliver_all(*sink, numbered_records(0, 300));
  CHECK((outcome.rejected == numbers(0, 100)));
  CHECK(outcome.last.kind == Answer::Kind::kTargetFailed);
  CHECK(outcome.last.code == TargetCode::kProjectForbidden);
  CHECK_THAT(outcome.last.why, Contains("what is this") && Contains("in a row"));
}

TEST_CASE("a server that misbehaves is tried again later", "[sink][http]") {
  const auto [bytes, closes] = GENERATE(table<std::string, bool>({
      {"", true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", true},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf", true},
      {"HTTP/1.1 200 OK\r\nContent-", true},
      {"\x16\x03\x01garbage\r\n\r\n", true},
      {"220 mail.example.org ESMTP\r\n", true},
      {"HTTP/1.1 999999 What\r\n\r\n", true},
      {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", false},
      {"", false},
  }));
  CAPTURE(bytes);
  const HttpPeer peer(always({bytes, closes}));
  auto sink = open(peer.url() + "?timeout=300ms");
  const Answer answer = sink->deliver(numbered_records(0, 5));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains(peer.url()));
}

TEST_CASE("a server that is not there is tried again later", "[sink][http]") {
  std::string url;
  {
    const testing::Listener listener;
    url = "http://" + listener.place();
  }
  const std::string host = GENERATE(std::string(), std::string("http://no-such-host.invalid/"));
  if (!host.empty()) url = host;
  const Answer answer = open(url)->deliver(numbered_records(0, 5));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK_THAT(answer.why, Contains(url));
}

TEST_CASE("a server that says more than anybody wants to hear is cut off, and what it answered counts",
          "[sink][http]") {
  const HttpPeer peer(
      always({"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + std::string(8 << 20, 'x'), true}));
  auto sink = open(peer.url());
  CHECK(sink->deliver(numbered_records(0, 5)).kind == Answer::Kind::kDelivered);
  CHECK(sink->deliver(numbered_records(5, 6)).kind == Answer::Kind::kDelivered);
}

TEST_CASE("a kept connection that the server has closed is no fault", "[sink][http]") {
  HttpAnswer answer = HttpAnswer::status(200);
  answer.closes = true;
  const HttpPeer peer(always(answer));
  auto sink = open(peer.url());
  for (std::uint32_t number = 0; number < 5; ++number) {
    CHECK(sink->deliver(numbered_records(number, number + 1)).kind == Answer::Kind::kDelivered);
  }
  CHECK(peer.connections() == 5);
}

TEST_CASE("a batch of more than some megabytes goes in several requests", "[sink][http]") {
  const Origin origin{std::string(50'000, 'x'), ""};
  std::vector<SessionRecord> records;
  for (std::uint32_t number = 0; number < 200; ++number)
    records.push_back(testing::numbered_record(number, origin));
  const HttpPeer peer(ok);
  CHECK(open(peer.url())->deliver(records).kind == Answer::Kind::kDelivered);
  std::string all;
  for (const ReceivedRequest& request : peer.requests()) {
    CHECK(request.text().size() < (5 << 20));
    all += request.text();
  }
  CHECK(peer.requests().size() > 1);
  CHECK((all == text_of(records)));
}
