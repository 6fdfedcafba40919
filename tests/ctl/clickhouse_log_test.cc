#include "ask/clickhouse_log.h"

#include <catch2/catch.hpp>

#include "query/proof.h"
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
  std::string boxes = "box-1\t100\t1000\t9000\n";
  std::string coverage_columns;  // empty: there is no such table
  std::string coverage;
  std::string engine = "MergeTree\tMergeTree ORDER BY end_time\t1000000\n";
  std::string replica = "1\n";
  std::string exact = "1\n";

 private:
  HttpAnswer answer(const ReceivedRequest& request) {
    const std::string query = ClickHousePeer::parameter(request, "query");
    const auto has = [&query](const char* text) { return query.find(text) != std::string::npos; };
    if (query.starts_with("DESCRIBE") && has("_coverage`"))
      return coverage_columns.empty() ? ClickHousePeer::error(404, 60, "DB::Exception: no such table")
                                      : HttpAnswer::status(200, {}, coverage_columns);
    if (query.starts_with("DESCRIBE")) return HttpAnswer::status(200, {}, columns);
    if (has("GROUP BY instance FORMAT")) return HttpAnswer::status(200, {}, boxes);
    if (has("_coverage`")) return HttpAnswer::status(200, {}, coverage);
    if (has("system.tables")) return HttpAnswer::status(200, {}, engine);
    if (has("system.replicas")) return HttpAnswer::status(200, {}, replica);
    if (query.starts_with("SELECT count()")) return HttpAnswer::status(200, {}, "1\t1000\n");
    if (has("uniqExact")) return HttpAnswer::status(200, {}, exact);
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
  store.boxes = GENERATE("\n", "a\tb\tc\n", "box\t0\t1\t2\n", "<html></html>\n");
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

namespace {

// A row of sums by an address, with numbers 1 to 7.
std::string sums_row(std::int64_t period, const IpAddress& address) {
  std::string row(reinterpret_cast<const char*>(&clickhouse::kRowMark), sizeof clickhouse::kRowMark);
  const auto put = [&row](std::uint64_t value) {
    row.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  put(static_cast<std::uint64_t>(period));
  const auto bytes = address.bytes();
  row.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (std::uint64_t number = 1; number <= 7; ++number) put(number);
  return row;
}

constexpr SumsQuestion kHour{SumsKind::kHoursByPriIp, 5, 6, {}, true};

}  // namespace

TEST_CASE("sums that ClickHouse made are taken as they come, in any pieces", "[ctl][store]") {
  const IpAddress address = GENERATE(*IpAddress::parse("10.0.0.2"), *IpAddress::parse("2001:db8::9"));
  const std::string rows = sums_row(5, address) + sums_row(-1, IpAddress());
  for (std::size_t piece = 1; piece <= rows.size(); ++piece) {
    std::vector<SumsEntry> found;
    const RemoteLog::TakeSums take = [&](std::span<const SumsEntry> some) {
      found.insert(found.end(), some.begin(), some.end());
      return true;
    };
    SumsRows taker(SumsKind::kHoursByPriIp, take);
    for (std::size_t at = 0; at < rows.size(); at += piece)
      REQUIRE(taker.add(std::string_view(rows).substr(at, piece)));
    REQUIRE(taker.finish());
    REQUIRE(found.size() == 2);
    CHECK(found[0].period == 5);
    CHECK(found[0].key.address() == address);
    CHECK(found[0].sums == Sums{1, 2, 3, 4, 5, 6, 7});
    CHECK(found[1].period == -1);
  }
}

TEST_CASE("sums are taken for good only where nothing is there twice", "[ctl][store]") {
  std::string rows = sums_row(5, *IpAddress::parse("10.0.0.2"));
  bool good = false;
  std::string exact = "1\n";
  SECTION("all is well") {
    good = true;
  }
  SECTION("a record is there twice") {
    exact = "0\n";
  }
  SECTION("it cannot say") {
    exact = GENERATE("", "Code: 241. DB::Exception: Memory limit\n");
  }
  SECTION("an answer that is cut") {
    rows.pop_back();
  }
  SECTION("an error behind the rows") {
    rows += "Code: 241. DB::Exception: Memory limit (for query) exceeded, and so on";
  }
  Store store(rows);
  store.exact = exact;
  auto log = ClickHouseLog::open(store.url());
  REQUIRE(log);
  std::size_t entries = 0;
  CHECK((*log)->sums(kHour, [&](std::span<const SumsEntry> some) { return entries += some.size(), true; }) ==
        good);
  if (good) CHECK(entries == 1);
}

namespace {

// A group by vpc_id and pub_port, with numbers 1 to 7.
std::string group_row(const std::string& vpc, std::uint16_t port) {
  std::string row(reinterpret_cast<const char*>(&clickhouse::kRowMark), sizeof clickhouse::kRowMark);
  row += static_cast<char>(vpc.size());
  row += vpc;
  row.append(reinterpret_cast<const char*>(&port), sizeof port);
  for (std::uint64_t number = 1; number <= 7; ++number)
    row.append(reinterpret_cast<const char*>(&number), sizeof number);
  return row;
}

constexpr Field kVpcAndPort[] = {Field::kVpcId, Field::kPubPort};

bool has_grouped(Store& store, const Query& query, std::vector<std::string>* found = nullptr,
                 std::span<const Field> by = kVpcAndPort) {
  auto log = ClickHouseLog::open(store.url());
  REQUIRE(log);
  return (*log)->groups(query, by, [&](const SessionRecord& key, const Sums& sums) {
    CHECK(sums == Sums{1, 2, 3, 4, 5, 6, 7});
    if (found != nullptr) found->push_back(std::string(key.vpc_id) + ":" + std::to_string(key.pub_port));
    return true;
  });
}

}  // namespace

TEST_CASE("groups that ClickHouse made are taken as they come, in any pieces", "[ctl][store]") {
  const std::vector<const clickhouse::Column*> by{clickhouse::find_column(Field::kVpcId),
                                                  clickhouse::find_column(Field::kPubPort)};
  const std::string rows = group_row("blue", 443) + group_row("", 0);
  for (std::size_t piece = 1; piece <= rows.size(); ++piece) {
    std::vector<std::string> found;
    const RemoteLog::TakeGroup take = [&](const SessionRecord& key, const Sums& sums) {
      found.push_back(std::string(key.vpc_id) + ":" + std::to_string(key.pub_port));
      return sums == Sums{1, 2, 3, 4, 5, 6, 7};
    };
    GroupRows taker(by, take);
    for (std::size_t at = 0; at < rows.size(); at += piece)
      REQUIRE(taker.add(std::string_view(rows).substr(at, piece)));
    REQUIRE(taker.finish());
    CHECK(found == std::vector<std::string>{"blue:443", ":0"});
  }
}

TEST_CASE("groups are taken for good only where they are whole and nothing is there twice", "[ctl][store]") {
  std::string rows = group_row("blue", 443);
  bool good = false;
  std::string exact = "1\n";
  SECTION("all is well") {
    good = true;
  }
  SECTION("a record is there twice") {
    exact = "0\n";
  }
  SECTION("an answer that is cut") {
    rows.pop_back();
  }
  SECTION("an error behind the rows") {
    rows += "Code: 241. DB::Exception: Memory limit (for query) exceeded, and so on";
  }
  SECTION("a text without an end") {
    rows += std::string(reinterpret_cast<const char*>(&clickhouse::kRowMark), 4) + "\xff\xff\xff\xff\x0f";
  }
  Store store(rows);
  store.exact = exact;
  std::vector<std::string> found;
  CHECK(has_grouped(store, Query(), &found) == good);
  if (good) CHECK(found == std::vector<std::string>{"blue:443"});
}

TEST_CASE("a store groups only where its tests are the question's", "[ctl][store]") {
  Store store(group_row("blue", 443));
  const auto grouped = [&](FieldTest test, bool excluded = false) {
    Query query;
    test.excluded = excluded;
    query.where.push_back(std::move(test));
    return has_grouped(store, query);
  };
  CHECK(grouped(FieldTest::number(Field::kPubPort, 443)));
  CHECK(grouped(FieldTest::number(Field::kPubPort, 443), true));
  CHECK_THAT(store.requests().back().text() + ClickHousePeer::parameter(store.requests().back(), "query"),
             Contains("AND NOT (`pub_port` IN (443))"));
  CHECK(grouped(FieldTest::text(Field::kVpcId, "blue")));
  CHECK(grouped(FieldTest::address(Field::kPriIp, *Prefix::parse("10.0.0.0/8"))));
  CHECK(grouped(FieldTest::address(Field::kPriIp, *Prefix::parse("2001:db8::/32"))));
  // An IPv6 prefix that has IPv4's place has no IPv4 address all the same.
  CHECK_FALSE(grouped(FieldTest::address(Field::kPriIp, *Prefix::parse("::/0"))));
  // In the table 0 says that there is none, which passes no test.
  CHECK_FALSE(grouped(FieldTest::number(Field::kZone, 0)));
  CHECK_FALSE(grouped(FieldTest::number(Field::kTcpState, 3), true));
  FieldTest bound(Field::kPriIp);
  bound.bound = AddressBound{*IpAddress::parse("10.0.0.9"), true, false};
  CHECK_FALSE(grouped(bound));
  for (const Field field : {Field::kOrigDstIp, Field::kOrigDstPort, Field::kSessionId})
    CHECK_FALSE(has_grouped(store, Query(), nullptr, std::span(&field, 1)));
  Query moments;
  moments.moments.push_back({UnixMs(1ms), UnixMs(2ms)});
  CHECK_FALSE(has_grouped(store, moments));
}

TEST_CASE("what sums tell is not asked of the records again, but gaps are", "[ctl][store]") {
  Store store(std::string{});
  auto log = ClickHouseLog::open(store.url());
  REQUIRE(log);
  Query query;
  auto ready = std::make_shared<ReadyPart>();
  ready->end.until = UnixMs(59'999ms);
  query.ready = ready;
  CHECK_THAT((*log)->statement(query, false),
             Contains("event != 'gap' AND NOT (end_time <= fromUnixTimestamp64Milli(toInt64(59999)))) OR "));
}

namespace {

constexpr const char* kDay = "86400000";

// A store with coverage of two boxes.
struct CoveredStore : Store {
  CoveredStore() : Store(std::string()) {
    coverage_columns = ClickHousePeer::described_coverage();
    boxes = "gw-1\t100\t1000\t9000000\ngw-10\t50\t2000\t9000000\n";
    add("gw-1", "1", "5000");
    add("gw-10", "1500", "4000");
  }
  void add(const std::string& instance, const std::string& from, const std::string& until,
           const std::string& netns = {}, const std::string& stream = "1") {
    coverage +=
        instance + "\t" + netns + "\t" + stream + "\t" + from + "\t" + until + "\t0\t7\t0\t0\t600000\n";
  }
  [[nodiscard]] std::string missing(int from, int until, const std::string& behind = "/nat/sessions") {
    auto log = ClickHouseLog::open(url(behind));
    REQUIRE(log);
    return Proof(**log).missing(UnixMs(std::chrono::milliseconds(from)),
                                UnixMs(std::chrono::milliseconds(until)));
  }
};

}  // namespace

TEST_CASE("a store proves what all of its boxes prove", "[ctl][store]") {
  CoveredStore store;
  CHECK(store.missing(2000, 4000).empty());
  CHECK_THAT(store.missing(2000, 4001), Contains("gw-10: what ended is recorded until"));
  CHECK_THAT(store.missing(1999, 4000), Contains("gw-10"));  // no record of it is older
}

TEST_CASE("a store can be asked about some boxes alone", "[ctl][store]") {
  CoveredStore store;
  store.boxes = "gw-1\t100\t1000\t9000000\n";
  store.coverage.clear();
  store.add("gw-1", "1", "5000");
  const std::string behind = "/nat/sessions?instance=gw-1,gw%272";
  CHECK(store.missing(1000, 5000, behind).empty());
  CHECK_THAT(store.missing(999, 5000, behind), Contains("gw-1: "));
  std::size_t asked = 0;
  for (const ReceivedRequest& request : store.requests()) {
    const std::string query = ClickHousePeer::parameter(request, "query");
    if (query.find("FROM `nat`.") == std::string::npos) continue;
    ++asked;
    CHECK_THAT(query, Contains("WHERE instance IN ('gw-1', 'gw\\'2') "));
  }
  CHECK(asked == 6);
  auto log = ClickHouseLog::open(store.url(behind));
  REQUIRE(log);
  CHECK_THAT((*log)->statement(Store::whole(), false), Contains("WHERE instance IN ('gw-1', 'gw\\'2') AND"));
}

TEST_CASE("a store of a trace denies a session where every box would know it", "[ctl][store]") {
  CoveredStore store;
  store.coverage.clear();
  store.add("gw-1", "1", kDay);
  store.add("gw-10", "1", kDay, "blue");
  auto log = ClickHouseLog::open(store.url());
  REQUIRE(log);
  const UnixMs early = UnixMs(std::chrono::milliseconds(3000));
  CHECK_THAT(Proof(**log).missing_open(early, early), Contains("gw-1: all is recorded until"));
  store.coverage.clear();
  store.add("gw-1", "1", "90000000");
  store.add("gw-10", "1", "90000000", "blue");
  log = ClickHouseLog::open(store.url());
  REQUIRE(log);
  CHECK(Proof(**log).missing_open(early, early).empty());
  // gw-1 names no namespace, so it may be the one that is meant.
  CHECK(Proof(**log).missing_open(early, early, "blue").empty());
  CHECK_FALSE(Proof(**log).missing_open(UnixMs(1500ms), early, "blue").empty());
}

TEST_CASE("a store proves nothing where it may lack records that were taken", "[ctl][store]") {
  CoveredStore store;
  REQUIRE(store.missing(2000, 4000).empty());
  std::string expected;
  SECTION("a box that tells nothing") {
    store.boxes += "gw\t1\t2000\t2000\n";
    expected = "box 'gw' logged all sessions; instance=";
  }
  SECTION("a box without records") {
    store.add("gw-2", "1", "9000");
    expected = "gw-2: ";
  }
  SECTION("no table of coverage") {
    store.coverage_columns.clear();
    expected = "no such table";
  }
  SECTION("an engine that drops rows") {
    store.engine = "ReplacingMergeTree\tReplacingMergeTree ORDER BY nat_ip\t1000\n";
    expected = "a table of ReplacingMergeTree may lack records";
  }
  SECTION("an engine that sends rows on") {
    store.engine = "Distributed\tDistributed(a, b, c)\t1000\n";
    expected = "a table of Distributed";
  }
  SECTION("an engine that is not to be seen") {
    store.engine.clear();
    expected = "may not see";
  }
  SECTION("a replica that is behind") {
    store.engine = "ReplicatedMergeTree\tReplicatedMergeTree('a', 'b')\t1000\n";
    CHECK(store.missing(2000, 4000).empty());
    store.replica = GENERATE("0\n", "");
    expected = "this replica has not got all";
  }
  SECTION("records that are deleted by a rule of the operator's own") {
    store.engine = "MergeTree\tMergeTree ORDER BY a TTL toDateTime(end_time) + toIntervalHour(1)\t1000\n";
    expected = "its TTL";
  }
  SECTION("a column that is emptied") {
    const std::size_t at = store.columns.find('\n', store.columns.find("\nnat_ip\t") + 1);
    store.columns.insert(at, "end_time + INTERVAL 1 DAY");
    expected = "its column nat_ip is emptied by age";
  }
  SECTION("coverage that is none") {
    store.coverage = GENERATE("x\n", "gw-1\t\t1\t-\t5\t0\t7\t0\t0\t1\n");
    expected = "where coverage should be";
  }
  CHECK_THAT(store.missing(2000, 4000), Contains(expected));
}

TEST_CASE("what is older than the table keeps records is not proved", "[ctl][store]") {
  CoveredStore store;
  const std::string rule = GENERATE("toIntervalDay(30)", "INTERVAL 30 DAY");
  store.engine = "MergeTree\tMergeTree ORDER BY a TTL toDateTime(end_time) + " + rule +
                 " SETTINGS ttl_only_drop_parts = 1\t2592003\n";
  CHECK(store.missing(3000, 4000).empty());
  CHECK_FALSE(store.missing(2999, 4000).empty());
}

TEST_CASE("two boxes of one name are told apart, and both must prove a time", "[ctl][store]") {
  CoveredStore store;
  store.add("gw-1", "1", "3500", {}, "2");
  CHECK(store.missing(2000, 3500).empty());
  CHECK_THAT(store.missing(2000, 3501), Contains("gw-1 (several boxes have that name: 2)"));
}
