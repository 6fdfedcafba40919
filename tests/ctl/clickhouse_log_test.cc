#include "ask/clickhouse_log.h"

#include <catch2/catch.hpp>

#include "query/scan.h"
#include "sink/clickhouse_peer.h"
#include "support/session_between.h"

using namespace natsession;
using namespace natsession::ctl;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using natsession::testing::ClickHousePeer;
using natsession::testing::HttpAnswer;
using natsession::testing::HttpPeer;
using natsession::testing::ReceivedRequest;

namespace {

SessionRecord stored_record(std::uint32_t number) {
  static const Origin origin{"box-1", {}};
  SessionRecord record = natsession::testing::session_between(17, {"10.0.0.2", 5353}, {"198.51.100.7", 53},
                                                              {"203.0.113.1", 40000});
  record.origin = &origin;
  record.seq = number;
  record.session_id = 7;
  record.start_time = record.end_time = UnixMs(std::chrono::seconds(number));
  return record;
}

std::string marked_row(const SessionRecord& record) {
  std::string row(reinterpret_cast<const char*>(&clickhouse::kRowMark), sizeof clickhouse::kRowMark);
  clickhouse::append_row(record, row);
  return row;
}

std::string marked_rows(std::uint32_t from, std::uint32_t to) {
  std::string rows;
  for (std::uint32_t number = from; number < to; ++number) rows += marked_row(stored_record(number));
  return rows;
}

// A server with a table, whose answers to questions a test says.
class Store {
 public:
  explicit Store(std::string rows) : rows_(HttpAnswer::status(200, {}, rows)) {}
  explicit Store(HttpAnswer rows) : rows_(std::move(rows)) {}

  [[nodiscard]] std::string url(const std::string& behind = "/nat/sessions") const {
    return "clickhouse" + peer_.url(behind).substr(4);
  }
  // All records; `error` has what ended it.
  std::vector<SessionRecord> read(const Query& query = whole()) {
    auto log = ClickHouseLog::open(url());
    if (!log) FAIL(log.error().message);
    std::vector<SessionRecord> records;
    const auto done = (*log)->read(query, false, [&](std::vector<SessionRecord>&& some) {
      records.insert(records.end(), some.begin(), some.end());
      return true;
    });
    error = done ? std::string() : done.error().message;
    return records;
  }
  static Query whole() {
    Query query;
    query.columns = Columns::all();
    return query;
  }
  [[nodiscard]] std::vector<ReceivedRequest> requests() const { return peer_.requests(); }

  std::string error;
  std::string columns = ClickHousePeer::described();
  std::string span = "100\t1000\t9000\n";

 private:
  HttpAnswer answer(const ReceivedRequest& request) {
    const std::string query = ClickHousePeer::parameter(request, "query");
    if (query.starts_with("DESCRIBE")) return HttpAnswer::status(200, {}, columns);
    if (query.starts_with("SELECT count()")) return HttpAnswer::status(200, {}, span);
    if (query.starts_with("SELECT")) return HttpAnswer::status(200, {}, "1000\n");
    return rows_;
  }
  HttpAnswer rows_;
  HttpPeer peer_{[this](const ReceivedRequest& request) { return answer(request); }};
};

std::string why_not(const std::string& url) {
  const auto log = ClickHouseLog::open(url);
  return log ? std::string() : log.error().message;
}

// As the server has them, whose answers nobody reads.
std::string asked(const Query& query) {
  Store store(marked_rows(0, 0));
  auto log = ClickHouseLog::open(store.url());
  REQUIRE(log);
  return (*log)->statement(query, false);
}

}  // namespace

TEST_CASE("a store hands on the records of its rows, and one that is there twice once", "[ctl][store]") {
  Store store(marked_rows(0, 3) + marked_rows(2, 5));
  const auto records = store.read();
  CHECK(store.error.empty());
  REQUIRE(records.size() == 5);
  for (std::uint32_t i = 0; i < 5; ++i) CHECK(records[i].seq == i);
}

