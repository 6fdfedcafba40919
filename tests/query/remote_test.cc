// Questions to a store of the log elsewhere have the answers of a ledger with the same records.
#include <map>

#include <catch2/catch.hpp>

#include "query/log_store.h"
#include "query/port_usage.h"
#include "query/query_dice.h"
#include "query/query_fixture.h"
#include "query/sql_session.h"
#include "query/timeline.h"
#include "query/top.h"
#include "query/trace.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

// Has what it is given, by their ends, and hands on no more than it must.
class ListedLog final : public RemoteLog {
 public:
  explicit ListedLog(const QueryLedger& ledger)
      : records_(ledger.all), span_(ledger.view().span()), window_(ledger.settings.window) {
    std::stable_sort(records_.begin(), records_.end(),
                     [](const auto& a, const auto& b) { return a.end_time < b.end_time; });
  }
  Result<void> read(const Query& query, bool newest_first, const Take& take) override {
    std::vector<SessionRecord> chosen;
    for (const SessionRecord& record : records_) {
      const bool is_gap = record.event == RecordEvent::kGap;
      const bool gap =
          is_gap && query.start.contains(record.start_time) && query.end.contains(record.end_time);
      const bool is_ready = !is_gap && query.ready && query.ready->end.contains(record.end_time);
      if (!is_ready && (gap || passes(record, query))) chosen.push_back(record);
    }
    if (newest_first) std::reverse(chosen.begin(), chosen.end());
    constexpr std::size_t kPiece = 500;
    for (std::size_t at = 0; at < chosen.size(); at += kPiece) {
      if (at >= fail_behind) return Error{ErrorKind::kUnavailable, "the store has gone"};
      const auto from = chosen.begin() + static_cast<std::ptrdiff_t>(at);
      const auto count = static_cast<std::ptrdiff_t>(std::min(kPiece, chosen.size() - at));
      if (!take(std::vector<SessionRecord>(from, from + count))) return {};
    }
    return {};
  }
  // Record by record, so that they come in pieces.
  bool sums(const SumsQuestion& question, const TakeSums& take) override {
    if (!adds_up) return false;
    ++added_up;
    const auto hand_on = [&](std::int64_t period, const SessionRecord& record, const Sums& sums) {
      if ((question.first && period < *question.first) || (question.behind && period >= *question.behind))
        return;
      const SumsEntry entry{question.by_period ? period : 0, key_of(question.kind, record), sums};
      take(std::span(&entry, 1));
    };
    const std::int64_t length = length_of(question.kind).count();
    for (const SessionRecord& record : records_) {
      if (record.event == RecordEvent::kGap) continue;
      const auto ms = [](UnixMs time) { return time.time_since_epoch().count(); };
      const std::int64_t last = period_of(ms(record.end_time), length);
      if (question.kind != SumsKind::kMinutes) {
        hand_on(last, record, sums_of(record));
        continue;
      }
      const std::int64_t first = period_of(ms(record.start_time), length);
      const Sums whole = sums_of(record);
      Sums done;
      for (std::int64_t minute = first; minute <= last; ++minute) {
        Sums share;
        for (const CounterSum& counter : kCounterSums) {
          const std::uint64_t all = whole.*counter.sum;
          const std::uint64_t upto =
              minute == last
                  ? all
                  : share_before(all, ms(record.start_time), ms(record.end_time), (minute + 1) * length);
          share.*counter.sum = upto - done.*counter.sum;
          done.*counter.sum = upto;
        }
        if (minute == first) share.sessions = whole.sessions;
        if (minute == last) share.records = whole.records;
        if (minute == last) share.unknown = whole.unknown;
        hand_on(minute, record, share);
      }
    }
    return exact;
  }
  bool groups(const Query& query, std::span<const Field> by, const TakeGroup& take) override {
    if (!adds_up) return false;
    ++grouped;
    std::vector<std::pair<SessionRecord, Sums>> found;
    std::map<std::vector<FieldValue>, std::size_t> places;
    for (const SessionRecord& record : records_) {
      if (record.event == RecordEvent::kGap || !passes(record, query)) continue;
      std::vector<FieldValue> values;
      for (const Field field : by) values.push_back(value_of(record, field));
      const auto [place, is_new] = places.try_emplace(std::move(values), found.size());
      if (is_new) found.emplace_back(record, Sums());
      found[place->second].second.add(sums_of(record));
    }
    for (const auto& [key, sums] : found) {
      if (!take(key, sums)) return false;
    }
    return exact;
  }
  [[nodiscard]] LedgerSpan span() const override { return span_; }
  [[nodiscard]] std::chrono::milliseconds window() const override { return window_; }
  [[nodiscard]] std::string why_unproved() const override { return "it does not tell"; }

