#include "sink/collector/elasticsearch_sink.h"

#include <map>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "sink/http_peer.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using Catch::Matchers::Contains;
using namespace natsession::testing;
using Json = nlohmann::json;

namespace {

// An index: what was created, by _id, and what it answers.
struct Index {
  std::map<std::string, Json> documents;
  std::map<std::string, std::pair<int, std::string>> bad = {};  // by _id: status and type
  std::string reason = "a\nreason";                             // of all of them

  HttpAnswer bulk(const ReceivedRequest& request) {
    std::istringstream lines(request.text());
    Json items = Json::array();
    bool errors = false;
    for (std::string action, document; std::getline(lines, action) && std::getline(lines, document);) {
      const std::string id = Json::parse(action).at("create").at("_id");
      Json item{{"status", 201}};
      if (const auto found = bad.find(id); found != bad.end()) {
        item = {{"status", found->second.first},
                {"error", {{"type", found->second.second}, {"reason", reason}}}};
      } else if (!documents.emplace(id, Json::parse(document)).second) {
        item = {{"status", 409},
                {"error", {{"type", "version_conflict_engine_exception"}, {"reason", "there"}}}};
      }
      errors |= item["status"] != 201;
      items.push_back({{"create", item}});
    }
    return HttpAnswer::status(200, "Content-Type: application/json\r\n",
                              Json{{"errors", errors}, {"items", items}}.dump());
  }
};

std::string id_of(std::uint32_t number) {
  return "1122334455667788-" + std::to_string(number);
}

}  // namespace

TEST_CASE("a record is a document by ECS's names, under a name of its own", "[sink][elasticsearch]") {
  Index index;
  const HttpPeer peer([&](const ReceivedRequest& request) { return index.bulk(request); });
  const auto sink = open_as("elasticsearch", peer.url("/nat-log"));
  SessionRecord record = numbered_record(5);
  record.has_orig_dst = true;
  record.orig_dst_ip = *IpAddress::parse("192.0.2.80");
  record.orig_dst_port = 8080;
  record.bytes_from_vpc = Count(100);
  record.bytes_from_pub = Count(2000);
  record.pkts_from_vpc = Count();
  record.protocol = 58;
  CHECK(sink->deliver(std::vector{record}).kind == Answer::Kind::kDelivered);
  const auto request = peer.requests().at(0);
  CHECK(request.line.starts_with("POST /nat-log/_bulk?filter_path="));
  CHECK(request.headers.at("content-type") == "application/x-ndjson");
  CHECK(request.headers.at("content-encoding") == "gzip");
  REQUIRE(index.documents.count(id_of(5)) == 1);
  const Json& document = index.documents[id_of(5)];
  const Json line = Json::parse(text_of({record}, {.time_format = TimeFormat::kRfc3339}));
  CHECK(document["@timestamp"] == line["end_time"]);
  CHECK(document["event.end"] == line["end_time"]);
  CHECK(document["event.start"] == line["start_time"]);
  CHECK(document["event.action"] == line["event"]);
  CHECK(document["source.ip"] == line["pri_ip"]);
  CHECK(document["source.port"] == line["pri_port"]);
  CHECK(document["source.nat.ip"] == line["nat_ip"]);
  CHECK(document["source.nat.port"] == line["nat_port"]);
  CHECK(document["destination.ip"] == "192.0.2.80");
  CHECK(document["destination.port"] == 8080);
  CHECK(document["destination.nat.ip"] == line["pub_ip"]);
  CHECK(document["destination.nat.port"] == line["pub_port"]);
  CHECK(document["source.bytes"] == 100);
  CHECK(document["destination.bytes"] == 2000);
  CHECK(document["network.bytes"] == 2100);
  CHECK(document["network.iana_number"] == 58);
  CHECK(document["network.transport"] == "ipv6-icmp");
  CHECK(document["observer.name"] == line["instance"]);
  CHECK(document["natsession.session_id"] == line["session_id"]);
  CHECK(document["natsession.seq"] == 5);
  CHECK(document.count("source.packets") == 0);
  CHECK(document.count("network.packets") == 0);
}

