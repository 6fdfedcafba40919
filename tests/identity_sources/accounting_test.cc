#include "identity/sources/accounting.h"

#include <catch2/catch.hpp>

#include "identity_sources/text_story.h"

namespace natsession::testing {
namespace {

using Status = AccountingReport::Status;

AccountingReport report_of(Status status, const std::string& session, double received) {
  AccountingReport report;
  report.status = status;
  report.session_id = session;
  report.user = "chen";
  report.nas_identifier = "nas1";
  report.received = at_unix(received);
  return report;
}

}  // namespace

TEST_CASE("what tells of more than a day ago is stale, unless it was delayed, or its clock was never set",
          "[identity][radius]") {
  constexpr double kNow = 1'796'000'000, kDays = 86'400;
  AccountingReport report = report_of(Status::kStart, "1", kNow);
  const auto told = [&](double seconds) {
    report.event = UnixMs(std::chrono::seconds(static_cast<std::int64_t>(seconds)));
    return report.is_stale();
  };
  CHECK_FALSE(report.is_stale());
  CHECK_FALSE(told(kNow - 0.9 * kDays));
  CHECK(told(kNow - 2 * kDays));
  CHECK_FALSE(told(1000));
  report.delay_seconds = 2 * 86'400;
  CHECK_FALSE(told(kNow - 2 * kDays));
}

TEST_CASE("a report is of the time that its client says, where that can be", "[identity][accounting]") {
  AccountingReport report = report_of(Status::kStart, "1", 1'000'000.5);
  const auto happened = [&] { return text_of(report.happened()); };
  CHECK(happened() == "1000000.500");
  report.delay_seconds = 10;
  CHECK(happened() == "999990.500");
  report.event = at_unix(999'000);
  CHECK(happened() == "999000");
  report.event = at_unix(999'990);  // within the second
  CHECK(happened() == "999990.500");
  report.event = at_unix(2'000'000);  // of a clock that is ahead
  CHECK(happened() == "1000000.500");
  report.event = at_unix(5);  // of a clock that was never set
  CHECK(happened() == "999990.500");
  report.event.reset();
  report.delay_seconds = 4'000'000'000;
  CHECK(happened() == "0");
}

TEST_CASE("a Stop that says no addresses ends those of its session", "[identity][accounting]") {
  IdentityStory story;
  AccountingReport start = report_of(Status::kStart, "1", 100);
  start.prefixes = {*Prefix::parse("10.0.0.1"), *Prefix::parse("2001:db8::/56")};
  tell_accounting(start, "192.0.2.1", story);
  CHECK(story.take().size() == 2);
  tell_accounting(report_of(Status::kStop, "1", 200), "192.0.2.1", story);
  CHECK(story.take() == Story{"ended_session nas1 1 at 200"});
  start.status = Status::kStop;
  tell_accounting(start, "192.0.2.1", story);
  CHECK(story.take() == Story{"ended 10.0.0.1 id=1 at 100", "ended 2001:db8::/56 id=1 at 100",
                              "ended_session nas1 1 at 100"});
}

TEST_CASE("an Interim-Update says since when the session is", "[identity][accounting]") {
  IdentityStory story;
  AccountingReport interim = report_of(Status::kInterim, "1", 1000);
  interim.prefixes = {*Prefix::parse("10.0.0.1")};
  interim.session_seconds = 600;
  tell_accounting(interim, "192.0.2.1", story);
  interim.session_seconds = 4'000'000'000;
  tell_accounting(interim, "192.0.2.1", story);
  CHECK(story.take() == Story{"seen 10.0.0.1 session chen id=1 group=nas1 since=400 at 1000",
                              "seen 10.0.0.1 session chen id=1 group=nas1 at 1000"});
}

TEST_CASE("who a session is of: the user, else the class, else the station", "[identity][accounting]") {
  IdentityStory story;
  AccountingReport start = report_of(Status::kStart, "1", 100);
  start.prefixes = {*Prefix::parse("10.0.0.1")};
  start.user.clear();
  start.nas_identifier.clear();
  start.cls = "gold-77";
  start.calling_station = "02-00-00-00-00-01";
  tell_accounting(start, "192.0.2.1", story);
  start.cls.clear();
  start.nas_address = *IpAddress::parse("192.0.2.7");
  tell_accounting(start, "192.0.2.1", story);
  start.calling_station = "line 4";
  tell_accounting(start, "192.0.2.1", story);
  CHECK(story.take() ==
        Story{"seen 10.0.0.1 session gold-77 mac=02:00:00:00:00:01 id=1 group=192.0.2.1 since=100 at 100",
              "seen 10.0.0.1 session 02:00:00:00:00:01 mac=02:00:00:00:00:01 id=1 group=192.0.2.7 since=100 "
              "at 100",
              "seen 10.0.0.1 session line 4 id=1 group=192.0.2.7 since=100 at 100"});
}

TEST_CASE("a client that begins anew ends all of its sessions", "[identity][accounting]") {
  IdentityStory story;
  tell_accounting(report_of(Status::kOn, "", 100), "192.0.2.1", story);
  tell_accounting(report_of(Status::kOff, "", 101), "192.0.2.1", story);
  tell_accounting(report_of(Status::kOther, "1", 101), "192.0.2.1", story);
  CHECK(story.take() == Story{"ended_group nas1 at 100", "ended_group nas1 at 101"});
  tell_accounting(report_of(Status::kNone, "1", 100), "192.0.2.1", story);
  tell_accounting(report_of(Status::kStart, "", 100), "192.0.2.1", story);
  CHECK(story.take() == Story{"refused a RADIUS report without Acct-Status-Type, from 192.0.2.1",
                              "refused a RADIUS report without Acct-Session-Id, from 192.0.2.1"});
}

}  // namespace natsession::testing
