#include "sink/kafka/kafka_sink.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>

#include <catch2/catch.hpp>

#include "sink/kafka_cluster.h"
#include "sink/loopback.h"
#include "sink/sink_fixture.h"

#ifdef NATSESSION_TEST_TLS
#include "sink/tls_peer.h"
#endif

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

std::unique_ptr<Sink> open_kafka(const std::string& url) {
  auto opened = open_sink(url, {.format = RecordFormat::kCsv}, kStoppedClock);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

// Records of as many sessions as there are ports, one after the other.
std::vector<SessionRecord> various_records(std::uint32_t count, std::uint32_t sessions) {
  auto records = numbered_records(0, count);
  for (SessionRecord& record : records) {
    const std::uint32_t session = record.seq % sessions;
    record.nat_port = static_cast<std::uint16_t>(10'000 + session);
    record.session_id = 1 + session;
  }
  return records;
}

std::vector<std::uint32_t> numbers_of_messages(const std::vector<KafkaMessage>& messages) {
  std::string lines;
  std::vector<std::uint32_t> all;
  for (const KafkaMessage& message : messages) {
    const std::size_t at = message.value.find("\"seq\":");
    if (at == std::string::npos) FAIL("no record: " << message.value);
    all.push_back(static_cast<std::uint32_t>(std::stoul(message.value.substr(at + 6))));
  }
  return all;
}

// Each once, whatever the order of partitions.
void check_each_once(KafkaCluster& cluster, std::uint32_t count) {
  auto found = numbers_of_messages(cluster.messages());
  std::sort(found.begin(), found.end());
  CHECK(found == numbers(0, count));
}

struct Tried {
  Answer answer;  // the last
  std::size_t taken = 0;
  std::size_t refusals = 0;
  std::vector<std::uint32_t> rejected;
};

// As the worker does, without its pauses: what was not taken is offered again.
Tried deliver_again(Sink& sink, std::span<const SessionRecord> records, std::size_t most_refusals = 100) {
  Tried tried;
  while (tried.taken < records.size()) {
    tried.answer = sink.deliver(records.subspan(tried.taken));
    tried.taken += tried.answer.taken;
    if (tried.answer.kind == Answer::Kind::kRejected) tried.rejected.push_back(records[tried.taken++].seq);
    if (tried.answer.kind != Answer::Kind::kRetryLater) {
      if (tried.answer.kind != Answer::Kind::kRejected) break;
    } else if (++tried.refusals >= most_refusals) {
      break;
    }
  }
  return tried;
}

std::string properties_url(const TempDir& directory, const std::string& url, const std::string& text) {
  const std::string path = directory.file("kafka.properties");
  write_file(path, text);
  ::chmod(path.c_str(), 0640);
  return url + "?properties_file=" + path;
}

std::string why_not_opened(const std::string& url) {
  const auto opened = open_sink(url, {}, kStoppedClock);
  return opened ? std::string() : opened.error().message;
}

}  // namespace

TEST_CASE("kafka: each record is a message of JSON, and a session's are in one partition and in order",
          "[sink][kafka]") {
  KafkaCluster cluster(3);
  const auto sink = open_kafka(cluster.url());
  CHECK(sink->name() == cluster.url());
  const auto records = various_records(300, 50);
  const Answer answer = sink->deliver(records);
  CHECK(answer.kind == Answer::Kind::kDelivered);
  CHECK(answer.why.empty());
  std::map<std::string, std::pair<std::int32_t, std::uint32_t>> last;  // of a key
  std::set<std::int32_t> partitions;
  for (const KafkaMessage& message : cluster.messages()) {
    const std::uint32_t number = numbers_of_messages({message}).front();
    CHECK(message.value + "\n" == text_of({records[number]}));
    CHECK(message.key == "203.0.113.1:" + std::to_string(records[number].nat_port));
    const auto [seen, first] = last.emplace(message.key, std::pair(message.partition, number));
    if (!first) {
      CHECK(seen->second.first == message.partition);
      CHECK(seen->second.second < number);
    }
    seen->second.second = number;
    partitions.insert(message.partition);
  }
  CHECK(last.size() == 50);
  CHECK(partitions.size() == 4);
  check_each_once(cluster, 300);
}

TEST_CASE("kafka: the key is what is to be in one partition", "[sink][kafka]") {
  KafkaCluster cluster(1, 1);
  auto records = numbered_records(0, 3);
  records[1].nat_ip = *IpAddress::parse("2001:db8::1");
  records[2].event = RecordEvent::kGap;
  const auto keys_by = [&](const std::string& option) {
    const std::size_t before = cluster.messages().size();
    CHECK(open_kafka(cluster.url() + option)->deliver(records).kind == Answer::Kind::kDelivered);
    std::vector<std::string> keys;
    for (std::size_t i = before; i < cluster.messages().size(); ++i)
      keys.push_back(cluster.messages()[i].key);
    return keys;
  };
  using Keys = std::vector<std::string>;
  CHECK(keys_by("") == Keys{"203.0.113.1:50000", "[2001:db8::1]:50000", "nat-1"});
  CHECK(keys_by("?partition_by=session") == Keys{"1122334455667788", "1122334455667788", "nat-1"});
  CHECK(keys_by("?partition_by=host") == Keys{"10.0.0.2", "10.0.0.2", "nat-1"});
}

TEST_CASE("kafka: what passes is tried again by the producer, and nothing is missing or twice",
          "[sink][kafka]") {
  KafkaCluster cluster(3);
  const auto sink = open_kafka(cluster.url());
  const auto records = various_records(2000, 100);
  SECTION("errors of brokers") {
    cluster.push_errors(kProduceRequest,
                        {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                         RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                         RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR__TRANSPORT,
                         RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART});
    CHECK(deliver_again(*sink, records).answer.kind == Answer::Kind::kDelivered);
  }
  SECTION("leaders that move") {
    for (std::size_t at = 0; at < records.size(); at += 500) {
      const auto round = static_cast<std::int32_t>(at / 500);
      for (std::int32_t partition = 0; partition < 4; ++partition)
        cluster.set_leader(partition, 1 + (partition + round) % 3);
      const auto part = std::span(records).subspan(at, 500);
      CHECK(deliver_again(*sink, part).answer.kind == Answer::Kind::kDelivered);
    }
  }
  check_each_once(cluster, 2000);
}

TEST_CASE("kafka: what has no report in time is waited for, and not sent again", "[sink][kafka]") {
  KafkaCluster cluster;
  const auto sink = open_kafka(cluster.url() + "?timeout=100ms");
  const auto all = various_records(210, 20);
  CHECK(deliver_again(*sink, std::span(all).first(10)).answer.kind == Answer::Kind::kDelivered);
  const auto records = std::span(all).subspan(10);
  cluster.set_answer_time(700ms);
  const auto begun = std::chrono::steady_clock::now();
  const Answer first = sink->deliver(records);
  CHECK(first.kind == Answer::Kind::kRetryLater);
  CHECK(first.taken == 0);
  CHECK_THAT(first.why, Contains("no report of 200 records"));
  CHECK(std::chrono::steady_clock::now() - begun < 600ms);
  cluster.set_answer_time(0ms);
  // Offered in another measure, as the worker may.
  const Tried half = deliver_again(*sink, records.first(70));
  CHECK(half.answer.kind == Answer::Kind::kDelivered);
  CHECK(deliver_again(*sink, records.subspan(70)).answer.kind == Answer::Kind::kDelivered);
  check_each_once(cluster, 210);
}

TEST_CASE("kafka: while no broker is there it says so, and then all arrives once", "[sink][kafka]") {
  KafkaCluster cluster;
  const auto sink = open_kafka(cluster.url() + "?timeout=200ms");
  const auto records = various_records(100, 10);
  CHECK(deliver_again(*sink, std::span(records).first(50)).answer.kind == Answer::Kind::kDelivered);
  cluster.set_down(true);
  const Answer answer = sink->deliver(std::span(records).subspan(50));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK_THAT(answer.why, Contains("127.0.0.1"));
  cluster.set_down(false);
  CHECK(deliver_again(*sink, std::span(records).subspan(50)).answer.kind == Answer::Kind::kDelivered);
  check_each_once(cluster, 100);
}

TEST_CASE("kafka: records that are offered no more make no other one taken", "[sink][kafka]") {
  KafkaCluster cluster;
  const auto sink = open_kafka(cluster.url() + "?timeout=200ms");
  const auto records = various_records(30, 10);
  cluster.set_down(true);
  CHECK(sink->deliver(std::span(records).first(20)).kind == Answer::Kind::kRetryLater);
  cluster.set_down(false);
  // As after retention has deleted the oldest.
  CHECK(deliver_again(*sink, std::span(records).subspan(10)).answer.kind == Answer::Kind::kDelivered);
  const auto found = numbers_of_messages(cluster.messages());
  for (std::uint32_t number = 10; number < 30; ++number)
    CHECK(std::count(found.begin(), found.end(), number) == 1);
}

TEST_CASE("kafka: an unknown topic is LogStoreNotExist until it is there", "[sink][kafka]") {
  KafkaCluster cluster;
  const TempDir directory;
  const auto sink =
      open_kafka(properties_url(directory, cluster.url(), "topic.metadata.propagation.max.ms=100\n"));
  const auto records = various_records(50, 10);
  rd_kafka_mock_topic_set_error(cluster.get(), "nat", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  const Tried refused = deliver_again(*sink, records, 10);
  CHECK(refused.answer.kind == Answer::Kind::kTargetFailed);
  CHECK(refused.answer.code == TargetCode::kLogStoreNotExist);
  CHECK_THAT(refused.answer.why, Contains("topic nat") && Contains("nknown topic"));
  rd_kafka_mock_topic_set_error(cluster.get(), "nat", RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(deliver_again(*sink, records).answer.kind == Answer::Kind::kDelivered);
  check_each_once(cluster, 50);
}

TEST_CASE("kafka: what the cluster refuses has a code, and goes out when it is allowed", "[sink][kafka]") {
  KafkaCluster cluster(1, 1);
  const auto sink = open_kafka(cluster.url());
  const auto records = various_records(50, 10);
  const auto check_refused = [&](std::int16_t request, rd_kafka_resp_err_t error, TargetCode code) {
    cluster.push_errors(request, {error});
    const Answer answer = sink->deliver(records);
    CHECK(answer.kind == Answer::Kind::kTargetFailed);
    CHECK(to_string(answer.code) == to_string(code));
    CHECK(answer.taken == 0);
    CHECK_FALSE(answer.why.empty());
  };
  check_refused(kInitProducerIdRequest, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
                TargetCode::kUnauthorized);
  check_refused(kProduceRequest, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, TargetCode::kUnauthorized);
  check_refused(kProduceRequest, RD_KAFKA_RESP_ERR_POLICY_VIOLATION, TargetCode::kProjectForbidden);
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  check_each_once(cluster, 50);
}

TEST_CASE("kafka: a topic that is not ours any more is told, though librdkafka waits for it",
          "[sink][kafka]") {
  KafkaCluster cluster(1, 1);
  const auto sink = open_kafka(cluster.url() + "?timeout=300ms");
  const auto records = various_records(50, 10);
  rd_kafka_mock_topic_set_error(cluster.get(), "nat", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  const Tried refused = deliver_again(*sink, records, 10);
  CHECK(refused.answer.kind == Answer::Kind::kTargetFailed);
  CHECK(refused.answer.code == TargetCode::kUnauthorized);
  rd_kafka_mock_topic_set_error(cluster.get(), "nat", RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(deliver_again(*sink, records).answer.kind == Answer::Kind::kDelivered);
  check_each_once(cluster, 50);
}

TEST_CASE("kafka: of several partitions one that refuses keeps back no other's records, nor doubles them",
          "[sink][kafka]") {
  KafkaCluster cluster(1, 4);
  const auto sink = open_kafka(cluster.url());
  const auto records = various_records(400, 100);
  cluster.push_errors(kProduceRequest,
                      {RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  const Answer answer = sink->deliver(records);
  if (answer.kind != Answer::Kind::kDelivered) {
    CHECK(answer.kind == Answer::Kind::kTargetFailed);
    CHECK(sink->deliver(std::span(records).subspan(answer.taken)).kind == Answer::Kind::kDelivered);
  }
  check_each_once(cluster, 400);
}

TEST_CASE("kafka: a quota that is exceeded is told as such", "[sink][kafka]") {
  KafkaCluster cluster(1, 1);
  const auto sink = open_kafka(cluster.url());
  const auto records = various_records(50, 10);
  cluster.push_errors(kProduceRequest, {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED});
  const Answer answer = sink->deliver(records);
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.throttled_by == TargetCode::kWriteQuotaExceed);
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  check_each_once(cluster, 50);
}

TEST_CASE("kafka: a fatal error makes a new producer, which goes on", "[sink][kafka]") {
  KafkaCluster cluster(1, 1);
  const auto sink = open_kafka(cluster.url());
  const auto records = various_records(50, 10);
  CHECK(sink->deliver(std::span(records).first(10)).kind == Answer::Kind::kDelivered);
  cluster.push_errors(kProduceRequest, {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER});
  const Answer answer = sink->deliver(std::span(records).subspan(10));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why,
             Contains("fatal") && Contains("a new producer goes on") && Contains("may come twice"));
  CHECK(sink->deliver(std::span(records).subspan(10)).kind == Answer::Kind::kDelivered);
  check_each_once(cluster, 50);
}

TEST_CASE("kafka: behind what failed nothing is sent before it", "[sink][kafka]") {
  KafkaCluster cluster(1, 1);
  const TempDir directory;
  // The mock cluster would take a batch whose numbers do not follow; a broker would not.
  const auto sink =
      open_kafka(properties_url(directory, cluster.url(), "batch.num.messages=10\nmax.in.flight=1\n"));
  const auto records = various_records(300, 100);
  CHECK(sink->deliver(std::span(records).first(10)).kind == Answer::Kind::kDelivered);
  cluster.push_errors(kProduceRequest, {RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_UNKNOWN});
  const Tried tried = deliver_again(*sink, std::span(records).subspan(10));
  CHECK(tried.answer.kind == Answer::Kind::kDelivered);
  CHECK(tried.refusals == 1);
  const auto found = numbers_of_messages(cluster.messages());
  const auto wrong = std::is_sorted_until(found.begin(), found.end());
  CHECK(found.size() == 300);
  CHECK(wrong - found.begin() == 300);
}

TEST_CASE("kafka: a batch that is too large for a broker goes out in smaller ones", "[sink][kafka]") {
  KafkaCluster cluster(1, 1);
  const auto sink = open_kafka(cluster.url());
  const auto records = various_records(100, 10);
  cluster.push_errors(kProduceRequest,
                      {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  CHECK(numbers_of_messages(cluster.messages()) == numbers(0, 100));
}

TEST_CASE("kafka: a message that is too large by itself is rejected, and no other", "[sink][kafka]") {
  KafkaCluster cluster(1, 1);
  const TempDir directory;
  const Origin huge{std::string(3000, 'x'), ""};
  auto records = numbered_records(0, 40);
  records[0].origin = records[17].origin = &huge;
  SECTION("for us") {
    const auto sink = open_kafka(properties_url(directory, cluster.url(), "message.max.bytes=2000\n"));
    const Tried tried = deliver_again(*sink, records);
    CHECK(tried.rejected == std::vector<std::uint32_t>{0, 17});
    CHECK(tried.answer.kind == Answer::Kind::kDelivered);
    CHECK(cluster.messages().size() == 38);
  }
  SECTION("for the broker") {
    const auto sink = open_kafka(cluster.url());
    // Of all of them; of halves, until one is alone; and of that one.
    std::vector<rd_kafka_resp_err_t> errors(6, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    rd_kafka_mock_push_request_errors_array(cluster.get(), kProduceRequest, errors.size(), errors.data());
    const Tried tried = deliver_again(*sink, records);
    CHECK(tried.rejected == std::vector<std::uint32_t>{0});
    CHECK(numbers_of_messages(cluster.messages()) == numbers(1, 40));
  }
}

TEST_CASE("kafka: a broker that takes no record at all is not fed with all of them", "[sink][kafka]") {
  KafkaCluster cluster(1, 1);
  const auto sink = open_kafka(cluster.url());
  const auto records = numbered_records(0, 200);
  std::vector<rd_kafka_resp_err_t> errors(500, RD_KAFKA_RESP_ERR_INVALID_RECORD);
  rd_kafka_mock_push_request_errors_array(cluster.get(), kProduceRequest, errors.size(), errors.data());
  const Tried tried = deliver_again(*sink, records);
  CHECK(tried.answer.kind == Answer::Kind::kTargetFailed);
  CHECK(tried.answer.code == TargetCode::kProjectForbidden);
  CHECK(tried.rejected.size() == 100);
}

#ifdef NATSESSION_TEST_TLS
TEST_CASE("kafka: a certificate that is not accepted is InvalidAccessKeyId, and is not tried for ever",
          "[sink][kafka]") {
  const TlsPeer peer;
  const TempDir directory;
  const auto sink = open_kafka(
      properties_url(directory, "kafka://localhost:" + peer.port() + "/nat", "security.protocol=ssl\n") +
      "&timeout=5s");
  const auto begun = std::chrono::steady_clock::now();
  const auto records = numbered_records(0, 10);
  const Answer answer = deliver_again(*sink, records, 5).answer;
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK(to_string(answer.code) == "InvalidAccessKeyId");
  CHECK_THAT(answer.why, Contains("certificate"));
  CHECK(std::chrono::steady_clock::now() - begun < 20s);
}
#endif

TEST_CASE("kafka: a library that takes a few messages at a time is fed so", "[sink][kafka]") {
  KafkaCluster cluster(1, 1);
  const TempDir directory;
  const auto records = various_records(60, 10);
  const auto sink = open_kafka(properties_url(directory, cluster.url(), "queue.buffering.max.messages=5\n"));
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  CHECK(numbers_of_messages(cluster.messages()) == numbers(0, 60));
}

TEST_CASE("kafka: its properties are read anew when it is reopened, and wrong ones change nothing",
          "[sink][kafka]") {
  KafkaCluster cluster(1, 1);
  const TempDir directory;
  const auto sink = open_kafka(properties_url(directory, cluster.url(), "message.max.bytes=2000\n"));
  const Origin large{std::string(3000, 'x'), ""};
  auto records = numbered_records(0, 1);
  records[0].origin = &large;
  CHECK(sink->deliver(records).kind == Answer::Kind::kRejected);
  write_file(directory.file("kafka.properties"), "no.such=1\n");
  CHECK_FALSE(sink->reopen());
  CHECK(sink->deliver(records).kind == Answer::Kind::kRejected);
  write_file(directory.file("kafka.properties"), "message.max.bytes=100000\n");
  CHECK(sink->reopen());
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
}

TEST_CASE("kafka: properties that are wrong are refused before anything is sent", "[sink][kafka]") {
  const TempDir directory;
  const std::string url = "kafka://127.0.0.1:9/nat";
  const auto why = [&](const std::string& text) {
    return why_not_opened(properties_url(directory, url, text));
  };
  CHECK_THAT(why("# a comment\n\nno.such.property = 1\n"),
             Contains("kafka.properties:3") && Contains("has no property no.such.property"));
  CHECK_THAT(why("linger.ms\n"), Contains(":1") && Contains("name=value"));
  CHECK_THAT(why("linger.ms=soon\n"), Contains("linger.ms"));
  CHECK_THAT(why("message.timeout.ms=5000\n"), Contains("message.timeout.ms cannot be set"));
  CHECK_THAT(why("acks=1\n"), Contains("cannot be set"));
  CHECK_THAT(why("enable.idempotence=false\n"), Contains("cannot be set"));
  CHECK_THAT(why("bootstrap.servers=other:9092\n"), Contains("the URL has the brokers"));
  CHECK_THAT(why("plugin.library.paths=/tmp/x.so\n"), Contains("loads no code"));
  CHECK_THAT(why("partitioner=random\n"), Contains("stay together"));
  CHECK_THAT(why("test.mock.num.brokers=1\n"), Contains("go nowhere"));
  CHECK_THAT(why("ssl.ca.location=/nowhere/ca.pem\n"), Contains("/nowhere/ca.pem"));
  CHECK_THAT(why("max.in.flight=6\n"), Contains("max.in.flight"));
  CHECK_THAT(why("security.protocol=ssl\nssl.key.pem=verysecret\nssl.certificate.pem=verysecret\n"),
             !Contains("verysecret") && Contains("librdkafka"));
  const std::string path = directory.file("kafka.properties");
  write_file(path, "linger.ms=5\n");
  ::chmod(path.c_str(), 0666);
  CHECK_THAT(why_not_opened(url + "?properties_file=" + path), Contains(path));
  CHECK_THAT(why_not_opened(url + "?properties_file=/nowhere/at/all"), Contains("/nowhere/at/all"));
  CHECK(why("linger.ms=5\nsasl.mechanisms=PLAIN\nsasl.username=u\nsasl.password=p=q\n").empty());
  CHECK(SinkConfig::parse(url + "?properties_file=" + path)->secret_files() ==
        std::vector<std::string>{path});
}

TEST_CASE("kafka: a URL has brokers and a topic", "[sink][kafka]") {
  const auto parse = [](const std::string& text) { return KafkaSettings::parse(*SinkUrl::parse(text)); };
  const auto settings =
      parse("kafka://one,two:9093,[2001:db8::1]/nat.log_1-a?format=protobuf&partition_by=host");
  REQUIRE(settings);
  CHECK(settings->brokers == "one:9092,two:9093,[2001:db8::1]:9092");
  CHECK(settings->topic == "nat.log_1-a");
  CHECK(settings->protobuf);
  CHECK(settings->key == KafkaKey::kHost);
  const auto why = [&](const std::string& text) { return check_sink_url(text).error().message; };
  CHECK_THAT(why("kafka:one/nat"), Contains("kafka://BROKER"));
  CHECK_THAT(why("kafka://one"), Contains("topic is missing"));
  CHECK_THAT(why("kafka://one/"), Contains("topic is missing"));
  CHECK_THAT(why("kafka:///nat"), Contains("host is missing"));
  CHECK_THAT(why("kafka://one,,two/nat"), Contains("host is missing"));
  CHECK_THAT(why("kafka://one:99999/nat"), Contains("99999"));
  CHECK_THAT(why("kafka://one/a/b"), Contains("is no topic"));
  CHECK_THAT(why("kafka://one/.."), Contains("is no topic"));
  CHECK_THAT(why("kafka://one/nat?format=csv"), Contains("csv"));
  CHECK_THAT(why("kafka://one/nat?partition_by=x"), Contains("nat, session or host"));
  CHECK_THAT(why("kafka://one/nat?sasl.password=x"), Contains("secret"));
  CHECK_THAT(why("kafka://me:secret@one/nat"), Contains("secret") && !Contains("me:secret@"));
}

TEST_CASE("kafka: a check tells whether the topic is there, and makes none", "[sink][kafka]") {
  KafkaCluster cluster(3);
  const auto reach = [](const std::string& url) { return SinkConfig::parse(url)->reach(); };
  const auto found = reach(cluster.url());
  REQUIRE(found);
  CHECK_THAT(found->text, Contains("topic nat has 4 partitions"));
  rd_kafka_mock_topic_set_error(cluster.get(), "nat", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  const auto unknown = reach(cluster.url());
  REQUIRE_FALSE(unknown);
  CHECK_THAT(unknown.error().message, Contains("LogStoreNotExist: topic nat") && Contains("nknown topic"));
  rd_kafka_mock_topic_set_error(cluster.get(), "nat", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  CHECK_THAT(reach(cluster.url()).error().message, Contains("Unauthorized: topic nat"));
  rd_kafka_mock_topic_set_error(cluster.get(), "nat", RD_KAFKA_RESP_ERR_NO_ERROR);
  cluster.set_leader(2, -1);
  CHECK_THAT(reach(cluster.url()).error().message, Contains("1 without a leader"));
  const auto begun = std::chrono::steady_clock::now();
  const UdpPeer nobody;  // by TCP nobody listens there
  const auto silent = reach("kafka://" + nobody.place() + "/nat");
  REQUIRE_FALSE(silent);
  CHECK_THAT(silent.error().message, Contains("refused"));
  CHECK(std::chrono::steady_clock::now() - begun < 6s);
}
