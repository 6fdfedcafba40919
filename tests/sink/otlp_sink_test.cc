#include "sink/collector/otlp_sink.h"

#include <catch2/catch.hpp>

#include "record/fields.h"
#include "sink/collector/otlp_message.h"
#include "sink/http_peer.h"
#include "sink/otlp_reader.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

const std::string kProtobuf = "Content-Type: application/x-protobuf\r\n";

}  // namespace

TEST_CASE("a record is a log record with its time, its attributes and a line", "[sink][otlp]") {
  const HttpPeer peer(HttpPeer::always(200));
  const auto sink = open_as("otlp", peer.url(""));
  const auto records = numbered_records(0, 3);
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  const auto request = peer.requests().at(0);
  CHECK(request.line == "POST /v1/logs HTTP/1.1");
  CHECK(request.headers.at("content-type") == "application/x-protobuf");
  CHECK(request.headers.at("content-encoding") == "gzip");
  const ProtobufMessage logs(ProtobufMessage(request.text()).one(1));
  const auto resource = attributes(ProtobufMessage(logs.one(1)).all(1));
  CHECK(resource.at("service.name") == "natsessiond");
  CHECK(resource.at("service.instance.id") == records[0].origin->instance);
  const ProtobufMessage scope_logs(logs.one(2));
  CHECK(ProtobufMessage(scope_logs.one(1)).one(1) == "natsessiond");
  const auto got = scope_logs.all(2);
  REQUIRE(got.size() == 3);
  const SessionRecord& record = records[2];
  const ProtobufMessage log(got[2]);
  CHECK(log.number(1) == static_cast<std::uint64_t>(record.end_time.time_since_epoch().count()) * 1'000'000);
  CHECK(log.number(11) == log.number(1));
  CHECK(log.number(2) == 9);
  CHECK(log.one(3) == "INFO");
  CHECK(log.one(12) == "natsession." + std::string(to_string(record.event)));
  const auto line = ProtobufMessage(log.one(5)).one(1);
  CHECK_THAT(line, Contains(record.pri_ip.to_string() + ":" + std::to_string(record.pri_port) + " > " +
                            record.nat_ip.to_string() + ":" + std::to_string(record.nat_port) + " > "));
  const auto all = attributes(log.all(6));
  CHECK(all.at("source.address") == record.pri_ip.to_string());
  CHECK(all.at("source.port") == "=" + std::to_string(record.pri_port));
  CHECK(all.at("source.nat.ip") == record.nat_ip.to_string());
  CHECK(all.at("destination.address") == record.pub_ip.to_string());
  CHECK(all.at("natsession.seq") == "=2");
  CHECK(all.at("natsession.session_id") == "1122334455667788");
}

TEST_CASE("records of several instances stand under their resources, and a gap warns", "[sink][otlp]") {
  const Origin other{"natgw-9", "blue"};
  auto records = numbered_records(0, 4);
  records[1].origin = records[3].origin = &other;
  records[3].event = RecordEvent::kGap;
  records[3].reason = RecordReason::kOverrun;
  OtlpMessage message;
  CHECK(message.fill(records, 1 << 20) == 4);
  const auto logs = ProtobufMessage(message.bytes()).all(1);
  REQUIRE(logs.size() == 2);
  CHECK(attributes(ProtobufMessage(ProtobufMessage(logs[1]).one(1)).all(1)).at("service.instance.id") ==
        "natgw-9");
  const auto got = ProtobufMessage(ProtobufMessage(logs[1]).one(2)).all(2);
  REQUIRE(got.size() == 2);
  CHECK(ProtobufMessage(got[1]).number(2) == 13);
  const auto all = attributes(ProtobufMessage(got[1]).all(6));
  CHECK(all.at("event.reason") == "overrun");
  CHECK(all.at("natsession.netns") == "blue");
  CHECK(all.count("source.address") == 0);
}

TEST_CASE("texts of any bytes and numbers of any size are good protobuf", "[sink][otlp]") {
  SessionRecord record = numbered_record(0, hostile_origin());
  record.bytes_from_vpc = Count(std::numeric_limits<std::uint64_t>::max() - 1);
  record.end_time = UnixMs::max();
  OtlpMessage message;
  CHECK(message.fill(std::vector{record}, 1) == 1);
  const ProtobufMessage logs(ProtobufMessage(message.bytes()).one(1));
  const auto name = attributes(ProtobufMessage(logs.one(1)).all(1)).at("service.instance.id");
  CHECK_THAT(name, Contains("\xef\xbf\xbd"));  // what was no UTF-8
  const ProtobufMessage log(ProtobufMessage(logs.one(2)).one(2));
  CHECK(log.number(1) == 0);
  CHECK(attributes(log.all(6)).at("source.bytes") == "18446744073709551614");
}

