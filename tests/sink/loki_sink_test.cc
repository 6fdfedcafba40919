#include "sink/collector/loki_sink.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "flow/flow_encoder.h"
#include "flow/flow_entries.h"
#include "flow/flow_fixture.h"
#include "sink/http_peer.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;
using Json = nlohmann::json;

TEST_CASE("records are lines of streams with few labels, and each has its time", "[sink][loki]") {
  const HttpPeer peer(HttpPeer::always(204));
  const auto sink = open_as("loki", peer.url("?tenant=blue&job=nat"));
  auto records = numbered_records(0, 4);
  records[1].event = RecordEvent::kStart;
  records[3].end_time = UnixMs(1795263662108ms);
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  const auto request = peer.requests().at(0);
  CHECK(request.line == "POST /loki/api/v1/push HTTP/1.1");
  CHECK(request.headers.at("content-type") == "application/json");
  CHECK(request.headers.at("content-encoding") == "gzip");
  CHECK(request.headers.at("x-scope-orgid") == "blue");
  const Json streams = Json::parse(request.text()).at("streams");
  REQUIRE(streams.size() == 2);
  CHECK(streams[0]["stream"] == Json{{"job", "nat"},
                                     {"instance", records[0].origin->instance},
                                     {"event", to_string(records[0].event)}});
  CHECK(streams[1]["stream"]["event"] == "start");
  REQUIRE(streams[0]["values"].size() == 3);
  REQUIRE(streams[1]["values"].size() == 1);
  const std::string line = text_of({records[3]}, {.format = RecordFormat::kLogfmt});
  CHECK(streams[0]["values"][2][0] == "1795263662108000000");
  CHECK(streams[0]["values"][2][1] == line.substr(0, line.size() - 1));
}

TEST_CASE("a line may be JSON, and a push may stand elsewhere", "[sink][loki]") {
  const HttpPeer peer(HttpPeer::always(200));
  const auto sink = open_as("loki", peer.url("/gate/push?format=json&compress=none"));
  CHECK(sink->deliver(numbered_records(0, 1)).kind == Answer::Kind::kDelivered);
  const auto request = peer.requests().at(0);
  CHECK(request.line == "POST /gate/push HTTP/1.1");
  CHECK(request.headers.count("x-scope-orgid") == 0);
  const std::string line = Json::parse(request.body)["streams"][0]["values"][0][1];
  CHECK((numbers_in(line + "\n") == numbers(0, 1)));
}

TEST_CASE("entries of a flow log are lines of one stream", "[sink][loki][flow]") {
  const HttpPeer peer(HttpPeer::always(204));
  EncoderOptions options;
  options.own = std::make_shared<const FlowEncoder>(*FlowForm::parse("aws"), FlowIds(), FlowFormat::kText);
  const auto sink = open_sink(url_as("loki", peer.url("?compress=none")), options, kStoppedClock);
  REQUIRE(sink);
  std::vector<SessionRecord> entries;
  append_entries(translated(), entries);
  entries[1].event = RecordEvent::kInterim;
  REQUIRE((*sink)->deliver(entries).kind == Answer::Kind::kDelivered);
  const Json streams = Json::parse(peer.requests().at(0).body).at("streams");
  REQUIRE(streams.size() == 1);
  CHECK(streams[0]["stream"]["event"] == "flow");
  REQUIRE(streams[0]["values"].size() == entries.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    std::string line;
    options.own->append(entries[i], line);
    CHECK(streams[0]["values"][i][1].get<std::string>() + "\n" == line);
  }
}

TEST_CASE("what Loki answers decides what to do next", "[sink][loki]") {
  using Kind = Answer::Kind;
  const auto [status, body, kind, code] = GENERATE(table<int, std::string, Kind, TargetCode>({
      {200, "", Kind::kDelivered, {}},
      {204, "", Kind::kDelivered, {}},
      {260, "ingestion blocked for user fake", Kind::kTargetFailed, TargetCode::kProjectForbidden},
      {400, "entry has timestamp too old", Kind::kRejected, {}},
      {401, "no org id", Kind::kTargetFailed, TargetCode::kInvalidAccessKeyId},
      {404, "404 page not found", Kind::kTargetFailed, TargetCode::kLogStoreNotExist},
      {429, "Ingestion rate limit exceeded for user fake", Kind::kRetryLater, TargetCode::kWriteQuotaExceed},
      {429, "Maximum active stream limit exceeded", Kind::kRetryLater, TargetCode::kWriteQuotaExceed},
      {429, "Per stream rate limit exceeded", Kind::kRetryLater, TargetCode::kShardWriteQuotaExceed},
      {500, "trying to send message larger than max (5 vs. 4)", Kind::kRejected, {}},
      {500, "at least 2 live replicas required", Kind::kRetryLater, {}},
  }));
  const HttpPeer peer(HttpPeer::always(status, body));
  const Answer answer = open_as("loki", peer.url(""))->deliver(numbered_records(0, 4));
  CHECK(answer.kind == kind);
  if (kind == Kind::kTargetFailed) CHECK(answer.code == code);
  CHECK(answer.throttled_by.has_value() == (status == 429));
  if (answer.throttled_by) CHECK(*answer.throttled_by == code);
  if (status != 200 && status != 204) CHECK_THAT(answer.why, Contains(body));
}

TEST_CASE("a page in place of Loki's answer is no delivery", "[sink][loki]") {
  const HttpPeer peer(HttpPeer::always(200, "<html>Please log in</html>"));
  const Answer answer = open_as("loki", peer.url(""))->deliver(numbered_records(0, 3));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains("no answer of Loki"));
  const auto config = SinkConfig::parse("loki" + peer.url("").substr(4));
  REQUIRE(config);
  CHECK_FALSE(config->reach().has_value());
}

TEST_CASE("what Loki would refuse as too old is rejected, and the rest goes out", "[sink][loki]") {
  const HttpPeer peer(HttpPeer::always(204));
  auto records = numbered_records(0, 5);
  const UnixMs now = records[0].end_time + 100h;
  ManualClock clock{UnixNs(now)};
  records[0].end_time = records[1].end_time = now - 1h;
  records[2].end_time = now - 2h - 1ms;
  records[3].end_time = records[4].end_time = now - 2h;
  auto sink = open_as("loki", peer.url("?max_age=2h"), clock);
  Answer answer = sink->deliver(records);
  CHECK(answer.kind == Answer::Kind::kRejected);
  CHECK(answer.taken == 2);
  CHECK_THAT(answer.why, Contains("ended more than 2h ago (max_age)"));
  answer = sink->deliver(std::span(records).subspan(3));
  CHECK(answer.kind == Answer::Kind::kDelivered);
  sink.reset();  // the peer serves one connection at a time
  const auto all = open_as("loki", peer.url("?max_age=0s"), clock);
  CHECK(all->deliver(records).kind == Answer::Kind::kDelivered);
  CHECK(peer.requests().size() == 3);
}

TEST_CASE("a check tells of Loki's state", "[sink][loki]") {
  const auto [status, seen, known] = GENERATE(table<int, bool, bool>(
      {{200, true, true}, {404, true, false}, {401, false, false}, {503, false, false}}));
  const HttpPeer peer(HttpPeer::always(status, "{}"));
  const auto config = SinkConfig::parse("loki" + peer.url("").substr(4));
  REQUIRE(config);
  const auto reached = config->reach();
  CHECK(reached.has_value() == seen);
  if (reached) CHECK(reached->known == known);
  CHECK(peer.requests().at(0).line == "GET /loki/api/v1/status/buildinfo HTTP/1.1");
}
