#include "identity/assignment_table.h"

#include <array>
#include <map>
#include <random>
#include <string>

#include <catch2/catch.hpp>

namespace natsession::testing {
namespace {

UnixMs at(std::int64_t ms) {
  return UnixMs(std::chrono::milliseconds(ms));
}

TEST_CASE("texts come back as they were, however they are kept") {
  AssignmentTexts texts;
  const std::string longest(253, 'x');
  const IdentityTexts given[] = {
      {},
      {"02:00:5e:00:53:01", "02:00:5e:00:53:01", "laptop", "01:02:00:5e:00:53:01"},
      {"user@example.net", "", "", "5F3A0001"},
      {"02:00:5E:00:53:01", "02:00:5e:00:53:01", "", "02:00:5e:00:53:01"},  // capitals stay
      {"ab", "", "a:b", ":::"},
      {longest, longest, longest, longest},
      {std::string_view("\0\xff", 2), "", "h", ""},
  };
  std::vector<AssignmentTexts::Place> places;
  for (int round = 0; round < 3; ++round) {
    for (const IdentityTexts& one : given) places.push_back(texts.add(one));
    for (std::size_t i = 0; i < std::size(given); ++i) {
      const OwnIdentityTexts back = texts.at(places[i]);
      CHECK(back.subscriber == given[i].subscriber);
      CHECK(back.mac == given[i].mac);
      CHECK(back.host == given[i].host);
      CHECK(back.id == given[i].id);
      CHECK(texts.are(places[i], given[i]));
      CHECK(!texts.are(places[i], {"another", "", "", ""}));
    }
    for (const AssignmentTexts::Place place : places) texts.remove(place);
    places.clear();
  }
}

TEST_CASE("a text that is too long is cut between two characters") {
  std::string text(252, 'x');
  text += "\xc3\xa4";
  CHECK(cut_identity_text(text) == std::string(252, 'x'));
  CHECK(cut_identity_text(std::string(300, 'y')) == std::string(253, 'y'));
}

// The table against a map, over additions, ends and what is forgotten.
TEST_CASE("the table has what was put in and not what has gone") {
  AssignmentTable table(SeededHash({1, 2, 3, 4}));
  struct Known {
    std::string who;
    std::optional<UnixMs> until;
  };
  std::map<std::pair<Prefix, std::int64_t>, Known> known;
  std::minstd_rand random(7);
  const auto prefix_of = [](unsigned number) {
    const std::string n = std::to_string(number % 200);
    switch (number % 4) {
      case 0:
        return *Prefix::parse("10.1.0." + n);
      case 1:
        return *Prefix::parse("10." + n + ".0.0/16");
      case 2:
        return *Prefix::parse("2001:db8::" + n);
      default:
        return *Prefix::parse("2001:db8:" + n + "::/48");
    }
  };
  for (std::int64_t now = 1; now < 20'000; ++now) {
    const Prefix prefix = prefix_of(static_cast<unsigned>(random() % 800));
    AssignmentTable::Index open = AssignmentTable::kNone;
    table.of_prefix(prefix, [&](AssignmentTable::Index index) {
      if (!table.at(index).ended) open = index;
    });
    if (open != AssignmentTable::kNone) {
      known.at({prefix, table.at(open).from().time_since_epoch().count()}).until = at(now);
      table.end(open, at(now));
    } else {
      const std::string who = "user " + std::to_string(random() % 1000);
      table.add({.prefix = prefix,
                 .source = 3,
                 .kind = AssignmentKind::kLease,
                 .from = at(now),
                 .from_earliest = at(now - 1),
                 .expires = at(now + 5000),
                 .texts = {who, "", "", ""}});
      known[{prefix, now}] = {who, std::nullopt};
    }
    if (now % 500 == 0) {
      table.forget_ended(at(now - 300));
      std::erase_if(known,
                    [&](const auto& one) { return one.second.until && *one.second.until < at(now - 300); });
    }
    if (now % 1000 != 0) continue;
    std::size_t found = 0;
    std::size_t still_open = 0;
    for (AssignmentTable::Index index = 0; index < table.places(); ++index) {
      if (!table.at(index).in_use) continue;
      ++found;
      const auto one =
          known.find({table.prefix_of(index), table.at(index).from().time_since_epoch().count()});
      REQUIRE(one != known.end());
      CHECK(table.texts_of(index).subscriber == one->second.who);
      CHECK(table.at(index).ended == one->second.until.has_value());
      if (one->second.until)
        CHECK(table.end_of(index) == one->second.until);
      else
        ++still_open;
      bool is_there = false;
      table.of_address(table.prefix_of(index).highest(),
                       [&](AssignmentTable::Index other) { is_there |= other == index; });
      CHECK(is_there);
    }
    CHECK(found == known.size());
    CHECK(still_open == table.open_of(3));
  }
}

TEST_CASE("longer prefixes come first, and of the other family none") {
  AssignmentTable table;
  const auto add = [&](const char* prefix) {
    table.add({.prefix = *Prefix::parse(prefix),
               .from = at(1),
               .from_earliest = at(1),
               .expires = {},
               .texts = {prefix, "", "", ""}});
  };
  add("0.0.0.0/0");
  add("::/0");
  add("10.0.0.0/8");
  add("10.1.2.3");
  std::vector<std::string> found;
  table.of_address(*IpAddress::parse("10.1.2.3"),
                   [&](AssignmentTable::Index index) { found.push_back(table.texts_of(index).subscriber); });
  CHECK(found == std::vector<std::string>{"10.1.2.3", "10.0.0.0/8", "0.0.0.0/0"});
}

TEST_CASE("what is brought is alone of its address where nothing else can have it") {
  AssignmentTable table;
  const auto add = [&](const char* prefix) {
    return table.add({.prefix = *Prefix::parse(prefix),
                      .from = at(1),
                      .from_earliest = at(1),
                      .expires = {},
                      .texts = {}});
  };
  const auto index = add("10.1.2.3");
  add("2001:db8::1");
  add("2001:db8::/64");
  const std::array<IpAddress, 3> addresses{*IpAddress::parse("10.1.2.3"), *IpAddress::parse("10.1.2.4"),
                                           *IpAddress::parse("2001:db8::1")};
  std::array<const AssignmentTable::Entry*, AssignmentTable::kTogether> brought{};
  table.bring(addresses, brought);
  CHECK(brought[0] == &table.at(index));
  CHECK(brought[3] == nullptr);
  CHECK(table.is_alone_of(brought[0], addresses[0]));
  CHECK_FALSE(table.is_alone_of(brought[0], addresses[1]));  // taken for it by a hash
  CHECK_FALSE(table.is_alone_of(nullptr, addresses[1]));
  CHECK_FALSE(table.is_alone_of(brought[2], addresses[2]));  // a prefix has it, too
  SECTION("another one of the same address") {
    add("10.1.2.3");
    table.bring(addresses, brought);
    CHECK_FALSE(table.is_alone_of(brought[0], addresses[0]));
  }
  SECTION("a prefix") {
    add("10.0.0.0/8");
    table.bring(addresses, brought);
    CHECK_FALSE(table.is_alone_of(brought[0], addresses[0]));
  }
}

}  // namespace
}  // namespace natsession::testing
