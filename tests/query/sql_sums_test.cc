// Statements of the shape that lib/query adds up itself, beside the same ones over the records.
#include <catch2/catch.hpp>

#include "query/sql_fixture.h"
#include "query/sums_statement.h"

namespace natsession::testing {
namespace {

std::string exact_text(const SqlValue& value) {
  if (const auto* real = std::get_if<double>(&value)) {
    char text[64];
    std::snprintf(text, sizeof(text), "real %.17g", *real);
    return text;
  }
  return text_of(value);
}

struct ExactAnswer {
  std::vector<std::string> columns;
  SqlRows rows;
  std::string error;
  std::uint64_t gaps = 0;
  std::uint64_t frames_read = 0;
  bool added_up = false;
  bool proved = false;  // that nothing is missing
};

ExactAnswer ask_exactly(SqlSession& session, const std::string& sql) {
  ExactAnswer answer;
  SqlSession::Consumer consumer;
  consumer.on_row = [&](std::span<const SqlValue> row) {
    answer.rows.emplace_back();
    for (const SqlValue& value : row) answer.rows.back().push_back(exact_text(value));
    return true;
  };
  const auto result = session.run(sql, consumer);
  if (!result) {
    answer.error = result.error().message;
    return answer;
  }
  answer.columns = result->columns;
  answer.gaps = result->report.gap_count;
  answer.proved = result->report.missing.empty();
  answer.frames_read = result->report.frames_read;
  answer.added_up = result->added_up;
  return answer;
}

// One ledger, asked both ways.
struct BothWays {
  void open() {
    sums = open_session(ledger.view());
    SqlOptions options;
    options.control.from_records = true;
    records = open_session(ledger.view(), options);
  }
  // What the sums say, which must be what the records say: the same rows in the same order.
  ExactAnswer check(const std::string& sql) {
    CAPTURE(sql);
    ExactAnswer answer = ask_exactly(*sums, sql);
    const ExactAnswer expected = ask_exactly(*records, sql);
    REQUIRE_FALSE(expected.added_up);
    REQUIRE(answer.error == expected.error);
    REQUIRE(answer.columns == expected.columns);
    REQUIRE(answer.rows == expected.rows);
    REQUIRE(answer.proved == expected.proved);
    REQUIRE(answer.gaps <= expected.gaps);  // SQLite is given some more than it wants
    return answer;
  }

  QueryLedger ledger;
  std::unique_ptr<SqlSession> sums, records;
};

// Random statements, nearly all of the shape.
class SumsDice {
 public:
  SumsDice(std::uint64_t seed, const std::vector<SessionRecord>& all) : random_(seed), all_(all) {}

  std::string roll() {
    std::vector<std::string> groups;
    std::vector<std::string> items;
    for (std::uint64_t i = pick(4); i > 0; --i) {
      const std::string key = one_in(3) ? step() : any(kKeys);
      if (one_in(3)) {
        items.push_back(key + (one_in(2) ? " AS g" : " g") + std::to_string(i));
        groups.push_back(one_in(2) ? "g" + std::to_string(i) : std::to_string(items.size()));
      } else {
        groups.push_back(key);
        if (one_in(2)) items.push_back(one_in(2) ? key : "coalesce(" + key + ", '-') || '/'");
      }
    }
    for (std::uint64_t i = 1 + pick(4); i > 0; --i) items.push_back(aggregate());
    if (one_in(3)) items.push_back(aggregate() + " - 2 * " + aggregate() + " AS difference");
    std::string sql = "SELECT " + joined(items) + (one_in(2) ? " FROM log" : "\nfrom LOG -- all of it\n");
    if (!one_in(4)) sql += " WHERE " + condition();
    if (!groups.empty()) sql += " GROUP BY " + joined(groups);
    if (!groups.empty() && one_in(4)) sql += " HAVING " + aggregate() + " > " + std::to_string(pick(5000));
    if (one_in(2)) sql += " ORDER BY " + aggregate() + (one_in(2) ? " DESC" : "") + (one_in(2) ? ", 1" : "");
    if (one_in(4)) sql += " LIMIT " + std::to_string(pick(6)) + (one_in(2) ? " OFFSET 1" : "");
    return sql + (one_in(8) ? ";" : "");
  }

