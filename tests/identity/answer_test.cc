#include <catch2/catch.hpp>

#include "identity/identity_fixture.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

// Seconds from 14:56:50 on.
TEST_CASE("the classic fault: a lease that changed is who had it then, and near the change both are named",
          "[identity][answer]") {
  IdentityFixture log;
  log.follow(-3600, -10);
  log.told(held("192.168.1.23", "a", -1000));
  log.told(held("192.168.1.23", "a", -1000, 8));
  log.told(held("192.168.1.23", "b", 12));
  log.follow(-10, 100);
  log.commit();
  SECTION("as it was told") {}
  SECTION("in order") {
    log.seal();
  }
  // Sessions, by the clock of the box: 14:57:03, and one that began at 14:56:50.
  CHECK(log.names("192.168.1.23", 13, 0) == "b");
  CHECK(log.names("192.168.1.23", 0, 0) == "a");
  // A question at 14:57:00, of somebody whose clock may differ.
  const IdentityAnswer both = log.who("192.168.1.23", 10, 5);
  REQUIRE(both.holders.size() == 2);
  CHECK(both.verdict == IdentityVerdict::kPossible);
  CHECK(both.holders[0].assignment.subscriber == "b");
  CHECK(both.holders[0].why() == "it began 2.0 s later");
  CHECK(both.holders[1].assignment.subscriber == "a");
  CHECK(both.holders[1].why() == "it ended 2.0 s before");
  CHECK(log.names("192.168.1.23", 13, 5) == "b, a?");
  CHECK(log.names("192.168.1.23", 10, 1) == "nobody");
  CHECK(log.names("192.168.1.23", 50, 5) == "b");
}

TEST_CASE("the same address in two network namespaces is not certainly one of its two holders",
          "[identity][answer]") {
  IdentityFixture log;
  AddressAssignment one = held("10.0.0.5", "a", 0), other = held("10.0.0.5", "b", 0);
  one.netns = "blue";
  other.netns = "red";
  other.source += "?netns=red";
  log.told(one);
  log.told(other);
  log.follow(0, 100);
  log.follow(0, 100, other.source);
  log.commit();
  IdentityQuestion question{
      .address = *IpAddress::parse("10.0.0.5"), .from = moment(50), .until = moment(50)};
  CHECK(log.reader()->who(question).verdict == IdentityVerdict::kPossible);
  question.netns = "blue";
  const IdentityAnswer blue = log.reader()->who(question);
  CHECK(blue.verdict == IdentityVerdict::kCertain);
  CHECK(blue.holders.at(0).assignment.subscriber == "a");
}

TEST_CASE("of RADIUS what is open is certain only as far as it was followed from its beginning on",
          "[identity][answer]") {
  IdentityFixture log;
  AddressAssignment session = held("10.0.0.5", "a", 0);
  session.source = "radius://0.0.0.0:1813";
  log.told(session);
  log.follow(0, 100, session.source);
  log.follow(200, 300, session.source);  // a Stop between the two, nobody has heard
  log.commit();
  const auto verdict = [&](double when) {
    return log.reader()
        ->who({.address = *IpAddress::parse("10.0.0.5"), .from = moment(when), .until = moment(when)})
        .verdict;
  };
  CHECK(verdict(50) == IdentityVerdict::kCertain);
  CHECK(verdict(250) == IdentityVerdict::kPossible);
}

TEST_CASE("nobody is said only where all sources were followed", "[identity][answer]") {
  IdentityFixture log;
  CHECK(log.names("10.0.0.1", 0) == "not known");
  log.follow(0, 100);
  log.commit();
  CHECK(log.names("10.0.0.1", 50) == "nobody");
  CHECK(log.names("10.0.0.1", 100.5) == "not known");
  CHECK(log.names("10.0.0.1", -0.5) == "not known");
  log.follow(60, 90, "kea:/b");
  log.commit();
  CHECK(log.names("10.0.0.1", 50) == "not known");
  CHECK(log.names("10.0.0.1", 70) == "nobody");
  const IdentityAnswer answer = log.who("10.0.0.1", 50);
  CHECK(answer.why_not == "not all sources were followed then");
  REQUIRE(answer.sources.size() == 2);
  CHECK(answer.sources[0] == SourceFollowed{kSource, true, moment(0), moment(100)});
  CHECK(answer.sources[1] == SourceFollowed{"kea:/b", false, moment(60), std::nullopt});
}

TEST_CASE("nobody is not said where a source does not tell all that there is", "[identity][answer]") {
  for (const char* const source :
       {"radius://0.0.0.0:1813", "radius-detail:/d", "neighbours?netns=lan", "exec:tell"}) {
    IdentityFixture log;
    log.follow(0, 100);
    log.follow(0, 100, source);
    log.commit();
    const IdentityAnswer answer = log.who("10.0.0.1", 50);
    CHECK(answer.verdict == IdentityVerdict::kNotKnown);
    CHECK(answer.why_not == std::string(source) + " tells what begins, and not all that there is");
  }
}

TEST_CASE("who has an address is certain only while his source is followed", "[identity][answer]") {
  IdentityFixture log;
  log.follow(0, 100);
  log.told(held("10.0.0.1", "alice", 10));
  CHECK(log.names("10.0.0.1", 50) == "alice");
  CHECK(log.names("10.0.0.1", 150) == "alice?");
  CHECK(log.who("10.0.0.1", 150).holders[0].doubt == HolderDoubt::kNotFollowed);
  log.follow(140, 200);
  log.told(held("10.0.0.1", "alice", 10, 190));
  CHECK(log.names("10.0.0.1", 120) == "alice?");
  CHECK(log.names("10.0.0.1", 150) == "alice");
  CHECK(log.names("10.0.0.1", 196) == "nobody");
}