  std::size_t fail_behind = SIZE_MAX;
  bool adds_up = false;  // it makes sums
  bool exact = true;     // and they are good
  int added_up = 0;
  int grouped = 0;

 private:
  static SumsKey key_of(SumsKind kind, const SessionRecord& record) {
    switch (kind) {
      case SumsKind::kHoursByPriIp:
        return SumsKey::of(record.pri_ip);
      case SumsKind::kHoursByPubIp:
        return SumsKey::of(record.pub_ip);
      case SumsKind::kHoursByNatIp:
        return SumsKey::of(record.nat_ip);
      default:
        return SumsKey::of(record.protocol);
    }
  }
  static Sums sums_of(const SessionRecord& record) {
    Sums sums;
    sums.records = 1;
    sums.sessions = is_first(record.seq) ? 1 : 0;
    const auto add = [&sums](Count count, std::uint64_t Sums::*sum) {
      if (count.known()) sums.*sum = count.value();
      if (!count.known()) sums.unknown = 1;
    };
    add(record.bytes_from_pub, &Sums::bytes_from_pub);
    add(record.pkts_from_pub, &Sums::pkts_from_pub);
    add(record.bytes_from_vpc, &Sums::bytes_from_vpc);
    add(record.pkts_from_vpc, &Sums::pkts_from_vpc);
    return sums;
  }

  std::vector<SessionRecord> records_;
  const LedgerSpan span_;
  const std::chrono::milliseconds window_;
};

struct BothLogs : QueryLedger {
  BothLogs() {
    fill(dice.traffic(4000, at_minute(0), at_minute(120), 6), 125, 5);
    seal();
    segments.emplace(view());
    remote.emplace(*this);
  }
  TrafficDice dice{77};
  std::optional<SegmentList> segments;
  std::optional<ListedLog> remote;
};

void check_same_gaps(const ScanReport& ledger, const ScanReport& remote) {
  CHECK(remote.gaps == ledger.gaps);
  CHECK(remote.gap_count == ledger.gap_count);
  CHECK(remote.missing == "it does not tell");
  CHECK_FALSE(remote.complete());
}

// Its rows, values apart by |.
std::string sql_text(SqlSession& session, const std::string& statement) {
  std::string text;
  const auto add = [&text](const auto& one) {
    using T = std::decay_t<decltype(one)>;
    if constexpr (std::is_arithmetic_v<T>) {
      text += std::to_string(one);
    } else if constexpr (std::is_same_v<T, std::string_view>) {
      text += one;
    }
    text += '|';
  };
  const auto ran = session.run(statement, {[](const auto&) {},
                                           [&](std::span<const SqlValue> row) {
                                             for (const SqlValue& value : row) std::visit(add, value);
                                             text += '\n';
                                             return true;
                                           }});
  REQUIRE(ran);
  return text;
}

}  // namespace

TEST_CASE("a scan of a remote log finds what a ledger has, in order of time", "[query][remote]") {
  BothLogs logs;
  QueryDice dice(5, logs.dice, logs.all);
  for (int round = 0; round < rounds(100); ++round) {
    const Query query = dice.roll();
    Scan scan(*logs.remote, query, with_threads(round % 2 == 0 ? 1 : 2),
              round % 3 == 0 ? Scan::Order::kNewestFirst : Scan::Order::kOldestFirst);
    CHECK(scanned_names(scan) == expected_names(logs.all, query));
    CHECK(scan.error());
    Scan ledger(*logs.segments, query, with_threads(1));
    static_cast<void>(scanned_names(ledger));
    check_same_gaps(ledger.report(), scan.report());
  }
}