TEST_CASE("what is no row, or not a whole one, is an error with the server's words", "[ctl][store]") {
  const std::string rows = marked_rows(0, 3);
  SECTION("an exception behind rows") {
    Store store(rows + "Code: 241, e.displayText() = DB::Exception: Memory limit exceeded");
    static_cast<void>(store.read());
    CHECK_THAT(store.error, Contains("no row") && Contains("Memory limit exceeded"));
  }
  SECTION("cut within a row") {
    for (std::size_t size = 1; size < marked_row(stored_record(2)).size(); size += 13) {
      Store store(rows.substr(0, rows.size() - size));
      static_cast<void>(store.read());
      CHECK_THAT(store.error, Contains("ends within a row"));
    }
  }
  SECTION("a connection that is cut") {
    Store store(HttpAnswer{"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + rows, true});
    static_cast<void>(store.read());
    CHECK_FALSE(store.error.empty());
  }
  SECTION("garbage") {
    Store store(GENERATE(std::string("<html>"), std::string(1 << 20, '\xff'), std::string(5, '\0')));
    CHECK(store.read().empty());
    CHECK_FALSE(store.error.empty());
  }
  SECTION("a text of four gigabytes") {
    Store store(std::string(reinterpret_cast<const char*>(&clickhouse::kRowMark), 4) +
                "\xff\xff\xff\xff\x0f");
    CHECK(store.read().empty());
    CHECK_THAT(store.error, Contains("too long"));
  }
  SECTION("an event that nobody knows") {
    std::string row = marked_row(stored_record(0));
    const std::size_t at = row.find("end");
    REQUIRE(at != std::string::npos);
    row.replace(at, 3, "eXd");
    Store store(row);
    CHECK(store.read().empty());
    CHECK_THAT(store.error, Contains("event 'eXd'"));
  }
  SECTION("an error by its number") {
    Store store(HttpAnswer::status(200, "X-ClickHouse-Exception-Code: 497\r\n"));
    CHECK(store.read().empty());
    CHECK_THAT(store.error, Contains("Unauthorized"));
  }
}

TEST_CASE("a store's URL is refused where it says too little or a secret, before anybody is asked",
          "[ctl][store]") {
  CHECK_THAT(why_not("http://h/d/t"), Contains("a store is clickhouse://"));
  CHECK_THAT(why_not("clickhouse://h/d"), Contains("names no table"));
  CHECK_THAT(why_not("clickhouse://h"), Contains("names no database"));
  CHECK_THAT(why_not("clickhouse://h/d/t?colour=red"), Contains("unknown option 'colour'"));
  CHECK_THAT(why_not("clickhouse://h/d/t?password=x"), Contains("would show a secret"));
  CHECK_THAT(why_not("clickhouse://u:geheim@h/d/t"), !Contains("geheim"));
  CHECK_THAT(why_not("clickhouse://h/d/t?window=0s"), Contains("window"));
}

TEST_CASE("a table without a column is no store, and says which", "[ctl][store]") {
  Store store(std::string{});
  const std::size_t at = store.columns.find("\nreason\t") + 1;
  store.columns.erase(at, store.columns.find('\n', at) + 1 - at);
  CHECK_THAT(why_not(store.url()), Contains("LogStoreNotExist") && Contains("no column reason"));
}

TEST_CASE("a store that cannot say what it holds is none", "[ctl][store]") {
  Store store(std::string{});
  store.span = GENERATE("", "a\tb\tc\n", "<html></html>\n");
  CHECK_FALSE(why_not(store.url()).empty());
}

TEST_CASE("times and tests of a question become the condition, and only its columns are asked for",
          "[ctl][store]") {
  Query query = Query::overlapping(UnixMs(1000ms), UnixMs(2000ms));
  query.columns = {Field::kPriIp};
  query.where.push_back(FieldTest::address(Field::kNatIp, *Prefix::parse("203.0.113.0/24")));
  query.where.push_back(FieldTest::range(Field::kNatPort, 10, 20));
  query.where.push_back(FieldTest::text(Field::kVpcId, "it's \\ 'quoted'"));
  query.where.push_back(FieldTest::event(RecordEvent::kEnd));
  const std::string text = asked(query);
  CAPTURE(text);
  CHECK_THAT(text, Contains("`pri_ip`") && !Contains("`pub_ip`") && !Contains("`bytes_from_pub`"));
  CHECK_THAT(text, Contains("end_time >= fromUnixTimestamp64Milli(toInt64(1000))"));
  CHECK_THAT(text, Contains("start_time <= fromUnixTimestamp64Milli(toInt64(2000))"));
  CHECK_THAT(
      text,
      Contains("`nat_ip` >= toIPv6('::ffff:203.0.113.0') AND `nat_ip` <= toIPv6('::ffff:203.0.113.255')"));
  CHECK_THAT(text, Contains("`nat_port` >= 10 AND `nat_port` <= 20"));
  CHECK_THAT(text, Contains("`vpc_id` IN ('it\\'s \\\\ \\'quoted\\'')"));
  CHECK_THAT(text, Contains("`event` IN ('end')"));
  CHECK_THAT(text, Contains("nat_ip = toIPv6('::') AND event = 'gap'"));
}

TEST_CASE("what a condition cannot say exactly is left to be looked at here", "[ctl][store]") {
  Query query;
  FieldTest test = FieldTest::number(Field::kZone, 5);
  test.excluded = true;
  query.where.push_back(test);
  CHECK_THAT(asked(query), !Contains("`zone` IN") && Contains("`zone`"));
}

TEST_CASE("an old table is asked in numbers", "[ctl][store]") {
  Store store(marked_rows(0, 1));
  const auto change = [&](const std::string& column, const std::string& type) {
    const std::size_t at = store.columns.find("\n" + column + "\t") + 1 + column.size() + 1;
    store.columns.replace(at, store.columns.find('\t', at) - at, type);
  };
  change("end_time", "Int64");
  change("nat_ip", "FixedString(16)");
  auto log = ClickHouseLog::open(store.url());
  REQUIRE(log);
  Query query = Query::ended_within(UnixMs(5ms), {});
  query.where.push_back(FieldTest::address(Field::kNatIp, *IpAddress::parse("192.0.2.1")));
  const std::string text = (*log)->statement(query, true);
  CHECK_THAT(text, Contains("end_time >= 5") && Contains("unhex('00000000000000000000ffffc0000201')") &&
                       Contains("DESC"));
}

TEST_CASE("a scan of a store looks at what it is handed once more", "[ctl][store]") {
  Store store(marked_rows(0, 40));
  auto log = ClickHouseLog::open(store.url());
  REQUIRE(log);
  Query query = Store::whole();
  query.where.push_back(FieldTest::range(Field::kSeq, 10, 19));
  Scan scan(**log, query, {});
  std::size_t rows = 0;
  while (const ScanBatch* const batch = scan.next()) rows += batch->size();
  CHECK(rows == 10);
  CHECK(scan.error());
  CHECK_THAT(scan.report().missing, Contains("does not tell when all sessions were logged"));
}
