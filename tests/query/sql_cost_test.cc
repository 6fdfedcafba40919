// What a statement may cost.
#include <ctime>

#include <catch2/catch.hpp>

#include "query/sql_fixture.h"

namespace natsession::testing {
namespace {

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
  CHECK(seconds(nested + " SELECT count(*) FROM t39") < 10);
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