TEST_CASE("top, timeline and ports of a remote log are a ledger's", "[query][remote]") {
  BothLogs logs;
  QueryDice dice(6, logs.dice, logs.all);
  for (int round = 0; round < rounds(40); ++round) {
    TopQuestion top;
    top.query = dice.roll();
    top.by = {round % 2 == 0 ? Field::kPriIp : Field::kPubPort};
    top.sum = round % 3 == 0 ? SumField::kSessions : SumField::kBytesFromVpc;
    const auto of_ledger = find_top(*logs.segments, top, with_threads(2));
    const auto of_remote = find_top(*logs.remote, top, with_threads(2));
    REQUIRE(of_ledger);
    REQUIRE(of_remote);
    CHECK(of_remote->total == of_ledger->total);
    REQUIRE(of_remote->groups.size() == of_ledger->groups.size());
    for (std::size_t i = 0; i < of_ledger->groups.size(); ++i) {
      CHECK(of_remote->groups[i].key == of_ledger->groups[i].key);
      CHECK(of_remote->groups[i].sums == of_ledger->groups[i].sums);
    }
    check_same_gaps(of_ledger->report, of_remote->report);
  }
  TimelineQuestion timeline;
  timeline.from = at_minute(10);
  timeline.until = at_minute(90);
  timeline.by = Field::kPriIp;
  const auto one = find_timeline(*logs.segments, timeline, with_threads(2));
  const auto other = find_timeline(*logs.remote, timeline, with_threads(2));
  REQUIRE(one);
  REQUIRE(other);
  REQUIRE(one->series.size() == other->series.size());
  for (std::size_t i = 0; i < one->series.size(); ++i)
    CHECK(one->series[i].buckets == other->series[i].buckets);
  PortQuestion ports;
  ports.from = at_minute(30);
  ports.until = at_minute(60);
  const auto used = find_ports(*logs.segments, ports, with_threads(2));
  const auto used_there = find_ports(*logs.remote, ports, with_threads(2));
  REQUIRE(used);
  REQUIRE(used_there);
  REQUIRE(used->addresses.size() == used_there->addresses.size());
  for (std::size_t i = 0; i < used->addresses.size(); ++i) {
    CHECK(used->addresses[i].ports.in_use == used_there->addresses[i].ports.in_use);
    CHECK(used->addresses[i].ports.peak == used_there->addresses[i].ports.peak);
  }
}

// What it does not tell exactly, the records tell.
TEST_CASE("a remote log that adds up has a ledger's answers", "[query][remote]") {
  BothLogs logs;
  logs.remote->adds_up = true;
  logs.remote->exact = GENERATE(true, false);
  const auto check_same = [](const Sums& one, const Sums& other) { CHECK(one == other); };
  for (const auto& by : std::vector<std::vector<Field>>{
           {}, {Field::kPriIp}, {Field::kPubIp}, {Field::kNatIp}, {Field::kProtocol}}) {
    TopQuestion top;
    top.query = Query::ended_within(at_minute(3) + 17ms, at_minute(125) - 5ms);
    if (by == std::vector{Field::kProtocol})
      top.query.where.push_back(FieldTest::number(Field::kProtocol, 17));
    top.by = by;
    ScanControl control = with_threads(2);
    control.from_records = true;
    const auto of_ledger = find_top(*logs.segments, top, control);
    const auto of_remote = find_top(*logs.remote, top, with_threads(2));
    REQUIRE(of_ledger);
    REQUIRE(of_remote);
    check_same(of_remote->total, of_ledger->total);
    REQUIRE(of_remote->groups.size() == of_ledger->groups.size());
    for (std::size_t i = 0; i < of_ledger->groups.size(); ++i) {
      CHECK(of_remote->groups[i].key == of_ledger->groups[i].key);
      check_same(of_remote->groups[i].sums, of_ledger->groups[i].sums);
    }
    check_same_gaps(of_ledger->report, of_remote->report);
  }
  CHECK(logs.remote->added_up == 5);
  for (const Spread spread : {Spread::kOverSlice, Spread::kAtEnd}) {
    TimelineQuestion timeline;
    timeline.from = at_minute(10);
    timeline.until = at_minute(90) + 20s;
    timeline.bucket = 5min;
    timeline.spread = spread;
    timeline.by = Field::kProtocol;
    ScanControl control = with_threads(2);
    control.from_records = true;
    const auto one = find_timeline(*logs.segments, timeline, control);
    const auto other = find_timeline(*logs.remote, timeline, with_threads(2));
    REQUIRE(one);
    REQUIRE(other);
    REQUIRE(one->series.size() == other->series.size());
    for (std::size_t i = 0; i < one->series.size(); ++i)
      CHECK(one->series[i].buckets == other->series[i].buckets);
    check_same_gaps(one->report, other->report);
  }
  const int before = logs.remote->added_up;
  for (const char* statement :
       {"SELECT count(*), sum(bytes_from_pub), count(pkts_from_vpc) FROM log",
        "SELECT pri_ip, count(*), sum(bytes_from_pub) FROM log GROUP BY 1 ORDER BY 1",
        "SELECT date_trunc('hour', __time__) h, protocol, count(*) FROM log GROUP BY 1, 2 ORDER BY 1, 2"}) {
    CHECK(sql_text(**SqlSession::open(*logs.remote, {}), statement) ==
          sql_text(**SqlSession::open(*logs.segments, {}), statement));
  }
  CHECK(logs.remote->added_up == before + 3);
}

