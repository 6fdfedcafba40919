#include "query/proof.h"

#include <catch2/catch.hpp>

#include "query/query_fixture.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;
using Catch::Matchers::Contains;

Coverage covered(UnixMs from, UnixMs until, const std::string& netns = "") {
  return {netns, from, until, false, {7, 0, 0, 10min}};
}

struct ProofFixture {
  void prove(const std::vector<Coverage>& coverage) { ledger.writer->prove(coverage, true, true); }
  QueryLedger ledger;
};

TEST_CASE_METHOD(ProofFixture, "without coverage nothing is proved", "[query][proof]") {
  CHECK_THAT(Proof(ledger.view()).missing(at_minute(0), at_minute(1)), Contains("does not tell"));
  CHECK_THAT(Proof(ledger.view(), at_minute(5)).missing_open(at_minute(0), at_minute(1)),
             Contains("does not tell"));
  CHECK_FALSE(Proof(ledger.view()).recorded_until());
}

TEST_CASE_METHOD(ProofFixture, "all that ended is there within what is covered, and nowhere else",
                 "[query][proof]") {
  prove({covered(at_minute(10), at_minute(60))});
  const Proof proof(ledger.view());
  CHECK(proof.missing(at_minute(10), at_minute(60)).empty());
  CHECK_THAT(proof.missing(at_minute(10), at_ms(kDayBegin + 3'600'001)), Contains("is recorded until"));
  CHECK_THAT(proof.missing(at_minute(9), at_minute(20)),
             Contains("not all sessions were logged") && Contains("but from "));
  CHECK_THAT(proof.missing(at_minute(61), at_minute(62)), Contains("not all sessions were logged"));
  CHECK(proof.missing({}, at_minute(60)).empty());
  CHECK_THAT(proof.missing({}, at_minute(9)), Contains("not all sessions were logged"));
  CHECK(proof.missing(at_minute(10), {}).empty());
  CHECK(proof.recorded_until() == at_minute(60));
}

TEST_CASE_METHOD(ProofFixture,
                 "a session that was open has its record a day and a window later at the latest",
                 "[query][proof]") {
  constexpr int kLater = 24 * 60 + 10;
  prove({covered(at_minute(10), at_minute(20 + kLater))});
  const Proof proof(ledger.view());
  CHECK(proof.missing_open(at_minute(10), at_minute(20)).empty());
  CHECK_THAT(proof.missing_open(at_minute(10), at_minute(21)), Contains("open and silent"));
}

TEST_CASE_METHOD(ProofFixture, "where it was stopped in order, all that was open has a record by then",
                 "[query][proof]") {
  Coverage coverage = covered(at_minute(10), at_minute(20));
  coverage.whole = true;
  prove({coverage});
  CHECK(Proof(ledger.view()).missing_open(at_minute(19), at_minute(20)).empty());
  CHECK_FALSE(Proof(ledger.view()).missing_open(at_minute(20), at_minute(21)).empty());
}

TEST_CASE_METHOD(ProofFixture, "what the daemon says of open sessions proves the rest, until it was asked",
                 "[query][proof]") {
  prove({covered(at_minute(10), at_minute(20))});
  CHECK(Proof(ledger.view(), at_minute(20)).missing_open(at_minute(15), at_minute(20)).empty());
  CHECK_FALSE(Proof(ledger.view(), at_minute(19)).missing_open(at_minute(15), at_minute(20)).empty());
  CHECK_FALSE(Proof(ledger.view(), at_minute(21)).missing_open(at_minute(15), at_minute(20)).empty());
}