TEST_CASE("a message ends where it is long enough", "[sink][otlp]") {
  const auto records = numbered_records(0, 1000);
  OtlpMessage message;
  const std::size_t some = message.fill(records, 10'000);
  CHECK(some > 5);
  CHECK(some < 100);
  CHECK(message.fill(std::span(records).subspan(some), 1 << 20) == 1000 - some);
}

TEST_CASE("what is rejected in a partial success counts as lost, and is not sent again", "[sink][otlp]") {
  // partial_success{rejected_log_records: 3, error_message: "too\nlong"}
  const std::string body = std::string("\x0a\x0c\x08\x03\x12\x08too\nlong", 14);
  const HttpPeer peer(HttpPeer::always(200, body, kProtobuf));
  const Answer answer = open_as("otlp", peer.url(""))->deliver(numbered_records(0, 10));
  CHECK(answer.kind == Answer::Kind::kDelivered);
  CHECK(answer.taken == 10);
  CHECK(answer.lost == 3);
  CHECK_THAT(answer.why, Contains("3 of 10 records were rejected: too long"));
  CHECK(peer.requests().size() == 1);
}

TEST_CASE("a warning beside a success is told, and nothing counts as lost", "[sink][otlp]") {
  const HttpPeer peer(HttpPeer::always(200, std::string("\x0a\x06\x12\x04slow", 8), kProtobuf));
  const Answer answer = open_as("otlp", peer.url(""))->deliver(numbered_records(0, 10));
  CHECK(answer.kind == Answer::Kind::kDelivered);
  CHECK(answer.lost == 0);
  CHECK_THAT(answer.why, Contains("it warns: slow"));
}

TEST_CASE("an answer that is no protobuf claims nothing", "[sink][otlp]") {
  const std::string body =
      GENERATE(std::string("{}"), std::string("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11),
               std::string("\x0a\x7f", 2), std::string("\x0b", 1), std::string(4000, '\xff'));
  const HttpPeer peer(HttpPeer::always(200, body, kProtobuf));
  const Answer answer = open_as("otlp", peer.url(""))->deliver(numbered_records(0, 1));
  CHECK(answer.kind == Answer::Kind::kDelivered);
  CHECK(answer.lost == 0);
}

TEST_CASE("a page in place of an answer of OTLP is no delivery", "[sink][otlp]") {
  const auto [type, body] = GENERATE(table<std::string, std::string>({
      {"Content-Type: text/html\r\n", "Please log in"},
      {"", " <!DOCTYPE html><html>Please log in</html>"},
      {"Content-Type: application/x-protobuf\r\n", "<html>Please log in</html>"},
  }));
  const HttpPeer peer(HttpPeer::always(200, body, type));
  const Answer answer = open_as("otlp", peer.url(""))->deliver(numbered_records(0, 3));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains("no answer of OTLP") && Contains("Please log in"));
  const auto config = SinkConfig::parse("otlp" + peer.url("").substr(4));
  REQUIRE(config);
  CHECK_FALSE(config->reach().has_value());
}

TEST_CASE("what is rejected is read of an answer in JSON as well", "[sink][otlp]") {
  const auto [body, lost] = GENERATE(table<std::string, std::uint64_t>({
      {R"({"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"too long"}})", 2U},
      {R"({"partialSuccess":{"rejectedLogRecords":2,"errorMessage":"too long"}})", 2U},
      {R"({"partialSuccess":{"rejectedLogRecords":99,"errorMessage":"too long"}})", 3U},
      {R"({"partialSuccess":{"rejectedLogRecords":"-1"}})", 0U},
      {R"({"partialSuccess":{}})", 0U},
      {"{", 0U},
  }));
  const HttpPeer peer(HttpPeer::always(200, body, "Content-Type: application/json\r\n"));
  const Answer answer = open_as("otlp", peer.url(""))->deliver(numbered_records(0, 3));
  CHECK(answer.kind == Answer::Kind::kDelivered);
  CHECK(answer.lost == lost);
  if (lost > 0) CHECK_THAT(answer.why, Contains("of 3 records were rejected: too long"));
}

TEST_CASE("more than was sent cannot be lost", "[sink][otlp]") {
  const HttpPeer peer(HttpPeer::always(200, std::string("\x0a\x03\x08\xff\x7f", 5), kProtobuf));
  CHECK(open_as("otlp", peer.url(""))->deliver(numbered_records(0, 2)).lost == 2);
}

TEST_CASE("a check sends a request without a record", "[sink][otlp]") {
  const auto [status, seen] =
      GENERATE(table<int, bool>({{200, true}, {401, false}, {404, false}, {503, false}}));
  const HttpPeer peer(HttpPeer::always(status));
  const auto config = SinkConfig::parse("otlp" + peer.url("").substr(4));
  REQUIRE(config);
  CHECK(config->reach().has_value() == seen);
  CHECK(peer.requests().at(0).body.empty());
  CHECK(peer.requests().at(0).line == "POST /v1/logs HTTP/1.1");
}
