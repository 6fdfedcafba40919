#include "sink/clickhouse/clickhouse_sink.h"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include "sink/clickhouse_peer.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using namespace natsession::clickhouse;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using natsession::testing::ClickHousePeer;
using natsession::testing::HttpAnswer;
using natsession::testing::numbered_record;
using natsession::testing::numbered_records;
using natsession::testing::numbers;
using natsession::testing::ReceivedRequest;

namespace {

std::unique_ptr<Sink> open_clickhouse(const std::string& url) {
  auto opened = open_sink(url, {}, natsession::testing::kStoppedClock);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

Answer deliver_to(const ClickHousePeer& peer, std::uint32_t from, std::uint32_t to) {
  auto sink = open_clickhouse(peer.url());
  sink->name_batch(from);
  return sink->deliver(numbered_records(from, to));
}

// Answers the first so many inserts so.
natsession::testing::HttpPeer::Handler first_answers(int count, const HttpAnswer& answer) {
  return [count, answer](const ReceivedRequest&) mutable { return count-- > 0 ? answer : HttpAnswer(); };
}

SessionRecord full_record() {
  static const Origin origin{"nat-1", "blue"};
  SessionRecord record = numbered_record(7, origin);
  record.vpc_id = "vpc-1";
  record.orig_dst_ip = *IpAddress::parse("2001:db8::9");
  record.orig_dst_port = 53;
  record.has_orig_dst = true;
  record.bytes_from_pub = Count(0);
  record.bytes_from_vpc = Count(1ULL << 40);
  record.pkts_from_vpc = Count();
  record.session_start = UnixMs(1ms);
  record.tcp_state = TcpState::kTimeWait;
  record.reason = RecordReason::kVanished;
  record.zone = 9;
  record.mark = 4'000'000'000;
  record.session_id = derive_session_id(record);
  return record;
}

}  // namespace

TEST_CASE("a row of ClickHouse has all of a record", "[sink][clickhouse]") {
  SessionRecord record = full_record();
  SECTION("of a session") {}
  SECTION("of a session with nothing that may be none") {
    record = numbered_record(1);
    record.session_id = derive_session_id(record);
  }
  SECTION("of a gap") {
    SessionRecord gap;
    gap.origin = record.origin;
    gap.event = RecordEvent::kGap;
    gap.reason = RecordReason::kStarted;
    gap.start_time = kUnknownStart;
    gap.end_time = UnixMs(5s);
    gap.events_lost = Count(3);
    record = gap;
  }
  std::string row;
  append_row(record, row);
  auto rows = natsession::testing::rows_in(row);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].origin->instance == record.origin->instance);
  CHECK(rows[0].origin->netns == record.origin->netns);
  rows[0].origin = record.origin;
  CHECK(rows[0] == record);
}

TEST_CASE("a row that is cut anywhere is no row, and none is read beyond its end", "[sink][clickhouse]") {
  std::string row;
  append_row(full_record(), row);
  for (std::size_t size = 1; size < row.size(); ++size) {
    CAPTURE(size);
    CHECK_THROWS(natsession::testing::rows_in(std::string_view(row).substr(0, size)));
  }
}

TEST_CASE("records are inserted as rows, compressed, into the columns that are named", "[sink][clickhouse]") {
  const ClickHousePeer peer;
  CHECK(deliver_to(peer, 0, 100).kind == Answer::Kind::kDelivered);
  CHECK(peer.numbers() == numbers(0, 100));
  const auto inserts = peer.inserts();
  REQUIRE(inserts.size() == 1);
  CHECK(inserts[0].headers.at("content-encoding") == "gzip");
  CHECK_THAT(
      ClickHousePeer::parameter(inserts[0], "query"),
      Contains("INSERT INTO `nat`.`sessions` (`instance`, ") && Contains("`events_lost`) FORMAT RowBinary"));
  CHECK(ClickHousePeer::parameter(inserts[0], "async_insert") == "0");
}