  // The same with something changed, so that it hardly is a statement.
  std::string broken(std::string sql) {
    static const std::vector<std::string> kPieces{
        " ",          "(",          ")",       ",",         "*",     "'",        "\"",   ".",
        "log",        " FILTER ",   " AS ",    " CASE ",    " END ", " AND ",    " OR ", " NOT ",
        " FROM ",     "sum(",       "count",   " BETWEEN ", "1",     " IN ",     "-",    "%",
        " DISTINCT ", "date_trunc", " LIMIT ", "rowid",     " OVER", "sums_sum0"};
    for (std::uint64_t changes = 1 + pick(2); changes > 0; --changes) {
      const std::size_t at = pick(sql.size());
      if (one_in(2)) sql.erase(at, 1 + pick(8));
      if (!one_in(3)) sql.insert(std::min(at, sql.size()), kPieces[pick(kPieces.size())]);
    }
    return sql;
  }

 private:
  static inline const std::vector<std::string> kKeys{"pri_ip",   "pub_ip", "nat_ip", "protocol", "nat_port",
                                                     "pub_port", "event",  "reason", "tcp_state"};
  static inline const std::vector<std::string> kCounters{"bytes_from_vpc", "bytes_from_pub", "pkts_from_vpc",
                                                         "pkts_from_pub", "seq"};
  static inline const std::vector<std::string> kTimes{"__time__", "start_time", "end_time", "session_start"};

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  bool one_in(std::uint64_t many) { return pick(many) == 0; }
  std::string any(const std::vector<std::string>& of) { return of[pick(of.size())]; }
  static std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
    return text;
  }
  std::string step() {
    static const std::vector<std::string> kSteps{"second", "minute",    "hour", "day",
                                                 "week",   "5 minutes", "30s",  "6h"};
    return "date_trunc('" + any(kSteps) + "', " + (one_in(2) ? "__time__" : "end_time") + ")";
  }
  std::string aggregate() {
    switch (pick(7)) {
      case 0:
        return "count(*)";
      case 6:
        return "count(DISTINCT " + any(kKeys) + ")";
      case 1:
        return "count(" + any(one_in(2) ? kCounters : kTimes) + ")";
      case 2:
        return (one_in(2) ? "min(" : "MAX( ") + any(one_in(2) ? kCounters : kTimes) + ")";
      case 3:
        return "round(avg(" + any(kCounters) + "), 3)";
      case 4:
        return (one_in(2) ? "avg(" : "total(") + any(kCounters) + ")";
      default:
        return "sum(" + any(kCounters) + ")";
    }
  }
  std::string condition() {
    std::string text = test();
    for (std::uint64_t more = pick(3); more > 0; --more) text += " AND " + test();
    return text;
  }
  std::string test() {
    const SessionRecord& like = all_[pick(all_.size())];
    switch (pick(9)) {
      case 0:
        return time() + comparison() + moment();
      case 1:
        return moment() + comparison() + time();
      case 2:
        return time() + " BETWEEN " + moment() + " AND " + moment();
      case 3:
        return "in_prefix(" + any({"pri_ip", "pub_ip", "nat_ip"}) + ", '" +
               any({"10.0.1.0/24", "::/0", "0.0.0.0/0", "fd00::/64"}) + "')";
      case 4:
        return "(protocol = 'tcp' OR NOT in_prefix(pri_ip, '10.0.1.0/24'))";
      case 5:
        return any(kKeys) + any({" IS NULL", " IS NOT NULL", " NOTNULL"});
      case 6:
        return "nat_port % 3 <> " + std::to_string(pick(3));
      case 7:
        return "pub_ip" + any({" = '", " <> '", " < '", " LIKE '"}) + like.pub_ip.to_string() + "'";
      default:
        return any({"event <> 'gap'", "protocol IN (6, 17)", "reason = 'destroyed'", "pub_port = 443"});
    }
  }
  std::string time() { return any({"__time__", "start_time", "end_time"}); }
  std::string comparison() { return any({" < ", " <= ", " > ", " >= ", " = "}); }
  std::string moment() {
    const std::int64_t ms = all_[pick(all_.size())].end_time.time_since_epoch().count();
    if (one_in(3)) return std::to_string(ms / 1000);
    if (one_in(6)) return "to_unixtime('2026-11-21T01:00:00Z')";
    char text[64];
    std::snprintf(text, sizeof(text), "%lld.%03lld", static_cast<long long>(ms / 1000),
                  static_cast<long long>(ms % 1000));
    return text;
  }

