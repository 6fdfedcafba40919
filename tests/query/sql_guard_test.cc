#include <ctime>
#include <filesystem>
#include <sstream>

#include <catch2/catch.hpp>

#include "query/sql_dice.h"
#include "query/sql_fixture.h"
#include "support/sanitizer.h"

namespace natsession::testing {
namespace {

TEST_CASE_METHOD(SqlGuardFixture, "whatever is not reading the log is refused", "[query][sql][guard]") {
  const TempDir folder;
  const std::string file = folder.file("stolen");
  const std::vector<std::string> attacks = {
      "CREATE TABLE t(a)",
      "CREATE TEMP TABLE t(a)",
      "CREATE TABLE t AS SELECT * FROM log",
      "CREATE VIEW v AS SELECT * FROM log",
      "CREATE TEMP VIEW v AS SELECT 1",
      "CREATE INDEX i ON log(pri_ip)",
      "CREATE TRIGGER t AFTER INSERT ON log BEGIN SELECT 1; END",
      "CREATE TEMP TRIGGER t AFTER INSERT ON log BEGIN SELECT 1; END",
      "CREATE VIRTUAL TABLE v USING log",
      "CREATE VIRTUAL TABLE v USING fts5(a)",
      "CREATE VIRTUAL TABLE temp.v USING csv(filename='/etc/passwd')",
      "INSERT INTO log(pri_ip) VALUES('10.0.0.1')",
      "INSERT INTO log SELECT * FROM log",
      "REPLACE INTO log(pri_ip) VALUES('10.0.0.1')",
      "UPDATE log SET pri_ip = '10.0.0.1'",
      "DELETE FROM log",
      "DELETE FROM log RETURNING *",
      "WITH x AS (SELECT 1) DELETE FROM log",
      "DROP TABLE log",
      "ALTER TABLE log RENAME TO gol",
      "ATTACH '" + file + "' AS x",
      "ATTACH ':memory:' AS x",
      "ATTACH DATABASE 'file:" + file + "?mode=rwc' AS x",
      "DETACH main",
      "VACUUM",
      "VACUUM INTO '" + file + "'",
      "ANALYZE",
      "REINDEX",
      "BEGIN",
      "BEGIN IMMEDIATE",
      "COMMIT",
      "ROLLBACK",
      "SAVEPOINT s",
      "RELEASE s",
      "PRAGMA database_list",
      "PRAGMA table_info(log)",
      "PRAGMA temp_store_directory = '/tmp'",
      "PRAGMA temp_store = FILE",
      "PRAGMA query_only = 0",
      "PRAGMA writable_schema = 1",
      "PRAGMA hard_heap_limit = 1000000000000",
      "PRAGMA soft_heap_limit = 0",
      "PRAGMA journal_mode = WAL",
      "PRAGMA trusted_schema = 1",
      "SELECT * FROM pragma_database_list",
      "SELECT * FROM pragma_table_info('log')",
      "SELECT * FROM pragma_function_list",
      "SELECT * FROM pragma_compile_options",
      "SELECT * FROM sqlite_master",
      "SELECT * FROM sqlite_schema",
      "SELECT * FROM sqlite_temp_master",
      "SELECT * FROM temp.sqlite_schema",
      "SELECT name FROM main.sqlite_master",
      "SELECT count(*) FROM sqlite_master",
      "SELECT count(*) FROM main.sqlite_schema",
      "SELECT 1 FROM temp.sqlite_temp_schema",
      "SELECT count(*) FROM pragma_database_list",
      "SELECT count(*) FROM json_each('[1, 2]')",
      "WITH t AS (SELECT 1) SELECT count(*) FROM t, sqlite_schema",
      "SELECT load_extension('libc.so.6')",
      "SELECT load_extension('libc.so.6', 'main')",
      "SELECT readfile('/etc/passwd')",
      "SELECT writefile('" + file + "', 'x')",
      "SELECT edit('x')",
      "SELECT fts3_tokenizer('simple')",
      "SELECT fts3_tokenizer('x', x'4141414141414141')",
      "SELECT sqlite_compileoption_get(0)",
      "SELECT * FROM fsdir('/')",
      "SELECT * FROM csv('/etc/passwd')",
      "SELECT * FROM dbstat",
      "SELECT * FROM sqlite_dbpage",
      "SELECT * FROM bytecode('SELECT 1')",
      "SELECT * FROM sqlite_stmt",
      "SELECT * FROM generate_series(1, 10)",
      "SELECT 1; DROP TABLE log",
      "SELECT 1; ATTACH '" + file + "' AS x",
      ".open " + file,
      ".shell id",
      "EXPLAIN DELETE FROM log",
      std::string("SELECT 1\0; DROP TABLE log", 25),
  };
  for (const std::string& sql : attacks) {
    CAPTURE(sql);
    const SqlAnswer answer = ask(*session, sql);
    REQUIRE(answer.error);
    CHECK(answer.error->kind == ErrorKind::kUsage);
    CHECK(answer.rows.empty());
    const SqlAnswer after = ask(*session, "SELECT count(*) FROM log");
    if (after.error) FAIL(after.error->message);
  }
  CHECK_FALSE(std::filesystem::exists(file));
  // And all is as it was.
  CHECK(ask(*session, "SELECT count(*) FROM log").rows[0][0] == std::to_string(ledger.all.size()));
}

TEST_CASE_METHOD(SqlGuardFixture, "memory has an end, and the session goes on behind it",
                 "[query][sql][guard]") {
  SqlOptions options;
  options.memory = ByteCount{std::uint64_t{8} << 20};
  session.reset();
  session = open_session(ledger.view(), options);
  for (const std::string sql :
       {"SELECT group_concat(a.pri_ip || b.pub_ip || hex(zeroblob(1000))) FROM log a, log b",
        "WITH RECURSIVE n(i, x) AS (SELECT 1, hex(zeroblob(500)) UNION ALL SELECT i + 1, hex(zeroblob(500)) "
        "FROM n WHERE i < 1000000) "
        "SELECT count(*) FROM (SELECT DISTINCT i, x FROM n)",
        "SELECT a.pri_ip, b.pub_ip, hex(zeroblob(200)) || a.session_id || b.session_id x FROM log a, log b "
        "ORDER BY x"}) {
    CAPTURE(sql);
    const SqlAnswer answer = ask(*session, sql);
    REQUIRE(answer.error);
    CAPTURE(answer.error->message);
    CHECK((answer.error->message.find("8M") != std::string::npos ||
           answer.error->message.find("too big") != std::string::npos));
  }
  CHECK(ask(*session, "SELECT zeroblob(1000000000)").error);
  static_cast<void>(ask(*session, "SELECT printf('%1000000000d', 1)"));
  CHECK(ask(*session, "SELECT count(*) FROM log").rows[0][0] == std::to_string(ledger.all.size()));
}

TEST_CASE_METHOD(SqlGuardFixture, "what takes too long, or is cancelled, ends", "[query][sql][guard]") {
  const std::string endless =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
  const std::string slow =
      "SELECT count(*) FROM log a, log b, log c WHERE a.nat_port + b.nat_port + c.nat_port < 0";
  SqlOptions options;
  options.time_limit = std::chrono::milliseconds(30);
  const auto limited = open_session(ledger.view(), options);
  for (const std::string& sql : {endless, slow}) {
    const SqlAnswer late = ask(*limited, sql);
    REQUIRE(late.error);
    CHECK(late.error->kind == ErrorKind::kUnavailable);
    CHECK(late.error->message == "SQL: the statement took longer than 30ms");
  }
  std::atomic<bool> cancel = true;
  options = {};
  options.control.cancel = &cancel;
  const auto cancelled = open_session(ledger.view(), options);
  for (const std::string& sql : {endless, slow}) {
    const SqlAnswer answer = ask(*cancelled, sql);
    REQUIRE(answer.error);
    CHECK(answer.error->message == "SQL: cancelled");
  }
  cancel = false;
  CHECK_FALSE(ask(*cancelled, "SELECT count(*) FROM log").error);
}

TEST_CASE_METHOD(SqlGuardFixture, "statements that are too long or too deep are refused",
                 "[query][sql][guard]") {
  CHECK(ask(*session, "SELECT '" + std::string(200'000, 'x') + "'").error);
  CHECK(ask(*session, "SELECT " + std::string(5'000, '(') + "1" + std::string(5'000, ')')).error);
  std::string many = "SELECT 1";
  for (int i = 0; i < 1000; ++i) many += " UNION ALL SELECT 1";
  CHECK(ask(*session, many).error);
  CHECK(ask(*session, "SELECT count(*) FROM log WHERE pri_ip LIKE '" + std::string(5'000, '%') + "'").error);
}

TEST_CASE_METHOD(SqlGuardFixture, "texts that are hardly SQL do no harm", "[query][sql][guard]") {
  std::istringstream all(
      "SELECT|FROM|log|WHERE|pri_ip|=|'10.0.0.1'|(|)|,|*|GROUP BY|ORDER BY|__time__|date_trunc|in_prefix|"
      "'10.0.0.0/8'|NULL|UNION|JOIN|ON|AND|OR|NOT|IN|BETWEEN|1|-1|1e308|9223372036854775807|x'00ff'|;|--|/"
      "*|*/|WITH|"
      "AS|LIMIT|rowid|count|sum|?1|:a|@b|\"pri_ip\"|`log`|[log]|'|\"|\\|$|EXPLAIN|VALUES|CASE|WHEN|END|CAST|"
      "COLLATE|"
      "NOCASE|\xff\xfe|\xc3(");
  std::vector<std::string> words;
  for (std::string word; std::getline(all, word, '|');) words.push_back(word);
  SqlOptions options;
  options.time_limit = std::chrono::seconds(2);
  const auto limited = open_session(ledger.view(), options);
  for (int i = 0; i < rounds(20'000); ++i) {
    std::string sql = dice.one_in(2) ? "SELECT " : "";
    for (std::uint64_t more = dice.pick(15); more > 0; --more) {
      sql += words[dice.pick(words.size())];
      if (!dice.one_in(10)) sql += ' ';
    }
    CAPTURE(sql);
    const SqlAnswer answer = ask(*limited, sql);
    if (answer.error) REQUIRE_FALSE(answer.error->message.empty());
  }
  CHECK_FALSE(ask(*limited, "SELECT count(*) FROM log").error);
}

TEST_CASE_METHOD(SqlGuardFixture, "statements with random bytes put into them do no harm",
                 "[query][sql][guard]") {
  SqlDice questions(72, ledger.all);
  SqlOptions options;
  options.time_limit = std::chrono::seconds(2);
  const auto limited = open_session(ledger.view(), options);
  for (int i = 0; i < rounds(3'000); ++i) {
    std::string sql = questions.roll();
    for (std::uint64_t changes = 1 + dice.pick(3); changes > 0; --changes) {
      const std::size_t at = dice.pick(sql.size());
      if (dice.one_in(2)) {
        sql[at] = static_cast<char>(dice.pick(256));
      } else {
        sql.erase(at, 1 + dice.pick(4));
      }
    }
    CAPTURE(sql);
    static_cast<void>(ask(*limited, sql));
  }
  CHECK_FALSE(ask(*limited, "SELECT count(*) FROM log").error);
}

// What a statement may cost.

// SQLite looks at a time limit between its steps only: a step that never ends would be one that nothing
// stops.
TEST_CASE_METHOD(SqlGuardFixture, "no single function takes long, whatever it is given",
                 "[query][sql][guard]") {
  const auto seconds = [&](const std::string& sql) {
    timespec before{};
    timespec after{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    static_cast<void>(ask(*session, sql));
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    return static_cast<double>(after.tv_sec - before.tv_sec) +
           static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e9;
  };
  const auto letters = [](int count, const std::string& letter) {
    return "replace(hex(zeroblob(" + std::to_string(count / 2) + ")), '0', '" + letter + "')";
  };
  for (const int size : {90'000, 3'900'000}) {
    const std::string text = letters(size, "a");
    const std::string half = letters(size / 2, "a");
    const std::string pattern = letters(990, "a");
    CHECK(seconds("SELECT instr(" + text + ", " + half + " || 'b')") < 3);
    CHECK(seconds("SELECT length(replace(" + text + ", " + half + " || 'b', ''))") < 3);
    CHECK(seconds("SELECT " + text + " LIKE '%' || " + pattern + " || 'b%'") < 3);
    CHECK(seconds("SELECT " + text + " GLOB '*' || " + pattern + " || 'b*'") < 3);
  }
  std::string nested = "WITH t0 AS (SELECT 1 x)";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "t" + std::to_string(i - 1);
    nested += ", t" + std::to_string(i) + " AS (SELECT a.x FROM " + before + " a, " + before + " b)";
  }
  CHECK(seconds(nested + " SELECT count(*) FROM t39") < (kThreadSanitizer ? 30 : 10));
}

TEST_CASE_METHOD(SqlGuardFixture, "values that are made out of nothing have an end", "[query][sql][guard]") {
  for (const std::string expression :
       {"zeroblob(1000000000)", "zeroblob(2147483647)", "zeroblob(9223372036854775807)",
        "hex(randomblob(1000000000))", "length(randomblob(2147483647))",
        "replace(hex(zeroblob(5000)), '0', hex(zeroblob(5000)))", "json_patch('{}', '{}')",
        "quote(zeroblob(60000))"}) {
    CAPTURE(expression);
    const SqlAnswer answer = ask(*session, "SELECT " + expression);
    CHECK(answer.error);
  }
  CHECK(ask(*session, "SELECT count(*) FROM log").rows[0][0] == std::to_string(ledger.all.size()));
}

TEST_CASE_METHOD(SqlGuardFixture, "a statement reads the log in a few places at once, and no more",
                 "[query][sql][guard]") {
  std::string many = "SELECT count(*) FROM log t0";
  for (int i = 1; i < 40; ++i) {
    many += ", (SELECT * FROM log LIMIT 1) t" + std::to_string(i);
  }
  static_cast<void>(ask(*session, many));
  std::string joined = "SELECT count(*) FROM log t0";
  for (int i = 1; i < 40; ++i) joined += " JOIN log t" + std::to_string(i) + " ON t0.seq = -1";
  static_cast<void>(ask(*session, joined));
  std::string crossed = "SELECT t0.seq FROM log t0";
  for (int i = 1; i < 40; ++i) crossed += ", log t" + std::to_string(i);
  const SqlAnswer answer = ask(*session, crossed + " LIMIT 1");
  REQUIRE(answer.error);
  CHECK(answer.error->message.find("at once") != std::string::npos);
  // One behind the other is something else.
  std::string behind = "SELECT count(*) FROM log";
  for (int i = 1; i < 30; ++i) behind += " UNION ALL SELECT count(*) FROM log";
  const SqlAnswer sums = ask(*session, behind);
  if (sums.error) FAIL(sums.error->message);
  CHECK(sums.rows.size() == 30);
}

}  // namespace
}  // namespace natsession::testing