TEST_CASE("a server that reads zstd is sent that, unless its URL says otherwise", "[sink][clickhouse]") {
  const auto [version, options, encoding] =
      GENERATE(table<std::string, std::string, std::string>({{"26.7.2.1", "", "zstd"},
                                                             {"22.3.2", "", "zstd"},
                                                             {"22.2.9", "", "gzip"},
                                                             {"18.16.1", "", "gzip"},
                                                             {"", "", "gzip"},
                                                             {"garbage", "", "gzip"},
                                                             {"26.7.2.1", "?compress=gzip", "gzip"},
                                                             {"26.7.2.1", "?compress=none", ""}}));
  CAPTURE(version, options);
  ClickHousePeer peer;
  peer.version = version;
  auto sink = open_clickhouse(peer.url("/nat/sessions" + options));
  CHECK(sink->deliver(numbered_records(0, 50)).kind == Answer::Kind::kDelivered);
  CHECK(peer.numbers() == numbers(0, 50));
  const auto headers = peer.inserts().at(0).headers;
  CHECK((headers.contains("content-encoding") ? headers.at("content-encoding") : "") == encoding);
}

TEST_CASE("a server that does not know zstd after all gets gzip at once", "[sink][clickhouse]") {
  ClickHousePeer peer([](const ReceivedRequest& request) {
    return request.headers.at("content-encoding") == "zstd" ? ClickHousePeer::error(501, 48) : HttpAnswer();
  });
  peer.version = "24.3.1";
  CHECK(deliver_to(peer, 0, 5).kind == Answer::Kind::kDelivered);
  CHECK(peer.numbers() == numbers(0, 5));
  CHECK(peer.inserts().size() == 2);
}

TEST_CASE("the names of database and table cannot end their quotes", "[sink][clickhouse]") {
  const ClickHousePeer peer;
  auto sink = open_clickhouse(peer.url("/a%60b/c%5C%60d%20%C3%BC"));
  CHECK(sink->deliver(numbered_records(0, 1)).kind == Answer::Kind::kDelivered);
  CHECK_THAT(ClickHousePeer::parameter(peer.inserts().at(0), "query"),
             Contains("INSERT INTO `a\\`b`.`c\\\\\\`d \xc3\xbc` ("));
}

TEST_CASE("a URL of ClickHouse without a database or a table says so", "[sink][clickhouse]") {
  for (const std::string url : {"clickhouse://h", "clickhouse://h/", "clickhouse://h:8123//t"}) {
    CAPTURE(url);
    const auto checked = check_sink_url(url);
    REQUIRE_FALSE(checked);
    CHECK_THAT(checked.error().message, Contains("names no database"));
  }
  CHECK_THAT(check_sink_url("clickhouse://h/d").error().message, Contains("names no table"));
  CHECK_THAT(check_sink_url("clickhouse+https://h/d/").error().message, Contains("names no table"));
  CHECK_THAT(check_sink_url("clickhouse://h/d/t/x").error().message,
             Contains("more than a database and a table"));
}

TEST_CASE("the same batch has the same name and bytes, and is stored once", "[sink][clickhouse]") {
  const ClickHousePeer peer;
  CHECK(deliver_to(peer, 5, 50).kind == Answer::Kind::kDelivered);
  CHECK(deliver_to(peer, 5, 50).kind == Answer::Kind::kDelivered);  // another process
  CHECK(peer.numbers() == numbers(5, 50));
  const auto inserts = peer.inserts();
  REQUIRE(inserts.size() == 2);
  CHECK(inserts[0].body == inserts[1].body);
  CHECK(peer.tokens()[0] == peer.tokens()[1]);
  CHECK_THAT(peer.tokens()[0], Contains("natsession-5-45-"));
  // Another content, or another place, is another batch.
  CHECK(deliver_to(peer, 6, 50).kind == Answer::Kind::kDelivered);
  CHECK(peer.tokens()[2] != peer.tokens()[0]);
}