  std::mt19937_64 random_;
  const std::vector<SessionRecord>& all_;
};

struct Traffic : BothWays {
  Traffic() {
    ledger.fill(dice.traffic(700, at_minute(0), at_minute(120), 10), 100, 3);
    open();
  }
  TrafficDice dice{81};
};

TEST_CASE_METHOD(Traffic, "random SQL sums are what SQLite makes of the records", "[query][sql][sums]") {
  SumsDice questions(82, ledger.all);
  int added_up = 0;
  std::size_t rows = 0;
  for (int i = 0; i < rounds(2000); ++i) {
    const ExactAnswer answer = check(questions.roll());
    added_up += answer.added_up ? 1 : 0;
    rows += answer.rows.size();
  }
  CHECK(added_up > rounds(2000) / 2);
  CHECK(rows > static_cast<std::size_t>(rounds(10'000)));
}

// Three hours in segments that have sums beside them, but for the last.
struct Summed : BothWays {
  Summed() {
    std::vector<SessionRecord> traffic = dice.traffic(8000, at_minute(-10), at_minute(170), 12);
    for (SessionRecord& record : traffic) {
      if (record.pub_ip == dice.peers()[3]) record.bytes_from_vpc = Count();  // never known
    }
    ledger.fill(traffic, 125, 5);
    ledger.seal();
    ledger.prove(at_minute(-20), at_minute(100));
    open();
  }
  TrafficDice dice{85};
};

TEST_CASE_METHOD(Summed, "SQL sums that stand ready are what SQLite makes of the records",
                 "[query][sql][sums]") {
  REQUIRE(ledger.sums_files().size() >= 4);
  const auto any = [&](const std::vector<std::string>& of) { return of[dice.pick(of.size())]; };
  const auto moment = [&] {
    const std::int64_t minute = static_cast<std::int64_t>(dice.pick(200)) - 20;
    const UnixMs time = at_minute(dice.one_in(2) ? minute / 60 * 60 : minute);
    return std::to_string(time.time_since_epoch().count() / 1000 + (dice.one_in(4) ? 7 : 0));
  };
  const std::vector<std::string> counters{"bytes_from_vpc", "bytes_from_pub", "pkts_from_vpc",
                                          "pkts_from_pub"};
  int fewer = 0;
  const int all = rounds(400);
  for (int i = 0; i < all; ++i) {
    const std::string key = any({"", "nat_ip", "pri_ip", "pub_ip", "protocol", "date_trunc('hour', __time__)",
                                 "date_trunc('15m', end_time)", "protocol, date_trunc('day', __time__)"});
    std::string sql = "SELECT " + (key.empty() ? "" : key + ", ") + "count(*), sum(" + any(counters) +
                      "), sum(" + any(counters) + ")";
    if (dice.one_in(4)) sql += ", " + any({"avg(", "count(", "total("}) + any(counters) + ")";
    sql += " FROM log";
    std::vector<std::string> tests;
    if (dice.one_in(2)) tests.push_back("__time__ >= " + moment());
    if (dice.one_in(2)) tests.push_back(any({"__time__", "end_time"}) + any({" < ", " <= "}) + moment());
    if (dice.one_in(3) && key == "pub_ip") tests.push_back("in_prefix(pub_ip, '198.51.100.0/29')");
    if (dice.one_in(3) && key == "pub_ip") tests.push_back("pub_ip = '" + dice.peers()[3].to_string() + "'");
    if (dice.one_in(3) && key == "nat_ip") tests.push_back(any({"nat_ip IS NULL", "nat_ip LIKE '%2'"}));
    if (dice.one_in(3)) tests.push_back("protocol = 'udp'");
    if (dice.one_in(3)) tests.push_back("event " + any({"<>", "!="}) + " 'GAP'");
    for (std::size_t t = 0; t < tests.size(); ++t) sql += (t == 0 ? " WHERE " : " AND ") + tests[t];
    if (!key.empty()) sql += " GROUP BY " + key;
    const ExactAnswer answer = check(sql);
    CHECK(answer.added_up);
    fewer += answer.frames_read * 2 < ledger.all.size() / 125 ? 1 : 0;
  }
  CHECK(fewer > all / 3);
  CHECK(check("SELECT nat_ip, count(*), sum(bytes_from_vpc) FROM log GROUP BY nat_ip").frames_read <
        ledger.all.size() / 125 / 2);
  CHECK(check("SELECT count(*), date_trunc('hour', end_time) h FROM log WHERE event <> 'gap' GROUP BY h")
            .frames_read < ledger.all.size() / 125 / 2);
  // Gap records are no one's, and are counted.
  CHECK(check("SELECT nat_ip, count(*), sum(seq) FROM log GROUP BY nat_ip HAVING nat_ip IS NULL").rows ==
        SqlRows{{"NULL", "12", "NULL"}});
}

TEST_CASE_METHOD(Traffic, "SQL sums that are broken say what the records would", "[query][sql][sums]") {
  SumsDice questions(83, ledger.all);
  int good = 0;
  for (int i = 0; i < rounds(4000); ++i)
    good += check(questions.broken(questions.roll())).error.empty() ? 1 : 0;
  CHECK(good > rounds(100));
}

TEST_CASE_METHOD(Traffic, "SQL sums are added up where the statement has their shape", "[query][sql][sums]") {
  for (const std::string sql :
       {"SELECT count(*), sum(bytes_from_vpc), sum(bytes_from_pub), sum(pkts_from_vpc) FROM log",
        "select nat_ip, sum(bytes_from_vpc) / 1024 / 1024 / 1024 as total_GB from log group by nat_ip;",
        "SELECT pri_ip, sum(bytes_from_vpc) b FROM log GROUP BY 1 HAVING b > 1000 ORDER BY b DESC LIMIT 10",
        "SELECT nat_ip, protocol, count(*) AS \"how \"\"many\" FROM log GROUP BY nat_ip, protocol ORDER BY "
        "\"how \"\"many\"",
        "SELECT count(DISTINCT pri_ip), sum(bytes_from_vpc) FROM log WHERE event <> 'gap'",
        "SELECT count(*) FROM log WHERE start_time >= 'yesterday' AND end_time < 'today'",
        "SELECT CASE WHEN protocol = 6 THEN 'tcp' ELSE 'other' END p, count(*) FROM log GROUP BY protocol",
        "SELECT date_trunc('minute', __time__) AS ts_min, sum(bytes_from_vpc) FROM log WHERE pub_ip = "
        "'198.51.100.3' GROUP BY ts_min"}) {
    INFO(sql);
    CHECK(check(sql).added_up);
  }
  for (const std::string sql :
       {"SELECT nat_ip, pri_ip, count(*) FROM log GROUP BY nat_ip",  // any row's
        "SELECT count(DISTINCT seq) FROM log",
        "SELECT nat_ip FROM log",
        "SELECT sum(DISTINCT seq) FROM log",
        "SELECT sum(bytes_from_vpc) FILTER (WHERE protocol = 6) FROM log",
        "SELECT sum(bytes_from_vpc) OVER () FROM log",
        "SELECT sum(bytes_from_vpc + 1) FROM log",
        "SELECT count(*) FROM log a, log b WHERE a.seq = 7 AND b.seq = 7",
        "SELECT count(*) FROM log UNION SELECT count(*) FROM log",
        "SELECT max(pri_ip) FROM log",
        "SELECT (SELECT count(*) FROM log) FROM log LIMIT 1",
        "SELECT DISTINCT count(*) FROM log",
        "SELECT pri_ip AS nat_ip, count(*) FROM log GROUP BY nat_ip",
        "SELECT pri_ip, count(*) FROM log GROUP BY pri_ip COLLATE NOCASE",
        "SELECT count(*) FROM log WHERE zone = 7",
        "SELECT count(*) FROM log WHERE rowid IS NOT NULL",
        "SELECT count(*) FROM log WHERE __time__ > 1795219800 OR protocol = 6",
        "SELECT count(*) FROM log WHERE CASE WHEN protocol = 6 AND __time__ > 1795219800 AND 1 THEN 1 END",
        "SELECT count(*) FROM log WHERE __time__ + 0 > 1795219800",
        "SELECT group_concat(protocol) FROM log"}) {
    INFO(sql);
    CHECK_FALSE(check(sql).added_up);
  }
}

TEST_CASE_METHOD(Traffic, "SQL sums of nothing are one row without GROUP BY, else none",
                 "[query][sql][sums]") {
  const std::string nothing = " FROM log WHERE __time__ < 5";
  const auto one =
      check("SELECT count(*), count(seq), sum(seq), avg(seq), total(seq), min(end_time)" + nothing);
  CHECK(one.added_up);
  CHECK(one.rows == SqlRows{{"0", "0", "NULL", "NULL", "real 0", "NULL"}});
  CHECK(check("SELECT count(*)" + nothing + " GROUP BY nat_ip").rows.empty());
}

TEST_CASE_METHOD(BothWays, "SQL sums of counters that SQLite has no integers for are SQLite's own",
                 "[query][sql][sums]") {
  TrafficDice dice(84);
  std::vector<SessionRecord> traffic = dice.traffic(40, at_minute(0), at_minute(10));
  const std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  for (std::size_t i = 0; i < traffic.size(); ++i) {
    traffic[i].bytes_from_vpc = Count(i % 2 == 0 ? most / 8 : 1);  // too many together
    traffic[i].bytes_from_pub = Count(i == 7 ? most + 5 : 3);      // a real number
    traffic[i].pkts_from_vpc = Count(i < 3 ? (std::uint64_t{1} << 53) + i : i);
    traffic[i].pkts_from_pub = i == 3 ? Count(most) : Count();
  }
  ledger.fill(traffic, 10, 2);
  open();
  CHECK(check("SELECT sum(bytes_from_vpc) FROM log").error.find("integer overflow") != std::string::npos);
  CHECK_FALSE(check("SELECT avg(bytes_from_vpc) FROM log").added_up);
  CHECK_FALSE(check("SELECT max(bytes_from_pub), sum(bytes_from_pub) FROM log").added_up);
  CHECK_FALSE(check("SELECT avg(pkts_from_vpc) FROM log").added_up);
  CHECK(check("SELECT sum(pkts_from_vpc), max(pkts_from_vpc) FROM log").added_up);
  CHECK(check("SELECT sum(pkts_from_pub), min(pkts_from_pub), count(pkts_from_pub) FROM log").added_up);
  CHECK(check("SELECT nat_port, sum(bytes_from_vpc) FROM log GROUP BY nat_port").error.empty());
}

TEST_CASE_METHOD(SqlGuardFixture, "the table of sums is SQLite's own: no statement can read it",
                 "[query][sql][guard][sums]") {
  for (const std::string sql :
       {"SELECT * FROM log_sums", "SELECT count(*) FROM log_sums", "SELECT sums_records FROM log_sums",
        "SELECT 1 FROM main.log_sums", "SELECT count(*) FROM log, log_sums",
        "SELECT count(*), sums_records FROM log", "SELECT sum(sums_sum0), sum(seq) FROM log",
        "WITH t AS (SELECT 1) SELECT count(*) FROM t, log_sums",
        "SELECT count(*) FROM log GROUP BY sums_step0"}) {
    CAPTURE(sql);
    REQUIRE(ask(*session, sql).error);
    CHECK_FALSE(ask(*session, "SELECT count(*) FROM log").error);
  }
  // The name is free for what a statement itself makes.
  CHECK(ask(*session, "WITH log_sums AS (SELECT 7 AS n) SELECT n FROM log_sums").rows == SqlRows{{"7"}});
}

}  // namespace
}  // namespace natsession::testing
