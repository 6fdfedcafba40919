#include <algorithm>

#include <catch2/catch.hpp>

#include "query/sql_dice.h"
#include "query/sql_fixture.h"

namespace natsession::testing {
namespace {

SqlRows sorted(SqlRows rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

// How many rows the answer has, which must be those of the plain table.
std::size_t check(SqlSession& session, PlainTable& plain, const std::string& sql) {
  CAPTURE(sql);
  const SqlAnswer answer = ask(session, sql);
  if (answer.error) FAIL(answer.error->message);
  REQUIRE(sorted(answer.rows) == sorted(plain.ask(sql)));
  return answer.rows.size();
}

struct Fixture {
  Fixture() {
    ledger.fill(dice.traffic(700, at_minute(0), at_minute(120), 10), 100, 3);
    session = open_session(ledger.view());
  }
  TrafficDice dice{61};
  QueryLedger ledger;
  std::unique_ptr<SqlSession> session;
};

TEST_CASE_METHOD(Fixture, "random SQL answers as over a plain table with the same rows", "[query][sql]") {
  PlainTable plain(ledger.all, ledger.view());
  SqlDice questions(62, ledger.all);
  std::size_t rows = 0;
  for (int i = 0; i < rounds(1000); ++i) rows += check(*session, plain, questions.roll());
  CHECK(rows > static_cast<std::size_t>(rounds(6'000)));
}

TEST_CASE_METHOD(Fixture, "whole rows, subqueries and windows answer as over a plain table", "[query][sql]") {
  PlainTable plain(ledger.all, ledger.view());
  for (const std::string sql :
       {"SELECT * FROM log",
        "SELECT count(*) FROM log",
        "SELECT pub_ip, n FROM (SELECT pub_ip, count(*) n FROM log GROUP BY pub_ip) WHERE n > 3",
        "WITH top AS (SELECT pri_ip, sum(bytes_from_vpc) b FROM log GROUP BY 1 ORDER BY 2 DESC LIMIT 3) "
        "SELECT * FROM top",
        "WITH t AS (SELECT pri_ip, count(*) AS n FROM log GROUP BY pri_ip) SELECT count(*) FROM t",
        "WITH t(host) AS MATERIALIZED (SELECT DISTINCT pri_ip FROM log) SELECT count(*) FROM t a, t b",
        "SELECT DISTINCT event, reason FROM log",
        "SELECT pri_ip FROM log WHERE pri_ip IN (SELECT pri_ip FROM log WHERE zone = 7)",
        "SELECT count(*) FROM log WHERE event <> 'gap' AND rowid IS NOT NULL",
        "SELECT pri_ip, sum(bytes_from_vpc) OVER (PARTITION BY pri_ip) FROM log WHERE protocol = 17",
        "SELECT pub_ip FROM log WHERE pub_ip = '198.51.100.3' COLLATE NOCASE OR pub_ip = '2001:DB8::1' "
        "COLLATE NOCASE",
        "SELECT count(*) FROM log WHERE nat_port = '40001' OR nat_port = 40002.0",
        "SELECT count(*) FROM log WHERE pri_ip IN ('::ffff:10.0.0.0', 'FD00::1', 'fd00:0:0::2')",
        "SELECT pri_ip, pub_ip FROM log WHERE pri_ip > 'FD00::1' OR pub_ip BETWEEN '198.51.100.3' AND "
        "'198.51.9'",
        "SELECT count(*) FROM log WHERE pri_ip IN ('10.0.0.0', NULL, '10.0.0.3')",
        "SELECT count(*) FROM log WHERE pri_ip NOT IN ('10.0.0.0', NULL)",
        "SELECT count(*) FROM log WHERE pri_ip NOT IN ('10.0.0.0', '10.0.0.3')",
        "SELECT count(*) FROM log WHERE (pri_ip, protocol) IN (('10.0.0.0', 6), ('fd00::1', 17))",
        "SELECT count(*) FROM log WHERE (pri_ip, protocol) IN (SELECT pri_ip, 6 FROM log WHERE zone = 7)",
        "SELECT count(*) FROM log WHERE zone IS NULL AND zone IS NOT 7 AND pri_ip IS '10.0.0.0'",
        "SELECT count(*) FROM log WHERE zone IS 7 OR mark IS NOT DISTINCT FROM 42",
        "SELECT count(*) FROM log WHERE pri_ip = NULL OR pri_ip = '10.0.0.0' OR nat_port = 40001",
        "SELECT count(*) FROM log WHERE NOT (pri_ip = '10.0.0.0' AND zone = 7)",
        "SELECT count(*) FROM log WHERE pri_ip LIKE 'FD00%' OR pri_ip GLOB 'fd00*' OR pri_ip LIKE '10._.0.%'",
        "SELECT count(*) FROM log WHERE __time__ > 1795219800.5 AND __time__ <= 1795220399.999",
        "SELECT count(*) FROM log WHERE __time__ = 1795219800.5 OR __time__ >= '1795219800'",
        "SELECT count(*) FROM log WHERE __time__ IN (1795219800, 1795219801.0, 1795219802.5, NULL)",
        "SELECT count(*) FROM log WHERE end_time < 1e999 AND start_time > -1e999 AND __time__ < 1e300",
        "SELECT count(*) FROM log WHERE __time__ BETWEEN '1795219800' AND x'00'",
        "SELECT count(*) FROM log WHERE session_id = '0' OR session_id = upper(session_id)",
        "SELECT count(*) FROM log WHERE vpc_id = '' OR vpc_id = x'' OR vpc_id = 'vpc-lab' || char(0)",
        "SELECT count(*) FROM log WHERE bytes_from_vpc = -1 OR nat_port = 9223372036854775807 OR seq = 1e0",
        "SELECT count(*) FROM log WHERE in_prefix(pri_ip, NULL) OR NOT in_prefix(orig_dst_ip, '::/0')",
        "SELECT sum(bytes_from_vpc) / 1024 / 1024 / 1024, sum(bytes_from_vpc) / 1024.0 FROM log",
        "SELECT count(DISTINCT pri_ip) FROM log WHERE in_prefix(pri_ip, '10.0.0.0/8') AND NOT "
        "in_prefix(pri_ip, '10.0.1.0/24')"}) {
    check(*session, plain, sql);
  }
}

TEST_CASE("joins and inner questions answer as over a plain table", "[query][sql]") {
  TrafficDice dice(63);
  QueryLedger ledger;
  ledger.fill(dice.traffic(120, at_minute(0), at_minute(60), 3), 40, 3);
  const auto session = open_session(ledger.view());
  PlainTable plain(ledger.all, ledger.view());
  for (const std::string sql :
       {"SELECT a.seq, a.pri_ip, b.zone FROM log a RIGHT JOIN log b ON b.session_id = a.session_id AND "
        "a.zone = 7",
        "SELECT a.nat_port, b.nat_port FROM log a FULL JOIN log b ON a.nat_port = b.nat_port AND b.zone = 7",
        "SELECT pri_ip FROM log WHERE protocol = 17 INTERSECT SELECT pri_ip FROM log WHERE zone = 7",
        "SELECT pri_ip FROM log EXCEPT SELECT pri_ip FROM log WHERE pub_port = 443 AND protocol = 6",
        "SELECT pri_ip FROM log WHERE (pri_ip = '10.0.0.0' AND protocol = 6) OR (pri_ip = '10.0.1.1' OR "
        "nat_port = "
        "40007) OR (pri_ip = '10.0.0.0' AND pub_port = 443)",
        "SELECT a.pri_ip, count(*) FROM log a JOIN log b ON a.session_id = b.session_id AND b.seq = a.seq + "
        "1 GROUP BY 1",
        "SELECT a.pri_ip, b.zone FROM log a LEFT JOIN log b ON b.session_id = a.session_id AND b.zone = 7 "
        "AND "
        "b.seq = 0 WHERE a.seq = 0 AND a.protocol = 17",
        "SELECT count(*) FROM log a LEFT JOIN log b ON b.pri_ip = a.orig_dst_ip WHERE b.pri_ip IS NULL",
        "SELECT (SELECT count(*) FROM log b WHERE b.pri_ip = a.pri_ip AND b.zone = a.zone) FROM log a WHERE "
        "a.seq = 1"}) {
    check(*session, plain, sql);
  }
}

// One of the cloud's page, its address filled in.
std::string statement(const std::string& name) {
  std::string sql = read_file(NATSESSION_STATEMENTS "/" + name);
  return sql.replace(sql.find("203.0.113.157"), 13, "198.51.100.3");
}

TEST_CASE_METHOD(Fixture, "the cloud's two statements run word for word", "[query][sql]") {
  const SqlAnswer by_minute = ask(*session, statement("surge_by_minute.sql"));
  REQUIRE_FALSE(by_minute.error);
  CHECK(by_minute.columns == std::vector<std::string>{"total_bytes", "ts_min"});
  std::map<std::string, std::uint64_t> expected;
  std::map<std::string, std::uint64_t> by_hand;
  for (const SessionRecord& record : ledger.all) {
    if (record.event == RecordEvent::kGap || record.pub_ip != ip("198.51.100.3")) continue;
    const std::int64_t minute = (record.end_time.time_since_epoch().count() - kDayBegin) / 60'000;
    char text[64];
    std::snprintf(text, sizeof(text), "'2026-11-21T%02d:%02d:00Z'", static_cast<int>(minute / 60),
                  static_cast<int>(minute % 60));
    expected[text] += record.bytes_from_vpc.known() ? record.bytes_from_vpc.value() : 0;
  }
  for (const auto& row : by_minute.rows) by_hand[row[1]] = row[0] == "NULL" ? 0 : std::stoull(row[0]);
  CHECK(by_hand == expected);
  CHECK(by_minute.rows.size() > 5);

  const SqlAnswer by_host = ask(*session, statement("surge_by_host.sql"));
  REQUIRE_FALSE(by_host.error);
  CHECK(by_host.columns == std::vector<std::string>{"pri_ip", "total_bytes", "ts_min"});
  CHECK(by_host.rows.size() > by_minute.rows.size());
}

// What it is asked, and what a plain table has to be asked for the same.
TEST_CASE_METHOD(Fixture, "texts beside columns mean what people mean by them", "[query][sql]") {
  PlainTable plain(ledger.all, ledger.view());
  const std::vector<std::pair<std::string, std::string>> pairs{
      {"start_time >= '2026-11-21T01:00:00Z'", "start_time >= 1795222800"},
      {"'2026-11-21T01:00:00Z' > log.end_time", "1795222800 > end_time"},
      {"end_time NOT BETWEEN '2026-11-21T01:00:00.5Z' AND '2026-11-21T01:10:00Z'",
       "end_time NOT BETWEEN 1795222800.5 AND 1795223400"},
      {"'2026-11-21T01:00:00Z' BETWEEN start_time AND end_time",
       "1795222800 BETWEEN start_time AND end_time"},
      {"__time__ < '2026-11-21T01:00:00Z' AND NOT \"session_start\" > '2026-11-21T00:30:00Z'",
       "__time__ < 1795222800 AND NOT session_start > 1795221000"},
      {"protocol = 'tcp'", "protocol = 6"},
      {"protocol <> 'TCP' OR nat_port = '40001'", "protocol <> 6 OR nat_port = 40001"},
      {"protocol IN ('udp', 'icmp', 6)", "protocol IN (17, 1, 6)"},
      {"nat_port LIKE '4000%' OR vpc_id LIKE 'v%'", "nat_port LIKE '4000%' OR vpc_id LIKE 'v%'"},
      {"CASE WHEN protocol IS NOT 'udp' THEN 0 ELSE 1 END", "protocol IS 17"},
      {"event = 'END' AND tcp_state IN ('time_wait')", "event = 'end' AND tcp_state = 'TIME_WAIT'"},
      {"pri_ip = 'FD00::1' OR pub_ip IN ('2001:DB8::1', '2001:db8:0:0:0:0:0:2')",
       "pri_ip = 'fd00::1' OR pub_ip IN ('2001:db8::1', '2001:db8::2')"},
      {"vpc_id = 'tcp' OR vpc_id = '2026-11-21'", "0"}};
  for (const auto& [asked, meant] : pairs) {
    CAPTURE(asked);
    const SqlAnswer answer = ask(*session, "SELECT count(*), max(seq) FROM log WHERE " + asked);
    if (answer.error) FAIL(answer.error->message);
    CHECK(answer.rows == plain.ask("SELECT count(*), max(seq) FROM log WHERE " + meant));
    CHECK((meant == "0" || answer.rows[0][0] != "0"));
  }
  // A name that is given to something else is not the log's.
  const std::string renamed =
      "SELECT count(*) FROM (SELECT iif(protocol = 6, 'tcp', 'other') AS protocol FROM log) "
      "WHERE protocol = 'tcp'";
  CHECK(ask(*session, renamed).rows == plain.ask("SELECT count(*) FROM log WHERE protocol = 6"));
}

TEST_CASE_METHOD(Fixture, "texts that mean nothing beside their column are refused, with the place",
                 "[query][sql]") {
  const auto refusal = [&](const std::string& where) {
    const SqlAnswer answer = ask(*session, "SELECT count(*) FROM log WHERE " + where);
    if (!answer.error) return std::string("none");
    CHECK(answer.error->kind == ErrorKind::kUsage);
    return answer.error->message;
  };
  CHECK(refusal("start_time >= 'soon'").starts_with("SQL: start_time: 'soon' is no time: "));
  CHECK(refusal("start_time >= 'soon'").ends_with(", at line 1, column 46"));
  CHECK(refusal("end_time = '2026-11-21'").find("say >= and <") != std::string::npos);
  CHECK(refusal("protocol = 'tpc'").starts_with("SQL: protocol: 'tpc' is not a protocol: "));
  CHECK(refusal("nat_port IN (1, 'https')") == "SQL: nat_port: 'https' is no number, at line 1, column 48");
  CHECK(refusal("pri_ip = '010.0.0.1'").find("'010.0.0.1'") != std::string::npos);
  CHECK(refusal("pri_ip = '10.0.0.0/8'").find("in_prefix(pri_ip, '10.0.0.0/8')") != std::string::npos);
  CHECK(refusal("event = 'stop'") ==
        "SQL: event: 'stop' is none of: start interim end gap, at line 1, column 40");
  CHECK(refusal("session_id = 'x'").find("hexadecimal") != std::string::npos);
  CHECK(refusal("protocol LIKE 'tc%'") ==
        "SQL: protocol is a number, of which no digits are like 'tc%': say protocol = 'tcp', at line 1, "
        "column 46");
  CHECK(refusal("nat_port NOT LIKE 'http%'").find("no digits are like") != std::string::npos);
  CHECK(refusal("start_time GLOB '*Nov*'").find("no digits are like") != std::string::npos);
  // What comes out of an expression is seen when it is compared.
  CHECK(refusal("start_time >= date('now')").find("to_unixtime() makes of a time") != std::string::npos);
  CHECK(refusal("protocol = lower('TCP')").find("protocol is a number") != std::string::npos);
  CHECK(refusal("protocol IN (SELECT 'tcp')").find("protocol is a number") != std::string::npos);
  // Places behind a text that was put into another form are those of the statement.
  CHECK(refusal("start_time > '2026-11-21T01:00:00Z' AND nat_prt = 1") ==
        "SQL: no such column: nat_prt, at line 1, column 72");
}

TEST_CASE_METHOD(Fixture, "times in WHERE choose frames", "[query][sql]") {
  const auto frames = [&](const std::string& where) {
    const SqlAnswer answer = ask(*session, "SELECT count(*) FROM log WHERE " + where);
    if (answer.error) FAIL(answer.error->message);
    return answer.report.frames_read;
  };
  const std::uint64_t all = frames("1");
  REQUIRE(all > 3);
  CHECK(frames("__time__ >= 1795224600 AND __time__ < 1795224900") < all);
  CHECK(
      frames("__time__ BETWEEN to_unixtime('2026-11-21T01:30:00Z') AND to_unixtime('2026-11-21T01:35:00Z')") <
      all);
  CHECK(frames("end_time < 1795219200") == 0);
  CHECK(frames("start_time > 1795300000.5") == 0);
  CHECK(frames("__time__ = 1795224600") < all);
  CHECK(frames("end_time >= '2026-11-21T01:30:00Z' AND start_time < '2026-11-21T01:35:00Z'") < all);
  CHECK(frames("pri_ip = NULL") == 0);
}

TEST_CASE_METHOD(Fixture, "date_trunc cuts times of every kind", "[query][sql]") {
  const auto value = [&](const std::string& expression) {
    const SqlAnswer answer = ask(*session, "SELECT " + expression);
    if (answer.error) return answer.error->message;
    return answer.rows.at(0).at(0);
  };
  CHECK(value("date_trunc('minute', 1795263662)") == "'2026-11-21T12:21:00Z'");
  CHECK(value("date_trunc('second', 1795263662.9)") == "'2026-11-21T12:21:02Z'");
  CHECK(value("date_trunc('minute', 1795263659.9997)") == "'2026-11-21T12:20:00Z'");  // never up
  CHECK(value("date_trunc('second', 1795263662.999)") == "'2026-11-21T12:21:02Z'");
  CHECK(value("date_trunc('second', -0.0001)") == "'1969-12-31T23:59:59Z'");
  CHECK(value("date_trunc('hour', 1795263662)") == "'2026-11-21T12:00:00Z'");
  CHECK(value("date_trunc('DAY', 1795263662)") == "'2026-11-21T00:00:00Z'");
  CHECK(value("date_trunc('week', 1795263662)") == "'2026-11-16T00:00:00Z'");  // a Monday
  CHECK(value("date_trunc('week', 1795392000)") == "'2026-11-23T00:00:00Z'");  // Monday itself
  CHECK(value("date_trunc('month', 1795263662)") == "'2026-11-01T00:00:00Z'");
  CHECK(value("date_trunc('quarter', 1795263662)") == "'2026-10-01T00:00:00Z'");
  CHECK(value("date_trunc('year', 1795263662)") == "'2026-01-01T00:00:00Z'");
  CHECK(value("date_trunc('minute', '2026-11-21T12:21:02Z')") == "'2026-11-21T12:21:00Z'");
  CHECK(value("date_trunc('minute', -1)") == "'1969-12-31T23:59:00Z'");
  CHECK(value("date_trunc('week', -1)") == "'1969-12-29T00:00:00Z'");
  CHECK(value("date_trunc('minute', NULL)") == "NULL");
  CHECK(value("date_trunc('5 minutes', 1795263662)") == "'2026-11-21T12:20:00Z'");
  CHECK(value("date_trunc('5m', 1795263600)") == "'2026-11-21T12:20:00Z'");
  CHECK(value("date_trunc('5m', 1795263599.999)") == "'2026-11-21T12:15:00Z'");
  CHECK(value("date_trunc('10 seconds', 1795263669.5)") == "'2026-11-21T12:21:00Z'");
  CHECK(value("date_trunc('6h', 1795263662)") == "'2026-11-21T12:00:00Z'");
  CHECK(value("date_trunc('90 minutes', -1)") == "'1969-12-31T22:30:00Z'");
  for (const char* const odd : {"7m", "0s", "500ms", "25h", "2d", "5 minutes ago"})
    CHECK(value("date_trunc('" + std::string(odd) + "', 1)").find("divides a day") != std::string::npos);
  CHECK(value("date_trunc('fortnight', 1)").find("date_trunc: the unit") != std::string::npos);
  CHECK(value("date_trunc('minute', 1e300)").find("Unix seconds") != std::string::npos);
  CHECK(value("to_unixtime('2026-11-21T12:21:02.5Z')") == "1.79526e+09");
  CHECK(value("from_unixtime(1795263662.108)") == "'2026-11-21T12:21:02.108Z'");
  CHECK(value("in_prefix('10.1.2.3', '10.0.0.0/8')") == "1");
  CHECK(value("in_prefix('11.1.2.3', '10.0.0.0/8')") == "0");
  CHECK(value("in_prefix('fd00::1', 'FD00::/16')") == "1");
  CHECK(value("in_prefix('10.1.2.3', '10.1.2.3')") == "1");
  CHECK(value("in_prefix(NULL, '10.0.0.0/8')") == "NULL");
  CHECK(value("in_prefix('x', '10.0.0.0/8')") == "0");
  CHECK(value("in_prefix('10.0.0.1', '10.0.0.1/8')").find("prefix") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "a statement may be recursive, over the log and beside it", "[query][sql]") {
  for (const std::string sql :
       {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT count(*), max(i) "
        "FROM n",
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION SELECT i % 5 + 1 FROM n) SELECT count(*), max(i) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n, (SELECT 1 FROM log LIMIT 1) WHERE i "
        "< 5) "
        "SELECT (SELECT count(*) FROM n), 5 FROM log LIMIT 1"}) {
    CAPTURE(sql);
    const SqlAnswer answer = ask(*session, sql);
    CAPTURE(answer.error ? answer.error->message : "");
    REQUIRE_FALSE(answer.error);
    CHECK(answer.rows == SqlRows{{"5", "5"}});
  }
}

TEST_CASE_METHOD(Fixture, "errors say what and where", "[query][sql]") {
  const auto error = [&](const std::string& sql) {
    return ask(*session, sql).error.value_or(Error{ErrorKind::kIo, "none"});
  };
  CHECK(error("SELECT pri_ip\nFROM log WHERE nat_prt = 1").message ==
        "SQL: no such column: nat_prt, at line 2, column 16");
  CHECK(error("SELEC 1").kind == ErrorKind::kUsage);
  CHECK(error("").message == "SQL: there is no statement");
  CHECK(error("-- nothing").message == "SQL: there is no statement");
  CHECK(error("SELECT 1; SELECT 2").message == "SQL: there is more than one statement");
  CHECK(error("SELECT count(*) FROM log WHERE in_prefix(pri_ip, '10.0.0.0/40')")
            .message.find("prefix length") != std::string::npos);
  CHECK_FALSE(ask(*session, "SELECT 1; -- that is all").error);
  CHECK_FALSE(ask(*session, "SELECT 1 ;\n ").error);
}

TEST_CASE_METHOD(Fixture, "a consumer that has enough ends the statement", "[query][sql]") {
  SqlSession::Consumer consumer;
  std::size_t columns = 0;
  consumer.on_columns = [&](const std::vector<std::string>& names) { columns = names.size(); };
  int rows = 0;
  consumer.on_row = [&](std::span<const SqlValue>) { return ++rows < 5; };
  const auto result = session->run("SELECT pri_ip, nat_port FROM log", consumer);
  REQUIRE(result);
  CHECK(rows == 5);
  CHECK(columns == 2);
}

TEST_CASE_METHOD(Fixture, "a session sees what was written since its last statement", "[query][sql]") {
  const std::string sql = "SELECT count(*) FROM log";
  const std::string before = ask(*session, sql).rows[0][0];
  CHECK(before == std::to_string(ledger.all.size()));
  ledger.frame(dice.traffic(50, at_minute(300), at_minute(310)));
  CHECK(ask(*session, sql).rows[0][0] == std::to_string(ledger.all.size()));
}

TEST_CASE("an empty ledger is an empty table", "[query][sql]") {
  const QueryLedger ledger;
  const auto session = open_session(ledger.view());
  CHECK(ask(*session, "SELECT count(*), sum(bytes_from_vpc) FROM log").rows == SqlRows{{"0", "NULL"}});
  CHECK(ask(*session, "SELECT * FROM log").rows.empty());
}

}  // namespace
}  // namespace natsession::testing