TEST_CASE("a batch whose answer was lost is offered again, and stored once", "[sink][clickhouse]") {
  ClickHousePeer* table = nullptr;
  int inserts = 0;
  ClickHousePeer peer([&](const ReceivedRequest& request) {
    if (inserts++ > 0) return HttpAnswer();
    table->store(request);
    return HttpAnswer{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", true};
  });
  table = &peer;
  auto sink = open_clickhouse(peer.url());
  const auto records = numbered_records(0, 10);
  sink->name_batch(0);
  const Answer first = sink->deliver(records);
  CHECK(first.kind == Answer::Kind::kRetryLater);
  CHECK(first.taken == 0);
  sink->name_batch(0);
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  CHECK(peer.numbers() == numbers(0, 10));
}

TEST_CASE("a server that knows no tokens is sent none", "[sink][clickhouse]") {
  ClickHousePeer peer;
  peer.settings = "";
  CHECK(deliver_to(peer, 0, 1).kind == Answer::Kind::kDelivered);
  CHECK(peer.tokens() == std::vector<std::string>{""});
  CHECK(ClickHousePeer::parameter(peer.inserts().at(0), "async_insert").empty());
}

TEST_CASE("an old server's types are taken, and others are not", "[sink][clickhouse]") {
  ClickHousePeer peer;
  const auto change = [&](const std::string& column, const std::string& type) {
    const std::size_t at = peer.columns.find("\n" + column + "\t") + 1 + column.size() + 1;
    peer.columns.replace(at, peer.columns.find('\t', at) - at, type);
  };
  SECTION("old") {
    change("nat_ip", "FixedString(16)");
    change("end_time", "Int64");
    change("session_start", "Nullable(Int64)");
    change("event", "String");
    CHECK(deliver_to(peer, 0, 3).kind == Answer::Kind::kDelivered);
    CHECK(peer.numbers() == numbers(0, 3));
  }
  SECTION("others") {
    const auto [column, type] = GENERATE(table<std::string, std::string>({{"nat_ip", "IPv4"},
                                                                          {"end_time", "DateTime64(6)"},
                                                                          {"end_time", "DateTime"},
                                                                          {"nat_port", "UInt32"},
                                                                          {"bytes_from_pub", "UInt64"},
                                                                          {"event", "FixedString(8)"}}));
    change(column, type);
    const Answer answer = deliver_to(peer, 0, 3);
    CHECK(answer.kind == Answer::Kind::kTargetFailed);
    CHECK(answer.code == TargetCode::kLogStoreNotExist);
    CHECK_THAT(answer.why, Contains("column " + column + " of type " + type));
    CHECK(peer.inserts().empty());
  }
  SECTION("a column that is missing is named") {
    const std::size_t at = peer.columns.find("\nsession_id\t") + 1;
    peer.columns.erase(at, peer.columns.find('\n', at) + 1 - at);
    const Answer answer = deliver_to(peer, 0, 3);
    CHECK(answer.kind == Answer::Kind::kTargetFailed);
    CHECK(answer.code == TargetCode::kLogStoreNotExist);
    CHECK_THAT(answer.why, Contains("no column session_id") && Contains("natsessionctl clickhouse-schema"));
  }
}

TEST_CASE("ClickHouse's errors are told in the log's codes, by their numbers", "[sink][clickhouse]") {
  struct Row {
    int status;
    unsigned code;
    Answer::Kind kind;
    std::optional<TargetCode> target;
  };
  using Kind = Answer::Kind;
  const Row row = GENERATE(values<Row>({{404, 81, Kind::kTargetFailed, TargetCode::kProjectNotExist},
                                        {404, 60, Kind::kTargetFailed, TargetCode::kLogStoreNotExist},
                                        {500, 60, Kind::kTargetFailed, TargetCode::kLogStoreNotExist},
                                        {500, 16, Kind::kTargetFailed, TargetCode::kLogStoreNotExist},
                                        {500, 193, Kind::kTargetFailed, TargetCode::kInvalidAccessKeyId},
                                        {403, 516, Kind::kTargetFailed, TargetCode::kInvalidAccessKeyId},
                                        {403, 497, Kind::kTargetFailed, TargetCode::kUnauthorized},
                                        {500, 291, Kind::kTargetFailed, TargetCode::kUnauthorized},
                                        {500, 164, Kind::kTargetFailed, TargetCode::kProjectForbidden},
                                        {404, 115, Kind::kTargetFailed, TargetCode::kProjectForbidden},
                                        {500, 201, Kind::kRetryLater, TargetCode::kWriteQuotaExceed},
                                        {500, 202, Kind::kRetryLater, TargetCode::kWriteQuotaExceed},
                                        {500, 243, Kind::kRetryLater, TargetCode::kWriteQuotaExceed},
                                        {500, 252, Kind::kRetryLater, TargetCode::kShardWriteQuotaExceed},
                                        {500, 241, Kind::kRetryLater, {}},
                                        {408, 159, Kind::kRetryLater, {}},
                                        {500, 319, Kind::kRetryLater, {}},
                                        {404, 999'999, Kind::kRetryLater, {}}}));
  CAPTURE(row.status, row.code);
  const bool by_header = GENERATE(true, false);
  // In an answer of status 200 as well: its head may be out before the error comes.
  const HttpAnswer answer =
      by_header ? HttpAnswer::status(200, "X-ClickHouse-Exception-Code: " + std::to_string(row.code) + "\r\n")
                : ClickHousePeer::error(row.status, row.code);
  const ClickHousePeer peer(first_answers(1, answer));
  const Answer told = deliver_to(peer, 0, 3);
  CHECK(told.kind == row.kind);
  CHECK(told.taken == 0);
  if (row.kind == Kind::kTargetFailed) CHECK(told.code == row.target);
  if (row.kind == Kind::kRetryLater) CHECK(told.throttled_by == row.target);
  CHECK_THAT(told.why, Contains("insert into `nat`.`sessions`"));
}

TEST_CASE("a record that ClickHouse cannot take is found and set aside, the others are stored",
          "[sink][clickhouse]") {
  const ClickHousePeer peer([](const ReceivedRequest& request) {
    const auto rows = natsession::testing::rows_in(request.text());
    const bool bad =
        std::any_of(rows.begin(), rows.end(), [](const SessionRecord& record) { return record.seq == 7; });
    return bad ? ClickHousePeer::error(400, 117) : HttpAnswer();
  });
  auto sink = open_clickhouse(peer.url());
  const auto records = numbered_records(0, 20);
  sink->name_batch(0);
  const Answer answer = sink->deliver(records);
  CHECK(answer.kind == Answer::Kind::kRejected);
  CHECK(answer.taken == 7);
  sink->name_batch(8);
  CHECK(sink->deliver(std::span(records).subspan(8)).kind == Answer::Kind::kDelivered);
  auto expected = numbers(0, 20);
  expected.erase(expected.begin() + 7);
  CHECK(peer.numbers() == expected);
  const auto tokens = peer.tokens();
  CHECK(std::any_of(tokens.begin(), tokens.end(),
                    [](const std::string& token) { return token.starts_with("natsession-8-12-"); }));
}

TEST_CASE("a batch of too many days goes out in smaller ones", "[sink][clickhouse]") {
  const ClickHousePeer peer(first_answers(
      1, ClickHousePeer::error(500, 252, "DB::Exception: Too many partitions for single INSERT block")));
  CHECK(deliver_to(peer, 0, 20).kind == Answer::Kind::kDelivered);
  CHECK(peer.inserts().size() == 3);
  CHECK(peer.numbers() == numbers(0, 20));
}

TEST_CASE("what is no answer of ClickHouse is tried again", "[sink][clickhouse]") {
  const HttpAnswer answer =
      GENERATE(HttpAnswer::status(200, {}, "<html>log in here</html>"), HttpAnswer::status(502),
               HttpAnswer::status(400, {}, "<html>"), HttpAnswer{"garbage\r\n\r\n", true},
               HttpAnswer::status(200, {}, std::string(3 << 20, 'x')));
  const ClickHousePeer peer(first_answers(1, answer));
  CHECK(deliver_to(peer, 0, 3).kind == Answer::Kind::kRetryLater);
  CHECK(deliver_to(peer, 0, 3).kind == Answer::Kind::kDelivered);
}

TEST_CASE("a description that is garbage is a table that will not do", "[sink][clickhouse]") {
  ClickHousePeer peer;
  peer.columns = GENERATE(std::string(), std::string("\n\n\t\t\n"), std::string(2 << 20, '\t'),
                          std::string("instance"), std::string("Code: 60. DB::Exception: gone"));
  const Answer answer = deliver_to(peer, 0, 3);
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK(answer.code == TargetCode::kLogStoreNotExist);
  CHECK(peer.inserts().empty());
}

TEST_CASE("what is proved goes into a table of its own, as rows of its columns", "[sink][clickhouse]") {
  const ClickHousePeer peer;
  auto sink = open_clickhouse(peer.url("/nat/sessions?coverage=5s"));
  CHECK(sink->proof_interval() == 5s);
  const std::vector<Coverage> times{
      {"blue", UnixMs(1000ms), UnixMs(2000ms), true, {7, 2, 1, std::chrono::minutes(10)}},
      {"", UnixMs::min(), UnixMs(3000ms), false, {4, 0, 0, 30s}}};
  REQUIRE(sink->take_proof({"gw-1", 0x0102030405060708, times}));
  const std::string rows = peer.coverage();
  const std::string first(
      "\4gw-1\4blue\x08\7\6\5\4\3\2\1\xe8\3\0\0\0\0\0\0\xd0\7\0\0\0\0\0\0\1\7\2\1\xc0\x27\x09\0"
      "\xa1\x0f\0\0\0\0\0\0",
      10 + 8 + 16 + 4 + 4 + 8);
  CHECK(rows.substr(0, first.size()) == first);
  CHECK(rows.size() == 2 * first.size() - 4);
  CHECK(peer.inserts().empty());
}

TEST_CASE("where there is no table for what is proved, or another, nothing goes there",
          "[sink][clickhouse]") {
  ClickHousePeer peer;
  SECTION("none") {
    peer.coverage_columns.clear();
  }
  SECTION("another") {
    peer.coverage_columns.replace(peer.coverage_columns.find("UInt64"), 6, "UInt32");
  }
  auto sink = open_clickhouse(peer.url());
  const std::vector<Coverage> times{{"", UnixMs(1s), UnixMs(2s), true, {7, 0, 0, 30s}}};
  const auto taken = sink->take_proof({"gw-1", 1, times});
  REQUIRE_FALSE(taken);
  CHECK_THAT(taken.error().message, Contains("sessions_coverage"));
  CHECK(peer.coverage().empty());
  CHECK(sink->deliver(numbered_records(0, 3)).kind == Answer::Kind::kDelivered);
  sink.reset();  // the peer talks to one at a time
  const auto config = SinkConfig::parse(peer.url());
  REQUIRE(config);
  const auto reached = config->reach();
  REQUIRE(reached);
  CHECK_THAT(reached->text, Contains("never says that there was no session"));
}

TEST_CASE("two boxes of one name that are there at one time must each prove it", "[sink][clickhouse]") {
  const auto stored = [](std::uint64_t stream, int from, int until) {
    StoredCoverage one{
        {"", UnixMs(std::chrono::seconds(from)), UnixMs(std::chrono::seconds(until)), false, {}}, stream};
    one.coverage.instance = "gw-1";
    return one;
  };
  const auto names = [](std::vector<StoredCoverage> all) {
    std::set<std::string> told;
    for (const Coverage& one : coverage_of_boxes(std::move(all))) told.insert(one.instance);
    return told.size();
  };
  CHECK(names({stored(1, 0, 10), stored(1, 5, 20)}) == 1);   // one box, whose clock was set back
  CHECK(names({stored(1, 0, 10), stored(2, 10, 20)}) == 1);  // one that was set up anew
  CHECK(names({stored(1, 0, 10), stored(2, 9, 20)}) == 2);
  CHECK(names({stored(1, 0, 5), stored(2, 6, 7), stored(1, 8, 20)}) == 2);
}

TEST_CASE("an answer that is no coverage is none", "[sink][clickhouse]") {
  const std::vector<std::string> good{"gw-1", "", "5", "1000", "2000", "1", "7", "0", "0", "600000"};
  CHECK(read_coverage_answer({good}));
  for (std::size_t i = 2; i < good.size(); ++i) {
    auto bad = good;
    bad[i] = GENERATE("", "x", "-99999999999999999999", "1 ");
    CHECK_FALSE(read_coverage_answer({bad}));
  }
  CHECK_FALSE(read_coverage_answer({{"gw-1"}}));
}

TEST_CASE("a check asks for the columns and inserts no row", "[sink][clickhouse]") {
  ClickHousePeer peer;
  const auto config = SinkConfig::parse(peer.url());
  REQUIRE(config);
  const auto reached = config->reach();
  REQUIRE(reached);
  CHECK_THAT(reached->text, Contains("the table has all columns"));
  REQUIRE(peer.inserts().size() == 1);
  CHECK(peer.coverage().empty());
  CHECK(peer.inserts()[0].text().empty());
  CHECK(peer.records().empty());
  peer.columns = "Code: 60. DB::Exception: Table nat.sessions doesn't exist";
  const auto missing = config->reach();
  REQUIRE_FALSE(missing);
  CHECK_THAT(missing.error().message, Contains("LogStoreNotExist: ") && Contains("doesn't exist"));
}

TEST_CASE("who may not insert is told so by --check", "[sink][clickhouse]") {
  const ClickHousePeer peer(
      first_answers(1, ClickHousePeer::error(403, 497, "DB::Exception: Not enough privileges")));
  const auto config = SinkConfig::parse(peer.url());
  REQUIRE(config);
  const auto reached = config->reach();
  REQUIRE_FALSE(reached);
  CHECK_THAT(reached.error().message, Contains("Unauthorized: ") && Contains("Not enough privileges"));
}

TEST_CASE("a check names the code where ClickHouse throttles", "[sink][clickhouse]") {
  const auto [number, code] =
      GENERATE(table<unsigned, std::string>({{202, "WriteQuotaExceed: "}, {252, "ShardWriteQuotaExceed: "}}));
  const ClickHousePeer peer(first_answers(1, ClickHousePeer::error(500, number, "DB::Exception: too many")));
  const auto config = SinkConfig::parse(peer.url());
  REQUIRE(config);
  const auto reached = config->reach();
  REQUIRE_FALSE(reached);
  CHECK_THAT(reached.error().message, Contains("': " + code) && Contains("too many"));
}

TEST_CASE("batches for ClickHouse are large unless its URL says otherwise", "[sink][clickhouse]") {
  const auto config = SinkConfig::parse("clickhouse://h/d/t?batch=50");
  REQUIRE(config);
  REQUIRE(config->usual_batch());
  CHECK(config->usual_batch()->records == 100'000);
  CHECK(config->usual_batch()->linger == 10s);
  CHECK(config->delivery().batch == 50U);
  CHECK_FALSE(SinkConfig::parse("http://h/d")->usual_batch());
}

TEST_CASE("the statements that make the table go by the server's version", "[sink][clickhouse]") {
  const std::string old = create_statements({.version = {18, 16}});
  CHECK_THAT(old, Contains("`nat_ip` FixedString(16)") && Contains("`end_time` Int64"));
  CHECK_THAT(old, Contains("`nat_sessions_coverage`") && Contains("ENGINE = ReplacingMergeTree(version)"));
  CHECK_THAT(old, !Contains("CODEC") && !Contains("TTL") && !Contains("SETTINGS") &&
                      !Contains("LowCardinality") && !Contains("INDEX"));
  const std::string present = create_statements({.database = "n`t", .keep_days = 30});
  CHECK_THAT(present, Contains("`n\\`t`.`nat_sessions`") && Contains("`nat_ip` IPv6"));
  CHECK_THAT(present, Contains("INDEX end_time_range end_time TYPE minmax"));
  CHECK_THAT(present, Contains("INTERVAL 30 DAY") && Contains("non_replicated_deduplication_window = 1000"));
  CHECK_THAT(create_statements({.replicated = true}),
             Contains("ReplicatedMergeTree(") && !Contains("non_replicated") &&
                 Contains("ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/default/"
                          "nat_sessions_coverage', '{replica}', version)"));
}

TEST_CASE("versions of ClickHouse are read as it tells them", "[sink][clickhouse]") {
  CHECK(*Version::parse("18.16.1") == Version{18, 16});
  CHECK(*Version::parse("24.3.1.2672-lts") == Version{24, 3});
  for (const char* text : {"", "24", "x.1", "24.x", "-1.2"}) CHECK_FALSE(Version::parse(text));
}
