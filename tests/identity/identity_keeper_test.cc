#include "identity/identity_keeper.h"

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "identity/kept_log.h"

namespace natsession::testing {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// Seconds of the day that the issue tells of; 14:57:00 is at(57, 0).
UnixMs at(int minute, int second) {
  return UnixMs(hours(24 * 20'000 + 14) + minutes(minute) + seconds(second));
}

struct KeeperFixture {
  KeptIdentity kept;
  std::unique_ptr<IdentityKeeper> keeper;
  IdentityOutput* leases = nullptr;

  KeeperFixture() { start(); }
  void start() {
    keeper = std::make_unique<IdentityKeeper>(std::make_unique<KeptLog>(kept), IdentityKeeper::Settings());
    leases = &keeper->add_source("leases", "");
  }
  static SeenAssignment lease(const char* prefix, std::string_view who,
                              std::optional<UnixMs> expires = std::nullopt,
                              std::optional<UnixMs> since = std::nullopt) {
    SeenAssignment seen;
    seen.prefix = *Prefix::parse(prefix);
    seen.kind = AssignmentKind::kLease;
    seen.subscriber = who;
    seen.since = since;
    seen.expires = expires;
    return seen;
  }
  // All that there is, told at once.
  void whole(UnixMs when, std::initializer_list<SeenAssignment> all) {
    leases->begin_whole();
    for (const SeenAssignment& one : all) leases->seen(one, when);
    leases->end_whole(when);
    leases->followed(when);
  }
  void follow(UnixMs until) {
    leases->followed(until);
    // Its sweep goes round within a minute.
    for (int second = 0; second <= 61; ++second) keeper->work(until + seconds(second));
  }
  std::string who(const char* address, UnixMs start, UnixMs end) const {
    ShortText subscriber, mac, host;
    const bool found = keeper->find("", *IpAddress::parse(address), start, end, {&subscriber, &mac, &host});
    return found ? std::string(subscriber.view()) : "";
  }
  AddressAssignment of(std::string_view who) const {
    for (const AddressAssignment& one : kept.all()) {
      if (one.subscriber == who) return one;
    }
    FAIL("no assignment of " << who);
    return {};
  }
};

TEST_CASE_METHOD(KeeperFixture, "who many were is asked at once, as one by one") {
  whole(at(0, 0), {});
  for (int host = 0; host < 100; ++host) {
    const std::string prefix = host % 3 == 0   ? "2001:db8:" + std::to_string(host) + "::/56"
                               : host % 3 == 1 ? "2001:db8::" + std::to_string(host)
                                               : "10.0.0." + std::to_string(host);
    leases->seen(lease(prefix.c_str(), "host-" + std::to_string(host)), at(0, 1));
    if (host % 5 == 0) leases->seen(lease(prefix.c_str(), "later-" + std::to_string(host)), at(4, 0));
  }
  leases->followed(at(5, 0));
  std::vector<IdentityKeeper::Question> questions;
  std::vector<std::array<ShortText, 3>> names(400);
  const auto ask = [&](const std::string& address, UnixMs start, UnixMs end) {
    auto& [subscriber, mac, host] = names[questions.size()];
    subscriber = mac = host = "of a question before";
    questions.push_back({"", *IpAddress::parse(address), start, end, {&subscriber, &mac, &host}});
  };
  for (int host = 0; host < 120; ++host) {  // some that nobody has
    for (const std::string& address : {"2001:db8:" + std::to_string(host) + "::1",
                                       "2001:db8::" + std::to_string(host), "10.0.0." + std::to_string(host)})
      ask(address, at(host % 6, 0), at(host % 6, 30));
  }
  keeper->find_all(questions);
  std::size_t known = 0;
  for (const IdentityKeeper::Question& one : questions) {
    ShortText subscriber, mac, host;
    const bool found = keeper->find("", one.address, one.start, one.end, {&subscriber, &mac, &host});
    REQUIRE(one.known == found);
    if (!found) continue;
    ++known;
    CHECK(*one.names.subscriber == subscriber);
    CHECK(*one.names.mac == mac);
    CHECK(*one.names.host == host);
  }
  CHECK(known > 50);
  keeper->find_all({});
}

TEST_CASE_METHOD(KeeperFixture, "a lease that is renewed is one assignment") {
  whole(at(0, 0), {});
  leases->seen(lease("10.0.0.5", "a", at(10, 0), at(0, 10)), at(0, 10));
  for (int minute = 5; minute <= 50; minute += 5) {
    leases->followed(at(minute, 0));
    leases->seen(lease("10.0.0.5", "a", at(minute + 10, 0), at(minute, 0)), at(minute, 0));
    follow(at(minute, 1));
  }
  REQUIRE(kept.all().size() == 1);
  CHECK(of("a").from == at(0, 10));
  CHECK(!of("a").until);
  CHECK(who("10.0.0.5", at(40, 0), at(49, 0)) == "a");
}

TEST_CASE_METHOD(KeeperFixture,
                 "a lease that nobody renews ends when it expires, however late that is seen") {
  whole(at(0, 0), {lease("10.0.0.5", "a", at(10, 0), at(0, 0))});
  follow(at(15, 0));
  CHECK(of("a").until == at(10, 0));
  CHECK(of("a").until_latest == at(10, 0));
  CHECK(who("10.0.0.5", at(9, 0), at(9, 59)) == "a");
  CHECK(who("10.0.0.5", at(10, 1), at(11, 0)).empty());
}

TEST_CASE_METHOD(KeeperFixture, "a lease that expired is another one's when it comes again") {
  whole(at(0, 0), {lease("10.0.0.5", "a", at(10, 0), at(0, 0))});
  leases->followed(at(20, 0));
  leases->seen(lease("10.0.0.5", "a", at(40, 0), at(20, 1)), at(20, 1));
  REQUIRE(kept.all().size() == 2);
  CHECK(kept.all()[0].until == at(10, 0));
  CHECK(kept.all()[1].from == at(20, 1));
}

TEST_CASE_METHOD(KeeperFixture, "what was renewed while nobody looked goes on") {
  whole(at(0, 0), {lease("10.0.0.5", "a", at(10, 0), at(0, 0))});
  leases->lost("stopped");
  leases->seen(lease("10.0.0.5", "a", at(40, 0), at(9, 0)), at(30, 0));
  leases->followed(at(30, 0));
  REQUIRE(kept.all().size() == 1);
  CHECK(kept.spans ==
        std::vector<SourceSpan>{{"leases", at(0, 0), at(0, 0)}, {"leases", at(30, 0), at(30, 0)}});
}

TEST_CASE_METHOD(KeeperFixture, "the holder of before and the one behind are told apart to the second") {
  whole(at(50, 0), {lease("10.0.0.5", "a", at(56, 58), at(50, 0))});
  leases->followed(at(57, 1));
  leases->seen(lease("10.0.0.5", "b", at(59, 0), at(57, 2)), at(57, 2));
  leases->followed(at(57, 58));
  CHECK(of("a").until == at(56, 58));
  CHECK(of("b").from == at(57, 2));
  CHECK(who("10.0.0.5", at(57, 3), at(57, 3)) == "b");
  CHECK(who("10.0.0.5", at(56, 50), at(57, 5)) == "a");  // it began when the address was a's
  CHECK(who("10.0.0.5", at(57, 0), at(57, 0)).empty());  // between the two it was nobody's
  CHECK(who("10.0.0.5", at(57, 3), at(58, 0)) == "b");
}

TEST_CASE_METHOD(KeeperFixture, "an end that was not seen lies between two looks") {
  whole(at(0, 0), {lease("10.0.0.5", "a")});
  leases->followed(at(5, 0));
  whole(at(6, 0), {});
  CHECK(of("a").until == at(5, 0));
  CHECK(of("a").until_latest == at(6, 0));

  whole(at(7, 0), {lease("10.0.0.5", "b")});
  CHECK(of("b").from == at(7, 0));
  CHECK(of("b").from_earliest == at(6, 0));
}

TEST_CASE_METHOD(KeeperFixture, "an end that a source could not time lies behind what was known of it") {
  whole(at(0, 0), {lease("10.0.0.5", "a"), lease("10.0.0.6", "b"), lease("10.0.0.7", "c", at(4, 0))});
  leases->followed(at(5, 0));
  leases->ended_between(*Prefix::parse("10.0.0.5"), "", at(3, 0), at(7, 0));
  leases->ended_between(*Prefix::parse("10.0.0.6"), "", at(6, 0), at(7, 0));
  leases->ended_between(*Prefix::parse("10.0.0.7"), "", at(3, 0), at(7, 0));
  CHECK(of("a").until == at(5, 0));
  CHECK(of("a").until_latest == at(7, 0));
  CHECK(of("b").until == at(6, 0));
  CHECK(of("b").until_latest == at(7, 0));
  CHECK(of("c").until == at(4, 0));
  CHECK(of("c").until_latest == at(4, 0));
}

TEST_CASE_METHOD(KeeperFixture, "what ended in a run before and is told once more is not there twice") {
  whole(at(0, 0), {});
  leases->seen(lease("10.0.0.5", "a", at(30, 0), at(1, 0)), at(1, 0));
  leases->ended(*Prefix::parse("10.0.0.5"), "", at(2, 0));
  leases->seen(lease("10.0.0.6", "b", at(30, 0), at(1, 0)), at(1, 0));
  leases->seen(lease("10.0.0.9", "e", at(3, 0), at(1, 0)), at(1, 0));
  leases->ended(*Prefix::parse("10.0.0.9"), "", at(3, 0));
  leases->followed(at(5, 0));
  REQUIRE(keeper->finish(at(5, 0)));
  start();
  // Kea's file has it all, in times that are rounded.
  const UnixMs rounded = at(1, 0) - std::chrono::milliseconds(400);
  leases->begin_whole();
  leases->seen(lease("10.0.0.5", "a", at(30, 0), rounded), rounded);
  leases->ended_between(*Prefix::parse("10.0.0.5"), "", at(1, 1), at(8, 0));
  leases->seen(lease("10.0.0.6", "b", at(30, 0), rounded), rounded);
  leases->seen(lease("10.0.0.7", "c", at(30, 0), at(3, 0)), at(3, 0));  // the log lost it
  leases->seen(lease("10.0.0.9", "e", at(3, 0), rounded), rounded);
  leases->seen(lease("10.0.0.8", "d", at(30, 0), at(6, 0)), at(6, 0));
  leases->ended(*Prefix::parse("10.0.0.8"), "", at(7, 0));
  leases->end_whole(at(10, 0));
  CHECK(kept.all().size() == 5);
  CHECK(of("a").until == at(2, 0));
  CHECK(!of("b").until);
  CHECK(of("b").from == at(1, 0));
  CHECK(of("c").from == at(3, 0));
  CHECK(of("d").until == at(7, 0));
}

TEST_CASE_METHOD(
    KeeperFixture,
    "what is not in a whole has ended, also where it was seen just before, or in one that was broken off") {
  whole(at(0, 0), {});
  leases->seen(lease("10.0.0.5", "a"), at(1, 0));  // live, between two wholes
  leases->followed(at(1, 0));
  leases->begin_whole();
  leases->seen(lease("10.0.0.6", "b"), at(2, 0));
  leases->lost("its socket overran");
  whole(at(3, 0), {lease("10.0.0.7", "c")});
  CHECK(of("a").until_latest == at(3, 0));
  CHECK(of("b").until_latest == at(3, 0));
  CHECK(!of("c").until);
}

TEST_CASE_METHOD(KeeperFixture, "nobody knows since when one is there that was there at the first look") {
  whole(at(0, 0), {lease("10.0.0.5", "a")});
  CHECK(of("a").from_earliest == kUnknownBegin);
  CHECK(who("10.0.0.5", at(0, 0) - hours(1), at(0, 0)) == "a");
}

TEST_CASE_METHOD(KeeperFixture, "a restart goes on with what is open and ends what went meanwhile") {
  whole(at(0, 0), {lease("10.0.0.5", "a"), lease("10.0.0.6", "b"), lease("2001:db8:1::/48", "c")});
  leases->followed(at(1, 0));
  start();
  CHECK(who("10.0.0.5", at(2, 0), at(2, 0)).empty());  // nothing is claimed before it is looked at
  whole(at(5, 0), {lease("10.0.0.5", "a"), lease("2001:db8:1::/48", "c")});
  CHECK(!of("a").until);
  CHECK(of("a").from == at(0, 0));
  CHECK(!of("c").until);
  CHECK(of("b").until == at(1, 0));
  CHECK(of("b").until_latest == at(5, 0));
  CHECK(kept.all().size() == 3);
  CHECK(who("2001:db8:1:2::3", at(5, 0), at(5, 1)) == "c");
}

TEST_CASE_METHOD(KeeperFixture, "an end by its id leaves who has the address by then") {
  auto first = lease("10.0.0.5", "a", {}, at(0, 0));
  first.id = "session 1";
  auto second = lease("10.0.0.5", "a", {}, at(2, 0));
  second.id = "session 2";
  leases->seen(first, at(0, 0));
  leases->followed(at(1, 59));
  leases->seen(second, at(2, 0));
  leases->ended(first.prefix, "session 1", at(2, 1));  // its stop comes late
  leases->followed(at(3, 0));
  CHECK(who("10.0.0.5", at(2, 30), at(2, 30)) == "a");
  leases->ended(first.prefix, "session 2", at(2, 40));
  CHECK(who("10.0.0.5", at(2, 50), at(2, 50)).empty());
}

TEST_CASE_METHOD(KeeperFixture, "what is told late changes nothing of what came behind it") {
  whole(at(0, 0), {});
  leases->followed(at(9, 0));
  leases->seen(lease("10.0.0.5", "b", {}, at(9, 30)), at(9, 30));
  leases->seen(lease("10.0.0.5", "a", {}, at(2, 0)),
               at(2, 0));  // a file that is read from its beginning again
  leases->ended(*Prefix::parse("10.0.0.5"), "", at(5, 0));
  leases->followed(at(10, 0));
  CHECK(who("10.0.0.5", at(9, 40), at(9, 40)) == "b");
  CHECK(!of("b").until);
}

TEST_CASE("what is told of a line that cannot be understood has nothing of it") {
  KeptIdentity kept;
  IdentityKeeper keeper(std::make_unique<KeptLog>(kept), IdentityKeeper::Settings());
  keeper.add_source("csv:/a", "").refused("a row of the list has no prefix", "x,Chen family");
  CHECK(keeper.report().sources[0].problem == "a row of the list has no prefix");
}

TEST_CASE("a source that tells no missed ends says of what it had before only that it is so again") {
  KeptIdentity kept;
  auto keeper = std::make_unique<IdentityKeeper>(std::make_unique<KeptLog>(kept), IdentityKeeper::Settings());
  IdentityOutput* radius = &keeper->add_source("radius://0.0.0.0", "");
  SeenAssignment seen = KeeperFixture::lease("10.0.0.5", "a", {}, at(0, 0));
  radius->seen(seen, at(0, 0));
  radius->followed(at(10, 0));
  const auto who = [&](UnixMs when) {
    ShortText subscriber, mac, host;
    return keeper->find("", *IpAddress::parse("10.0.0.5"), when, when, {&subscriber, &mac, &host})
               ? subscriber
               : "";
  };
  CHECK(who(at(5, 0)) == "a");
  SECTION("over a restart") {
    keeper = std::make_unique<IdentityKeeper>(std::make_unique<KeptLog>(kept), IdentityKeeper::Settings());
    radius = &keeper->add_source("radius://0.0.0.0", "");
    radius->followed(at(30, 0));
  }
  SECTION("where packets were lost") {
    radius->lost("packets did not fit");
    radius->followed(at(30, 0));
  }
  CHECK(who(at(30, 0)).empty());
  radius->seen(seen, at(31, 0));  // an Interim-Update of the same session
  radius->followed(at(32, 0));
  CHECK(who(at(31, 30)) == "a");
  REQUIRE(kept.all().size() == 2);
  CHECK(kept.all()[0].until_latest == at(31, 0));
  CHECK(kept.all()[1].from == at(31, 0));
}

TEST_CASE_METHOD(KeeperFixture, "one who had the address for certain goes before one who may have had it") {
  leases->seen(lease("10.0.0.5", "a", {}, at(0, 0)), at(0, 0));
  leases->followed(at(10, 0));
  leases->ended(*Prefix::parse("10.0.0.5"), "", at(10, 0));
  leases->seen(lease("10.0.0.5", "b"), at(12, 0));  // since when, it does not say
  leases->followed(at(12, 0));
  CHECK(who("10.0.0.5", at(8, 0), at(9, 0)) == "a");
  CHECK(of("b").from_earliest == at(10, 0));
}

TEST_CASE_METHOD(KeeperFixture, "a clock that is set back makes nobody of before the holder of now") {
  whole(at(30, 0), {lease("10.0.0.5", "a", {}, at(30, 0))});
  leases->followed(at(40, 0));
  leases->seen(lease("10.0.0.5", "b", {}, at(50, 0)), at(50, 0));
  leases->followed(at(51, 0));
  leases->followed(at(35, 0));  // where a had it, by the clock of before
  leases->followed(at(36, 0));
  CHECK(who("10.0.0.5", at(35, 30), at(35, 40)) == "b");
  CHECK(kept.spans.back() == SourceSpan{"leases", at(35, 0), at(36, 0)});
  leases->seen(lease("10.0.0.5", "c", {}, at(37, 0)), at(37, 0));
  leases->followed(at(38, 0));
  CHECK(who("10.0.0.5", at(37, 30), at(37, 40)) == "c");
}

TEST_CASE_METHOD(KeeperFixture, "all of a group end together") {
  auto one = lease("10.0.0.5", "a"), other = lease("10.0.0.6", "b");
  one.group = "nas 1";
  other.group = "nas 2";
  leases->seen(one, at(0, 0));
  leases->seen(other, at(0, 0));
  leases->ended_group("nas 1", at(1, 0));
  CHECK(of("a").until == at(1, 0));
  CHECK(!of("b").until);
}

TEST_CASE_METHOD(KeeperFixture,
                 "more groups than can be told apart are told as a loss, and everything goes on") {
  for (int number = 0; number <= 65'535; ++number) {
    auto one = lease("10.0.0.5", "a", at(50, 0));
    const std::string group = "nas " + std::to_string(number);
    one.group = group;
    leases->seen(one, at(0, 0));  // a renewal of it, by another each time
  }
  CHECK(keeper->report().sources[0].losses == 1);
  CHECK(keeper->report().sources[0].open == 1);
}

TEST_CASE_METHOD(KeeperFixture,
                 "after a restart a group that begins anew ends what may have been of it, and only perhaps") {
  auto one = lease("10.0.0.5", "a"), other = lease("10.0.0.6", "b");
  one.group = "nas 1";
  other.group = "nas 2";
  leases->seen(one, at(0, 0));
  leases->seen(other, at(0, 0));
  leases->followed(at(0, 30));
  start();
  leases->followed(at(1, 0));
  leases->seen(other, at(1, 10));  // it has said something, and of which group it is
  leases->ended_group("nas 1", at(2, 0));
  CHECK(of("a").until == at(0, 30));
  CHECK(of("a").until_latest == at(2, 0));
  CHECK(!of("b").until);
}

TEST_CASE_METHOD(
    KeeperFixture,
    "a Stop without addresses ends those of its session, also of one that a run before heard of") {
  auto one = lease("10.0.0.5", "a"), two = lease("2001:db8::/56", "a2"), other = lease("10.0.0.6", "b"),
       third = lease("10.0.0.7", "c");
  one.group = two.group = third.group = "nas 1";
  other.group = "nas 2";
  one.id = two.id = other.id = "5F3A0001";
  third.id = "5F3A0002";
  for (const SeenAssignment& session : {one, two, other, third}) leases->seen(session, at(0, 0));
  leases->followed(at(0, 30));
  if (GENERATE(false, true)) {
    keeper->work(at(0, 30));
    start();
    leases->followed(at(1, 0));
  }
  leases->ended_session("nas 3", "5F3A0001", at(2, 0));
  leases->ended_session("nas 1", "5F3A", at(2, 0));
  CHECK(!of("a").until);
  leases->ended_session("nas 1", "5F3A0001", at(3, 0));
  CHECK(of("a").until == at(3, 0));
  CHECK(of("a").until_latest == at(3, 0));
  CHECK(of("a2").until == at(3, 0));
  CHECK(!of("b").until);
  CHECK(!of("c").until);
}

TEST_CASE_METHOD(
    KeeperFixture,
    "a session that a history tells of after a restart, and its Stop without addresses, is no news") {
  leases->followed(at(10, 0));
  keeper->work(at(10, 0));
  start();
  auto over = lease("10.0.0.5", "a", {}, at(1, 0)), there = lease("10.0.0.6", "b", {}, at(2, 0));
  over.group = there.group = "nas 1";
  over.id = "1";
  there.id = "2";
  leases->begin_whole();
  leases->seen(over, at(1, 0));
  leases->seen(there, at(2, 0));
  leases->ended_session("nas 1", "1", at(3, 0));
  leases->end_whole(at(11, 0));
  CHECK(keeper->report().sources[0].open == 1);
  CHECK(of("b").from == at(2, 0));
}

TEST_CASE_METHOD(KeeperFixture,
                 "a Stop that a history tells late ends its own session, and not who came behind it") {
  leases->followed(at(10, 0));
  keeper->work(at(10, 0));
  start();
  auto before = lease("10.0.0.5", "a", {}, at(1, 0)), behind = lease("10.0.0.5", "b", {}, at(2, 0));
  before.group = behind.group = "nas 1";
  before.id = "1";
  behind.id = "2";
  leases->begin_whole();
  leases->seen(before, at(1, 0));
  leases->seen(behind, at(2, 0));
  if (GENERATE(false, true)) leases->ended(*Prefix::parse("10.0.0.5"), "1", at(3, 0));
  leases->ended_session("nas 1", "1", at(3, 0));
  leases->end_whole(at(11, 0));
  CHECK(keeper->report().sources[0].open == 1);
  CHECK(of("b").from == at(2, 0));
}

TEST_CASE_METHOD(KeeperFixture, "an id that all sessions of a client have ends none of them") {
  for (int host = 0; host < 1000; ++host) {
    const std::string address = "10.0." + std::to_string(host / 250) + "." + std::to_string(host % 250);
    const std::string who = "a" + std::to_string(host);
    auto one = lease(address.c_str(), who);
    one.group = "nas 1";
    one.id = "0";
    leases->seen(one, at(0, 0));
  }
  leases->ended_session("nas 1", "0", at(1, 0));
  CHECK(keeper->report().sources[0].open == 1000);
  CHECK(keeper->report().sources[0].refused == 1);
  leases->ended(*Prefix::parse("10.0.0.5"), "0", at(1, 0));  // one that says its address
  CHECK(keeper->report().sources[0].open == 999);
}

TEST_CASE_METHOD(KeeperFixture,
                 "what is told of an address goes by the sources' order, and the others fill in") {
  IdentityOutput& neighbours = keeper->add_source("neighbours", "");
  SeenAssignment neighbour = lease("10.0.0.5", "02:00:00:00:00:01");
  neighbour.kind = AssignmentKind::kNeighbour;
  neighbour.mac = "02:00:00:00:00:01";
  neighbours.seen(neighbour, at(0, 0));
  neighbours.followed(at(1, 0));
  whole(at(0, 0), {lease("10.0.0.0/24", "site")});
  leases->followed(at(1, 0));
  ShortText subscriber, mac, host;
  REQUIRE(keeper->find("", *IpAddress::parse("10.0.0.5"), at(1, 0), at(1, 0), {&subscriber, &mac, &host}));
  CHECK(subscriber == "site");
  CHECK(mac == "02:00:00:00:00:01");
}

TEST_CASE_METHOD(KeeperFixture, "a source that is not followed any more says nothing of now") {
  whole(at(0, 0), {lease("10.0.0.5", "a")});
  CHECK(who("10.0.0.5", at(0, 5), at(0, 5)) == "a");
  CHECK(who("10.0.0.5", at(5, 0), at(5, 0)).empty());
}

TEST_CASE_METHOD(KeeperFixture, "another namespace's address is another address") {
  IdentityOutput& there = keeper->add_source("there", "blue");
  there.seen(lease("10.0.0.5", "b"), at(0, 0));
  there.followed(at(0, 0));
  ShortText subscriber, mac, host;
  CHECK(!keeper->find("", *IpAddress::parse("10.0.0.5"), at(0, 0), at(0, 0), {&subscriber, &mac, &host}));
  CHECK(keeper->find("blue", *IpAddress::parse("10.0.0.5"), at(0, 0), at(0, 0), {&subscriber, &mac, &host}));
}

TEST_CASE_METHOD(KeeperFixture, "who is forgotten is in memory no more, and does not come back at the end") {
  whole(at(0, 0), {lease("10.0.0.5", "a"), lease("10.0.0.6", "b")});
  kept = KeptIdentity();  // the log was rid of it
  kept.forgotten = {"a"};
  keeper->work(at(0, 0));
  CHECK(who("10.0.0.5", at(0, 0), at(0, 0)).empty());
  CHECK(who("10.0.0.6", at(0, 0), at(0, 0)) == "b");
  whole(at(1, 0), {});
  for (const AddressAssignment& one : kept.put) CHECK(one.subscriber == "b");
}

TEST_CASE_METHOD(KeeperFixture,
                 "what the log could not keep is put anew, and the time between is not followed") {
  whole(at(0, 0), {lease("10.0.0.5", "a"), lease("10.0.0.6", "b")});
  leases->followed(at(0, 10));
  kept.put.clear();
  kept.lost = true;
  keeper->work(at(0, 10));
  CHECK(kept.all().size() == 2);
  leases->followed(at(0, 20));
  CHECK(kept.spans.back() == SourceSpan{"leases", at(0, 20), at(0, 20)});
}

}  // namespace
}  // namespace natsession::testing