TEST_CASE("a remote log that groups by any fields has a ledger's answers", "[query][remote]") {
  BothLogs logs;
  logs.remote->adds_up = true;
  logs.remote->exact = GENERATE(true, false);
  TopQuestion top;
  top.query = Query::ended_within(at_minute(3) + 17ms, at_minute(125) - 5ms);
  const auto [by, where, max_groups] =
      GENERATE(table<std::vector<Field>, std::vector<FieldTest>, std::size_t>({
          {{Field::kPubPort}, {}, 1'000'000},
          {{Field::kEvent, Field::kReason}, {}, 1'000'000},
          {{Field::kTcpState}, {}, 1'000'000},
          {{Field::kVpcId, Field::kInstance}, {}, 1'000'000},
          {{Field::kZone, Field::kPriIp}, {}, 1'000'000},
          {{Field::kPriIp, Field::kPriPort}, {}, 1000},  // several parts
          {{Field::kPriIp}, {FieldTest::number(Field::kProtocol, 17)}, 1'000'000},
          {{}, {FieldTest::event(RecordEvent::kEnd)}, 1'000'000},
      }));
  top.by = by;
  top.query.where = where;
  top.max_groups = max_groups;
  const auto of_ledger = find_top(*logs.segments, top, with_threads(2));
  const auto of_remote = find_top(*logs.remote, top, with_threads(2));
  REQUIRE(of_ledger);
  REQUIRE(of_remote);
  CHECK(of_remote->total == of_ledger->total);
  CHECK(of_remote->group_count == of_ledger->group_count);
  REQUIRE(of_remote->groups.size() == of_ledger->groups.size());
  for (std::size_t i = 0; i < of_ledger->groups.size(); ++i) {
    CHECK(of_remote->groups[i].key == of_ledger->groups[i].key);
    CHECK(of_remote->groups[i].sums == of_ledger->groups[i].sums);
  }
  check_same_gaps(of_ledger->report, of_remote->report);
  CHECK(logs.remote->grouped > 0);
}

TEST_CASE("SQL over a remote log that groups by any fields has a ledger's answers", "[query][remote]") {
  BothLogs logs;
  logs.remote->adds_up = true;
  logs.remote->exact = GENERATE(true, false);
  const auto [statement, grouped] = GENERATE(table<std::string, bool>({
      {"SELECT pub_port, count(*), sum(bytes_from_pub), avg(pkts_from_vpc) FROM log GROUP BY 1 ORDER BY 1",
       true},
      {"SELECT event, reason, count(*) FROM log GROUP BY 1, 2 ORDER BY 1, 2", true},
      {"SELECT tcp_state, count(*), sum(bytes_from_vpc) FROM log WHERE event <> 'gap' GROUP BY 1 ORDER BY 1",
       true},
      {"SELECT nat_ip, nat_port, protocol, count(*) FROM log GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT "
       "9",
       true},
      {"SELECT pri_ip, sum(bytes_from_pub) FROM log WHERE protocol = 17 GROUP BY 1 ORDER BY 1", true},
      {"SELECT count(*), count(DISTINCT pri_ip) FROM log WHERE pub_port = 443", true},
      {"SELECT pub_port, max(bytes_from_pub) FROM log GROUP BY 1 ORDER BY 1", false},
      {"SELECT date_trunc('hour', __time__), pub_port, count(*) FROM log GROUP BY 1, 2 ORDER BY 1, 2", false},
  }));
  CHECK(sql_text(**SqlSession::open(*logs.remote, {}), statement) ==
        sql_text(**SqlSession::open(*logs.segments, {}), statement));
  CHECK((logs.remote->grouped > 0) == grouped);
}

