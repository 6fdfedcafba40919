#include <atomic>
#include <mutex>

#include <catch2/catch.hpp>

#include "query/frame_filter.h"
#include "query/query_dice.h"
#include "support/session_between.h"

namespace natsession::testing {
namespace {

TEST_CASE("a scan finds what a brute-force search finds, for a thousand random questions", "[query][scan]") {
  TrafficDice dice(1);
  const auto records = dice.traffic(1500, at_minute(0), at_minute(180), 20);
  QueryLedger ledger;
  ledger.fill(records, 150, 4);
  const SegmentList view = ledger.view();
  QueryDice questions(2, dice, ledger.all);
  std::size_t found = 0;
  for (int i = 0; i < rounds(1000); ++i) {
    const Query query = questions.roll();
    Scan scan(view, query, with_threads(i % 3 == 0 ? 3 : 1));
    const RecordNames names = scanned_names(scan);
    REQUIRE(names == expected_names(ledger.all, query));
    const FrameFilter filter(query);
    RecordNames passed;
    for (const SessionRecord& record : ledger.all) {
      if (filter.passes(record)) passed.insert(name_of_record(record));
    }
    REQUIRE(passed == names);
    REQUIRE(scan.report().rows == names.size());
    REQUIRE(scan.report().trouble_count == 0);
    found += names.size();
  }
  CHECK(found > static_cast<std::size_t>(rounds(10'000)));
}

TEST_CASE("a scan finds the same in frames of many blocks that have gap records", "[query][scan]") {
  TrafficDice dice(9);
  const auto records = dice.traffic(11'000, at_minute(0), at_minute(180), 20);
  QueryLedger ledger;
  ledger.fill(records, 6000, 2);
  if (GENERATE(false, true)) {
    ledger.next_segment();
    ledger.seal();
  }
  const SegmentList view = ledger.view();
  QueryDice questions(3, dice, ledger.all);
  for (int i = 0; i < rounds(200); ++i) {
    Query query = questions.roll();
    Scan scan(view, query, with_threads(1));
    REQUIRE(scanned_names(scan) == expected_names(ledger.all, query));
    // One host, whose rows are in another block than the gaps'.
    query = {};
    query.where = {FieldTest::address(Field::kPriIp, records[dice.pick(records.size())].pri_ip)};
    query.columns = Columns::all();
    Scan of_host(view, query, with_threads(1));
    REQUIRE(scanned_names(of_host) == expected_names(ledger.all, query));
  }
}

TEST_CASE("conditions are read with their comparisons, and those that mean nothing are refused",
          "[query][where]") {
  const auto passes_test = [](const std::string& text, const SessionRecord& record) {
    Query query;
    const auto test = parse_field_test(text);
    INFO(text);
    REQUIRE(test);
    query.where.push_back(*test);
    return FrameFilter(query).passes(record);
  };
  SessionRecord record =
      session_between(6, {"10.0.0.5", 51234}, {"198.51.100.9", 443}, {"203.0.113.7", 40123});
  record.vpc_id = "blue";
  record.event = RecordEvent::kInterim;
  record.bytes_from_vpc = Count(1000);
  record.bytes_from_pub = Count(5);
  for (const char* const holds :
       {"pub_port=443", "pub_port!=80", "pub_port!=80,8080", "pub_port<444", "pub_port<=443", "pub_port>442",
        "pub_port>=443", "protocol!=udp", "pri_ip!=192.168.0.0/16", "pri_ip<10.0.0.6", "pri_ip<=10.0.0.5",
        "pri_ip>10.0.0.4", "pri_ip>=10.0.0.5", "vpc_id!=red", "event!=end", "bytes_from_vpc>=1000",
        "bytes_from_pub!=1", "nat_port!=1-1024"})
    CHECK(passes_test(holds, record));
  for (const char* const fails :
       {"pub_port!=443", "pub_port!=80,443", "pub_port<443", "pub_port>443", "protocol!=tcp",
        "pri_ip!=10.0.0.0/8", "pri_ip<10.0.0.5", "pri_ip>10.0.0.5",
        "pri_ip>::", "pri_ip<ffff::", "vpc_id!=blue", "bytes_from_vpc<1000", "nat_port!=40000-41000"})
    CHECK_FALSE(passes_test(fails, record));
  // What has no value passes nothing, also not what it is not.
  record.bytes_from_vpc = Count();
  CHECK_FALSE(passes_test("bytes_from_vpc!=1", record));
  CHECK_FALSE(passes_test("bytes_from_vpc<1000", record));
  for (const char* const refused :
       {"pri_ip<10.0.0.0/8", "protocol<17", "protocol>tcp", "vpc_id<b", "event>start", "session_id<5",
        "tcp_state>=CLOSE", "pub_port<80,443", "pub_port>80-90", "pub_port<0", "pub_port>65535",
        "pub_port>=70000", "start_time<5", "pub_port", "pub_port!80", "pub_port=<80"}) {
    CAPTURE(refused);
    const auto test = parse_field_test(refused);
    REQUIRE_FALSE(test);
    CHECK(test.error().kind == ErrorKind::kUsage);
  }
  CHECK(parse_field_test("pri_ip<10.0.0.0/8").error().message.find("a prefix has no order") !=
        std::string::npos);
  CHECK(parse_field_test("vpc_id<b").error().message.find("has no order: only = and !=") !=
        std::string::npos);
}

TEST_CASE("a scan gives batches in the order of the ledger, or from its end", "[query][scan]") {
  TrafficDice dice(3);
  QueryLedger ledger;
  ledger.fill(dice.traffic(1000, at_minute(0), at_minute(60)), 50, 5);
  const SegmentList view = ledger.view();
  Query query;
  for (const unsigned threads : {1U, 4U}) {
    Ordinal before = 0;
    std::size_t rows = 0;
    Scan scan(view, query, with_threads(threads));
    while (const ScanBatch* batch = scan.next()) {
      REQUIRE(batch->frame().first >= before);
      before = batch->frame().first;
      rows += batch->size();
    }
    CHECK(rows == ledger.all.size());

    Ordinal behind = ~Ordinal{0};
    Scan back(view, query, with_threads(threads), Scan::Order::kNewestFirst);
    while (const ScanBatch* batch = back.next()) {
      REQUIRE(batch->frame().first < behind);
      behind = batch->frame().first;
      rows -= batch->size();
    }
    CHECK(rows == 0);
  }
}

TEST_CASE("workers are given every batch once", "[query][scan]") {
  TrafficDice dice(4);
  QueryLedger ledger;
  ledger.fill(dice.traffic(2000, at_minute(0), at_minute(60)), 100, 5);
  const SegmentList view = ledger.view();
  Query query = Query::ended_within(at_minute(10), at_minute(40));
  query.columns = Columns::all();
  Scan scan(view, query, with_threads(4));
  std::mutex mutex;
  RecordNames names;
  scan.run([&](unsigned worker, const ScanBatch& batch) {
    if (worker >= 4) std::abort();
    const std::lock_guard lock(mutex);
    for (const SessionRecord& record : batch.records()) names.insert(name_of_record(record));
  });
  CHECK(names == expected_names(ledger.all, query));
}

TEST_CASE("a question with a time reads only the frames of that time", "[query][scan]") {
  TrafficDice dice(5);
  QueryLedger ledger;
  ledger.fill(dice.traffic(5000, at_minute(0), at_minute(600)), 100, 5);
  const SegmentList view = ledger.view();
  Query query = Query::overlapping(at_minute(300), at_minute(300));
  Scan scan(view, query, with_threads(1));
  CHECK(scanned_names(scan).empty());  // no column was asked for
  CHECK(scan.report().rows > 0);
  CHECK(scan.report().frames_read < 10);
  CHECK(scan.report().frames_skipped + scan.report().frames_read >= 15);
}

TEST_CASE("columns have the values of the records", "[query][scan]") {
  TrafficDice dice(6);
  QueryLedger ledger;
  ledger.fill(dice.traffic(300, at_minute(0), at_minute(60)), 64, 3);
  const SegmentList view = ledger.view();
  Query query;
  query.columns = Columns::all();
  query.where.push_back(FieldTest::number(Field::kProtocol, 6));
  Scan scan(view, query, with_threads(2));
  while (const ScanBatch* batch = scan.next()) {
    const auto known = [](Count count) { return count.known() ? count.value() : kUnknownCount; };
    for (std::size_t i = 0; i < batch->size(); ++i) {
      const std::uint32_t row = batch->rows()[i];
      const SessionRecord& record = *batch->record(i);
      const AddressColumn hosts = batch->addresses(Field::kPriIp);
      REQUIRE(hosts.distinct[hosts.index[row]] == record.pri_ip);
      REQUIRE(batch->ports(Field::kNatPort)[row] == record.nat_port);
      REQUIRE(batch->counters(Field::kBytesFromPub)[row] == known(record.bytes_from_pub));
      REQUIRE(batch->counters(Field::kSeq)[row] == record.seq);
      REQUIRE(batch->times(Field::kStartTime)[row] == record.start_time.time_since_epoch().count());
      const auto start =
          record.session_start ? record.session_start->time_since_epoch().count() : kUnknownTime;
      REQUIRE(batch->times(Field::kSessionStart)[row] == start);
      REQUIRE(batch->small(Field::kTcpState)[row] == static_cast<std::uint8_t>(record.tcp_state));
    }
  }
}

TEST_CASE("gaps that overlap the question's time are collected, whatever is asked for", "[query][scan]") {
  TrafficDice dice(7);
  auto records = dice.traffic(500, at_minute(0), at_minute(60));
  records.push_back(dice.gap(at_minute(70), at_minute(71)));
  QueryLedger ledger;
  ledger.fill(records, 100, 3);
  const SegmentList view = ledger.view();
  Query query = Query::overlapping(at_ms(kDayBegin + 70 * 60'000 + 30'000), at_minute(90));
  query.where.push_back(FieldTest::address(Field::kNatIp, ip("192.0.2.1")));
  Scan scan(view, query, with_threads(1));
  CHECK(scan.next() == nullptr);
  REQUIRE(scan.report().gaps.size() == 1);
  CHECK(scan.report().gaps[0].from == at_minute(70));
  CHECK(scan.report().gaps[0].reason == RecordReason::kOverrun);
  CHECK(scan.report().gaps[0].instance == "nat-1");

  query.end.from = at_minute(72);
  Scan later(view, query, with_threads(1));
  CHECK(later.next() == nullptr);
  CHECK(later.report().gap_count == 0);
}

TEST_CASE("an empty ledger has no answer and no trouble", "[query][scan]") {
  QueryLedger ledger;
  ledger.prove(at_minute(0), at_minute(1));
  const SegmentList view = ledger.view();
  for (const unsigned threads : {1U, 3U}) {
    Scan scan(view, Query(), with_threads(threads));
    CHECK(scan.next() == nullptr);
    CHECK(scan.next() == nullptr);
    CHECK(scan.report().complete());
    CHECK(scan.progress().share() == 1);
  }
  CHECK(view.span().records == 0);
  CHECK(SegmentList::open(ledger.settings.directory + "/none").error().kind == ErrorKind::kUnavailable);
}

TEST_CASE("a scan that is cancelled ends, and says so", "[query][scan]") {
  TrafficDice dice(8);
  QueryLedger ledger;
  ledger.fill(dice.traffic(2000, at_minute(0), at_minute(60)), 50, 10);
  const SegmentList view = ledger.view();
  for (const unsigned threads : {1U, 3U}) {
    std::atomic<bool> cancel = false;
    ScanControl control = with_threads(threads);
    control.cancel = &cancel;
    Scan scan(view, Query(), control);
    REQUIRE(scan.next() != nullptr);
    cancel = true;
    int more = 0;
    while (scan.next() != nullptr) ++more;
    CHECK(more < 20);
    CHECK(scan.report().cancelled);
  }
}

TEST_CASE("a scan that is given up early leaves no thread behind", "[query][scan]") {
  TrafficDice dice(9);
  QueryLedger ledger;
  ledger.fill(dice.traffic(2000, at_minute(0), at_minute(60)), 50, 10);
  const SegmentList view = ledger.view();
  {
    Scan scan(view, Query(), with_threads(4));
    REQUIRE(scan.next() != nullptr);
  }
  Scan stopped(view, Query(), with_threads(4));
  REQUIRE(stopped.next() != nullptr);
  stopped.stop();
  CHECK(stopped.next() == nullptr);
}

TEST_CASE("progress goes from nothing to all", "[query][scan]") {
  TrafficDice dice(10);
  QueryLedger ledger;
  ledger.with_flows = false;  // records are counted
  ledger.fill(dice.traffic(2000, at_minute(0), at_minute(60)), 100, 5);
  const SegmentList view = ledger.view();
  ScanControl control = with_threads(2);
  std::uint64_t last = 0;
  std::uint64_t calls = 0;
  control.progress = [&](const ScanProgress& progress) {
    last = std::max(last, progress.frames_done);
    ++calls;
  };
  Scan scan(view, Query(), control);
  scan.run([](unsigned, const ScanBatch&) {});
  CHECK(scan.progress().frames_done == scan.progress().frames);
  CHECK(scan.progress().records == ledger.all.size());
  CHECK(scan.progress().share() == 1);
  CHECK(calls > 0);
  CHECK(last <= scan.progress().frames_done);
}

TEST_CASE("records that a stepped clock wrote are found by their times", "[query][scan]") {
  TrafficDice dice(11);
  auto records = dice.traffic(400, at_minute(100), at_minute(160));
  const auto earlier = dice.traffic(400, at_minute(0), at_minute(60));  // the clock was set back
  records.insert(records.end(), earlier.begin(), earlier.end());
  QueryLedger ledger;
  ledger.fill(records, 64, 4);
  const SegmentList view = ledger.view();
  for (const int minute : {5, 30, 59, 120, 150}) {
    Query query = Query::overlapping(at_minute(minute), at_minute(minute));
    query.columns = Columns::all();
    Scan scan(view, query, with_threads(2));
    const RecordNames expected = expected_names(ledger.all, query);
    CHECK_FALSE(expected.empty());
    CHECK(scanned_names(scan) == expected);
  }
}

}  // namespace
}  // namespace natsession::testing