TEST_CASE_METHOD(ProofFixture,
                 "with records at the end only, nothing but the daemon or a stop proves the rest",
                 "[query][proof]") {
  Coverage coverage = covered(at_minute(10), at_minute(10'000));
  coverage.conditions.records = kRecordsAtEndOnly;
  prove({coverage});
  CHECK_THAT(Proof(ledger.view()).missing_open(at_minute(15), at_minute(20)), Contains("only when they end"));
  CHECK(Proof(ledger.view(), at_minute(10'000)).missing_open(at_minute(15), at_minute(20)).empty());
}

TEST_CASE_METHOD(ProofFixture, "of a time that came twice it is not proved which sessions were open",
                 "[query][proof]") {
  Coverage before = covered(at_minute(10), at_minute(30));
  Coverage after = covered(at_minute(25), at_minute(60));
  before.whole = after.whole = true;
  prove({before});
  prove({after});
  const Proof proof(ledger.view());
  CHECK(proof.missing_open(at_minute(20), at_minute(24)).empty());
  CHECK_THAT(proof.missing_open(at_minute(24), at_minute(26)), Contains("came twice"));
  CHECK_THAT(proof.missing_open(at_minute(28), at_minute(28)), Contains("came twice"));
  CHECK_FALSE(proof.missing_open(at_minute(31), at_minute(60)).empty());  // it may have gone on until then
  CHECK(proof.missing_open(at_minute(32), at_minute(60)).empty());
  CHECK(proof.missing(at_minute(25), at_minute(60)).empty());  // what ended then is there all the same
}

TEST_CASE_METHOD(ProofFixture, "what open sessions moved is recorded a window later, or at their end",
                 "[query][proof]") {
  prove({covered(at_minute(10), at_minute(60))});
  CHECK(Proof(ledger.view()).missing_moved(at_minute(10), at_minute(50)).empty());
  CHECK_THAT(Proof(ledger.view()).missing_moved(at_minute(10), at_minute(51)),
             Contains("in sessions that go on as late as"));
  // So of records that overlap a time; but not of those that ended in it.
  ScanReport report;
  tell_proved(ledger.view(), Query::overlapping(at_minute(40), at_minute(55)), false, report);
  CHECK_FALSE(report.missing.empty());
  tell_proved(ledger.view(), Query::ended_within(at_minute(40), at_minute(55)), false, report);
  CHECK(report.missing.empty());
  // Nor of what is asked by when sessions began.
  Query begun;
  begun.session_start = {at_minute(40), at_minute(50)};
  tell_proved(ledger.view(), begun, false, report);
  CHECK(report.missing.empty());
  begun.session_start = {at_minute(40), at_minute(55)};
  tell_proved(ledger.view(), begun, false, report);
  CHECK_FALSE(report.missing.empty());
  begun.session_start = {at_minute(5), at_minute(50)};
  tell_proved(ledger.view(), begun, false, report);
  CHECK_FALSE(report.missing.empty());
  Coverage coverage = covered(at_minute(10), at_minute(10'000));
  coverage.conditions.records = kRecordsAtEndOnly;
  prove({coverage});
  CHECK_THAT(Proof(ledger.view()).missing_moved(at_minute(15), at_minute(20)),
             Contains("only when they end"));
}

TEST_CASE_METHOD(ProofFixture, "every namespace that was ever watched must have been watched",
                 "[query][proof]") {
  prove({covered(at_minute(0), at_minute(60), "blue"), covered(at_minute(0), at_minute(30), "red")});
  const Proof proof(ledger.view());
  CHECK(proof.missing(at_minute(10), at_minute(30)).empty());
  CHECK_THAT(proof.missing(at_minute(10), at_minute(31)), Contains("network namespace red"));
  CHECK(proof.recorded_until() == at_minute(30));
}

TEST_CASE_METHOD(ProofFixture, "one namespace can be asked alone, and that is told where another is missing",
                 "[query][proof]") {
  Coverage blue = covered(at_minute(0), at_minute(60), "blue");
  Coverage red = covered(at_minute(0), at_minute(30), "red");
  blue.whole = red.whole = true;
  prove({blue, red});
  const Proof proof(ledger.view());
  const std::string missing = proof.missing_open(at_minute(40), at_minute(50));
  CHECK_THAT(missing,
             Contains("network namespace red: ") && Contains("; proved is what --netns blue asks about"));
  CHECK(proof.missing_open(at_minute(40), at_minute(50), "blue").empty());
  CHECK(proof.missing_open(at_minute(40), at_minute(50), "red") == missing.substr(0, missing.find(';')));
  CHECK_FALSE(proof.missing_open(at_minute(40), at_minute(50), "green").empty());
  CHECK_FALSE(Contains("--netns").match(proof.missing_open(at_minute(70), at_minute(80))));
}

TEST_CASE_METHOD(ProofFixture, "a time with an interruption in it is not covered", "[query][proof]") {
  prove({covered(at_minute(0), at_minute(10))});
  prove({covered(at_minute(11), at_minute(20))});
  const Proof proof(ledger.view());
  CHECK(proof.missing(at_minute(11), at_minute(20)).empty());
  CHECK_FALSE(proof.missing(at_minute(9), at_minute(12)).empty());
  CHECK_FALSE(proof.missing(at_ms(kDayBegin + 630'000), at_minute(12)).empty());
}

}  // namespace
}  // namespace natsession::testing
