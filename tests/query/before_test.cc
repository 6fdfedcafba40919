// Questions to a ledger whose frames are of version 1: 50 records, numbered_record(0) to (49).
#include <filesystem>

#include <catch2/catch.hpp>

#include "query/sql_fixture.h"
#include "query/trace.h"
#include "support/numbered_record.h"

namespace natsession::testing {
namespace {

SegmentList view_of_before() {
  auto view = SegmentList::open(NATSESSION_LEDGER_BEFORE);
  if (!view) throw std::runtime_error(view.error().message);
  return std::move(*view);
}

TEST_CASE("a trace over frames of version 1 finds who had the address", "[query][trace][before]") {
  const SessionRecord wanted = numbered_record(44);
  TraceQuestion question;
  question.nat_ip = wanted.nat_ip;
  question.nat_port = wanted.nat_port;
  question.from = question.until = wanted.start_time + std::chrono::milliseconds(500);
  question.slack = {};
  const auto found = trace(view_of_before(), {question}, {}, with_threads(2));
  REQUIRE(found);
  REQUIRE(found->answers.size() == 1);
  REQUIRE_FALSE(found->answers[0].candidates.empty());
  const TraceCandidate& best = found->answers[0].candidates[0];
  CHECK(best.record.seq == 44);
  CHECK(best.record.pri_ip == wanted.pri_ip);
  CHECK(best.record.pri_port == wanted.pri_port);
  question.nat_port = 1;  // nobody's
  const auto nobody = trace(view_of_before(), {question}, {}, with_threads(2));
  REQUIRE(nobody);
  CHECK(nobody->answers[0].candidates.empty());
}

TEST_CASE("SQL over frames of version 1 answers as over a plain table with the same rows",
          "[query][sql][before]") {
  std::vector<SessionRecord> records;
  for (std::uint32_t number = 0; number < 50; ++number) {
    records.push_back(numbered_record(number));
    records.back().session_id = derive_session_id(records.back());
  }
  PlainTable plain(records, view_of_before());
  const auto session = open_session(view_of_before());
  for (const std::string sql :
       {"SELECT * FROM log ORDER BY seq", "SELECT count(*), sum(bytes_from_vpc) FROM log",
        "SELECT nat_ip, count(*), sum(pkts_from_vpc) FROM log GROUP BY nat_ip",
        "SELECT seq FROM log WHERE pri_ip = '10.0.0.2' AND nat_port = 50000 AND seq > 37 ORDER BY seq",
        "SELECT seq FROM log WHERE pub_ip = '198.51.100.8'"}) {
    CAPTURE(sql);
    const SqlAnswer answer = ask(*session, sql);
    if (answer.error) FAIL(answer.error->message);
    CHECK(answer.rows == plain.ask(sql));
  }
  CHECK(ask(*session, "SELECT count(*) FROM log WHERE end_time < '1970-01-01T00:00:20Z'").rows ==
        SqlRows{{"19"}});
}

}  // namespace
}  // namespace natsession::testing