TEST_CASE("a trace in a remote log names the ledger's sessions, and denies none", "[query][remote]") {
  BothLogs logs;
  std::vector<TraceQuestion> questions;
  for (std::size_t i = 0; i < logs.all.size(); i += 37) {
    const SessionRecord& record = logs.all[i];
    if (record.event == RecordEvent::kGap) continue;
    TraceQuestion question;
    question.nat_ip = record.nat_ip;
    question.nat_port = record.nat_port;
    question.from = question.until = record.end_time - std::chrono::milliseconds(1);
    questions.push_back(question);
  }
  TraceQuestion nobody;
  nobody.nat_ip = *IpAddress::parse("192.0.2.99");
  nobody.from = nobody.until = at_minute(30);
  questions.push_back(nobody);
  const auto of_ledger = trace(*logs.segments, questions, {}, with_threads(2));
  const auto of_remote = trace(*logs.remote, questions, {}, with_threads(2));
  REQUIRE(of_ledger);
  REQUIRE(of_remote);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const auto& one = of_ledger->answers[i];
    const auto& other = of_remote->answers[i];
    CHECK(one.found() == other.found());
    if (!one.found()) continue;
    REQUIRE_FALSE(other.candidates.empty());
    CHECK(name_of_record(one.candidates.front().record) == name_of_record(other.candidates.front().record));
    CHECK(one.candidates.front().total.records == other.candidates.front().total.records);
    CHECK(one.candidates.front().total.bytes_from_pub == other.candidates.front().total.bytes_from_pub);
  }
  CHECK(of_remote->answers.back().verdict != TraceVerdict::kNoSession);
  CHECK(of_remote->answers.back().missing == "it does not tell");
}

TEST_CASE("SQL over a remote log counts as over a ledger", "[query][remote]") {
  BothLogs logs;
  const std::string statement =
      GENERATE("SELECT pri_ip, count(*), sum(bytes_from_pub) FROM log GROUP BY 1 ORDER BY 1",
               "SELECT nat_port, session_id, seq FROM log WHERE nat_port > 1000 ORDER BY 2, 3",
               "SELECT event, reason, count(*) FROM log GROUP BY 1, 2 ORDER BY 1, 2");
  const std::string of_ledger = sql_text(**SqlSession::open(logs.view(), {}), statement);
  CHECK(of_ledger.size() > 20);
  CHECK(sql_text(**SqlSession::open(*logs.remote, {}), statement) == of_ledger);
}

TEST_CASE("a remote log that fails in the middle is an error, not a short answer", "[query][remote]") {
  BothLogs logs;
  logs.remote->fail_behind = GENERATE(std::size_t{0}, std::size_t{1500});
  TopQuestion question;
  question.by = {Field::kPriIp};
  const auto top = find_top(*logs.remote, question, with_threads(2));
  REQUIRE_FALSE(top);
  CHECK(top.error().message == "the store has gone");
}

TEST_CASE("a scan of a remote log can be left at any time", "[query][remote]") {
  BothLogs logs;
  Query query;
  query.columns = Columns::all();
  const unsigned threads = GENERATE(1U, 2U);
  for (int batches = 0; batches < 4; ++batches) {
    Scan scan(*logs.remote, query, with_threads(threads));
    for (int i = 0; i < batches; ++i) REQUIRE(scan.next() != nullptr);
    scan.stop();
    CHECK(scan.next() == nullptr);
  }
  const std::atomic<bool> cancel = true;
  ScanControl control = with_threads(threads);
  control.cancel = &cancel;
  Scan scan(*logs.remote, query, control);
  CHECK(scan.next() == nullptr);
  CHECK(scan.report().cancelled);
}

}  // namespace natsession::testing