TEST_CASE("a gap is a document without a session, the same when it comes again", "[sink][elasticsearch]") {
  Index index;
  const HttpPeer peer([&](const ReceivedRequest& request) { return index.bulk(request); });
  const auto sink = open_as("elasticsearch", peer.url("/nat-log"));
  SessionRecord gap;
  gap.origin = numbered_record(0).origin;
  gap.event = RecordEvent::kGap;
  gap.reason = RecordReason::kOverrun;
  gap.start_time = kUnknownStart;
  gap.end_time = UnixMs(std::chrono::milliseconds(1795263701250));
  gap.events_lost = Count(1532);
  SessionRecord other = gap;
  other.reason = RecordReason::kStopped;
  const std::vector both{gap, other};
  CHECK(sink->deliver(both).kind == Answer::Kind::kDelivered);
  CHECK(sink->deliver(both).kind == Answer::Kind::kDelivered);
  REQUIRE(index.documents.size() == 2);
  std::size_t overruns = 0;
  for (const auto& [id, document] : index.documents) {
    CHECK(document["event.action"] == "gap");
    CHECK(document["event.type"] == "error");
    CHECK(document["@timestamp"] == "2026-11-21T12:21:41.250Z");
    CHECK(document.count("event.start") == 0);
    CHECK(document.count("source.ip") == 0);
    CHECK(document["natsession.events_lost"] == 1532);
    overruns += document["event.reason"] == "overrun" ? 1U : 0U;
  }
  CHECK(overruns == 1);
}

TEST_CASE("a batch that comes again makes no doubles", "[sink][elasticsearch]") {
  Index index;
  const HttpPeer peer([&](const ReceivedRequest& request) { return index.bulk(request); });
  const auto sink = open_as("elasticsearch", peer.url("/nat-log"));
  CHECK(sink->deliver(numbered_records(0, 30)).kind == Answer::Kind::kDelivered);
  CHECK(sink->deliver(numbered_records(20, 50)).kind == Answer::Kind::kDelivered);
  CHECK(index.documents.size() == 50);
}

TEST_CASE("what is told of one document decides what becomes of it", "[sink][elasticsearch]") {
  using Kind = Answer::Kind;
  const auto [status, type, kind, code] = GENERATE(table<int, std::string, Kind, TargetCode>({
      {400, "document_parsing_exception", Kind::kRejected, {}},
      {403, "cluster_block_exception", Kind::kTargetFailed, TargetCode::kProjectForbidden},
      {404, "index_not_found_exception", Kind::kTargetFailed, TargetCode::kLogStoreNotExist},
      {429, "es_rejected_execution_exception", Kind::kRetryLater, {}},
      {503, "unavailable_shards_exception", Kind::kRetryLater, {}},
  }));
  Index index;
  index.bad[id_of(7)] = {status, type};
  const HttpPeer peer([&](const ReceivedRequest& request) { return index.bulk(request); });
  const auto sink = open_as("elasticsearch", peer.url("/nat-log"));
  const Answer answer = sink->deliver(numbered_records(0, 20));
  CHECK(answer.kind == kind);
  CHECK(answer.taken == 7);
  if (kind == Kind::kTargetFailed) CHECK(answer.code == code);
  CHECK(answer.throttled_by.has_value() == (status == 429));
  CHECK_THAT(answer.why, Contains(type + ": a reason"));
  // Those behind it are there already, and are no doubles.
  CHECK(index.documents.size() == 19);
  index.bad.clear();
  const auto rest = numbered_records(kind == Kind::kRejected ? 8 : 7, 20);
  CHECK(sink->deliver(rest).kind == Kind::kDelivered);
  CHECK(index.documents.size() == (kind == Kind::kRejected ? 19U : 20U));
}

TEST_CASE("an index of another shape is LogStoreNotExist, and names the field", "[sink][elasticsearch]") {
  const auto [type, reason] = GENERATE(table<std::string, std::string>({
      {"strict_dynamic_mapping_exception",
       "[1:9] mapping set to strict, dynamic introduction of [nat] within [source] is not allowed"},
      {"illegal_argument_exception",
       "Limit of total fields [1000] has been exceeded while adding new fields [7]"},
  }));
  Index index;
  index.bad[id_of(7)] = {400, type};
  index.reason = reason;
  const HttpPeer peer([&](const ReceivedRequest& request) { return index.bulk(request); });
  const auto sink = open_as("elasticsearch", peer.url("/nat-log"));
  const Answer answer = sink->deliver(numbered_records(0, 20));
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK(answer.code == TargetCode::kLogStoreNotExist);
  CHECK(answer.taken == 7);
  CHECK_THAT(answer.why, Contains(reason));
}