TEST_CASE("where a beginning or an end was not seen, who is before it and behind it are both possible",
          "[identity][answer]") {
  IdentityFixture log;
  log.follow(0, 1000);
  AddressAssignment first = held("10.0.0.1", "alice", 10, 100);
  first.until_latest = moment(160);
  AddressAssignment second = held("10.0.0.1", "bob", 160);
  second.from_earliest = moment(100);
  log.told(first);
  log.told(second);
  CHECK(log.names("10.0.0.1", 99, 0) == "alice");
  CHECK(log.names("10.0.0.1", 130, 0) == "bob?, alice?");
  const IdentityAnswer answer = log.who("10.0.0.1", 130, 0);
  CHECK(answer.holders[0].doubt == HolderDoubt::kBegan);
  CHECK(answer.holders[1].doubt == HolderDoubt::kEnded);
  CHECK(log.names("10.0.0.1", 161, 0) == "bob");
}

TEST_CASE("a time from one moment to another is one's who had it throughout", "[identity][answer]") {
  IdentityFixture log;
  log.follow(0, 1000);
  log.told(held("10.0.0.1", "alice", 10, 100));
  log.told(held("10.0.0.1", "bob", 100));
  const auto names = [&](double from, double until) {
    const auto answer = log.reader()->who({address_of("10.0.0.1"), moment(from), moment(until), 0s, {}});
    std::string text;
    for (const IdentityHolder& one : answer.holders)
      text += one.assignment.subscriber + (one.certain() ? " " : "? ");
    return text;
  };
  CHECK(names(20, 50) == "alice ");
  CHECK(names(90, 110) == "bob? alice? ");
  CHECK(names(99.999, 99.999) == "alice ");
  CHECK(names(100, 100) == "bob alice? ");  // the moment of the change
}

TEST_CASE("a delegated prefix names who has an address in it, behind who has the address itself",
          "[identity][answer]") {
  IdentityFixture log;
  log.follow(0, 100);
  log.put(held("2001:db8:1::/56", "house", 1));
  log.put(held("2001:db8:1::5", "phone", 1));
  log.put(held("10.1.0.0/16", "site", 1));
  log.put(held("0.0.0.0/0", "all", 1));
  log.commit();
  SECTION("as it was told") {}
  SECTION("in order") {
    log.seal();
  }
  CHECK(log.names("2001:db8:1::5", 50) == "phone, house");
  CHECK(log.names("2001:db8:1:ff::6", 50) == "house");
  CHECK(log.names("2001:db8:2::5", 50) == "nobody");
  CHECK(log.names("10.1.2.3", 50) == "site, all");
  CHECK(log.names("10.2.2.3", 50) == "all");
}

TEST_CASE("of two sources that name others both are told; of a namespace its own and those without one",
          "[identity][answer]") {
  IdentityFixture log;
  log.follow(0, 100);
  log.follow(0, 100, "radius://0.0.0.0:1813");
  AddressAssignment lease = held("10.0.0.1", "02:00:00:00:00:01", 1);
  AddressAssignment session = held("10.0.0.1", "alice", 1);
  session.source = "radius://0.0.0.0:1813";
  session.kind = AssignmentKind::kSession;
  AddressAssignment blue = held("10.0.0.1", "blue", 1);
  blue.netns = "blue";
  log.put(lease);
  log.put(session);
  log.put(blue);
  log.commit();
  CHECK(log.names("10.0.0.1", 50) == "alice, 02:00:00:00:00:01, blue");
  const auto of = [&](const std::string& netns) {
    return log.reader()->who({address_of("10.0.0.1"), moment(50), moment(50), 0s, netns}).holders.size();
  };
  CHECK(of("") == 3);
  CHECK(of("blue") == 3);
  CHECK(of("red") == 2);
}

TEST_CASE("a list has what was asked for", "[identity][reader]") {
  IdentityFixture log;
  log.told(held("10.0.0.1", "alice", 1, 5));
  log.told(held("10.0.1.1", "bob", 3));
  log.seal();
  log.told(held("10.0.0.2", "alice", 8));
  const auto count = [&](const std::function<void(IdentityFilter&)>& set) {
    IdentityFilter filter;
    set(filter);
    int found = 0;
    log.reader()->list(filter, [&](const AssignmentView&) { return ++found < 100; });
    return found;
  };
  CHECK(count([](auto&) {}) == 3);
  CHECK(count([](auto& f) { f.subscriber = "alice"; }) == 2);
  CHECK(count([](auto& f) { f.subscriber = "alic"; }) == 0);
  CHECK(count([](auto& f) { f.host = "bob-host"; }) == 1);
  CHECK(count([](auto& f) { f.mac = "02:00:00:00:00:01"; }) == 3);
  CHECK(count([](auto& f) { f.open = true; }) == 2);
  CHECK(count([](auto& f) { f.within = prefix_of("10.0.0.0/24"); }) == 2);
  CHECK(count([](auto& f) { f.from = moment(6), f.until = moment(7); }) == 1);
  CHECK(count([](auto& f) { f.kind = AssignmentKind::kSession; }) == 0);
  CHECK(count([](auto& f) { f.source = "other"; }) == 0);
}

}  // namespace
}  // namespace natsession::testing