TEST_CASE("a check names a field that a strict index lacks", "[sink][elasticsearch]") {
  const auto [body, seen, told] = GENERATE(table<std::string, bool, std::string>({
      {R"({"nat-log":{"mappings":{"dynamic":"strict","properties":{"@timestamp":{"type":"date"}}}}})", false,
       "LogStoreNotExist: look at"},
      {R"({"nat-log":{"mappings":{"dynamic":"strict","properties":{"@timestamp":{"type":"date"}}}}})", false,
       "takes no field that it does not have, and has no field "},
      {R"({"nat-log":{"mappings":{"dynamic":"true","properties":{"@timestamp":{"type":"date"}}}}})", true,
       "the index is there"},
      {R"({"nat-log":{"mappings":{}}})", true, "the index is there"},
      {R"({"nat-log":3})", true, "the index is there"},
      {R"([1,{"nat-log":3}])", false, "no answer of Elasticsearch"},
      {"<html>Please log in</html>", false, "no answer of Elasticsearch"},
  }));
  const HttpPeer peer(HttpPeer::always(200, body));
  const auto config = SinkConfig::parse("elasticsearch" + peer.url("/nat-log").substr(4));
  REQUIRE(config);
  const auto reached = config->reach();
  CHECK(reached.has_value() == seen);
  CHECK_THAT(reached ? reached->text : reached.error().message, Contains(told));
}

TEST_CASE("an index that refuses each document takes no more", "[sink][elasticsearch]") {
  Index index;
  for (std::uint32_t number = 0; number < 200; ++number)
    index.bad[id_of(number)] = {400, "mapper_parsing_exception"};
  const HttpPeer peer([&](const ReceivedRequest& request) { return index.bulk(request); });
  const auto sink = open_as("elasticsearch", peer.url("/nat-log"));
  std::uint32_t rejected = 0;
  Answer answer;
  while ((answer = sink->deliver(numbered_records(rejected, 200))).kind == Answer::Kind::kRejected)
    ++rejected;
  CHECK(rejected == 100);
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK(answer.code == TargetCode::kProjectForbidden);
}

TEST_CASE("an answer that does not tell of each document is no answer", "[sink][elasticsearch]") {
  const std::string body =
      GENERATE(as<std::string>(), "", "OK", "[]", "{}", R"({"errors":"no"})", R"({"errors":true})",
               R"({"errors":true,"items":[]})", R"({"errors":true,"items":[{"create":{"status":201}}]})",
               R"({"errors":true,"items":[1,2]})", R"({"errors":true,"items":[{},{}]})",
               R"({"errors":true,"items":[{"create":3},{"create":4}]})",
               R"({"errors":true,"items":[{"create":{"status":"x"}},{"create":{}}]})");
  const HttpPeer peer(HttpPeer::always(200, body));
  const Answer answer = open_as("elasticsearch", peer.url("/nat-log"))->deliver(numbered_records(0, 2));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 0);
}

TEST_CASE("where an answer is too long, fewer documents are sent at once", "[sink][elasticsearch]") {
  Index index;
  const HttpPeer peer([&](const ReceivedRequest& request) {
    if (index.bulk(request).bytes.size() < 1000) return index.bulk(request);
    index.documents.clear();
    return HttpAnswer::status(200, {}, std::string(HttpReply::kMaxBytes + 10, ' '));
  });
  CHECK(open_as("elasticsearch", peer.url("/nat-log"))->deliver(numbered_records(0, 100)).kind ==
        Answer::Kind::kDelivered);
  CHECK(index.documents.size() == 100);
}

TEST_CASE("an index is asked for that Elasticsearch can have", "[sink][elasticsearch]") {
  for (const std::string good : {"a", "logs-natsession-default", "nat.log_2", "0x"})
    CHECK(check_sink_url("elasticsearch://h/" + good).has_value());
  for (const std::string bad : {"", "Nat", "a/b", "_x", "-x", "a*b", "..", "a,b", "%C3%A4"}) {
    const auto checked = check_sink_url("elasticsearch://h:9200/" + bad);
    REQUIRE(!checked);
    CHECK(checked.error().kind == ErrorKind::kUsage);
  }
  CHECK_THAT(check_sink_url("elasticsearch://h").error().message, Contains("an index is missing"));
}

TEST_CASE("a check tells whether the index is there", "[sink][elasticsearch]") {
  const auto [status, seen, told] = GENERATE(table<int, bool, std::string>({
      {200, true, "the index is there"},
      {404, true, "is not there yet"},
      {401, false, "InvalidAccessKeyId"},
      {403, false, "ProjectForbidden"},
      {503, false, "status 503"},
  }));
  const HttpPeer peer(HttpPeer::always(status, "{}"));
  const auto config = SinkConfig::parse("elasticsearch" + peer.url("/nat-log").substr(4));
  REQUIRE(config);
  const auto reached = config->reach();
  CHECK(reached.has_value() == seen);
  CHECK_THAT(reached ? reached->text : reached.error().message, Contains(told));
  CHECK(peer.requests().at(0).line.starts_with("GET /nat-log?"));
}
