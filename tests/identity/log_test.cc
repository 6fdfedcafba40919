#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "identity/identity_fixture.h"
#include "identity/identity_forget.h"
#include "ledger/crc32c.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

std::vector<std::string> subscribers_of(const std::vector<AddressAssignment>& all) {
  std::vector<std::string> names;
  for (const AddressAssignment& one : all) names.push_back(one.subscriber);
  return names;
}

std::vector<AddressAssignment> all_of(IdentityReader& reader, const IdentityFilter& filter = {}) {
  std::vector<AddressAssignment> found;
  reader.list(filter, [&](const AssignmentView& one) {
    found.push_back(one.copy());
    return true;
  });
  return found;
}

TEST_CASE("what was put is there after the next commit, for others and for the next run", "[identity][log]") {
  IdentityFixture log;
  AddressAssignment one = held("192.168.1.23", "alice", 10);
  one.netns = "blue";
  one.from_earliest = moment(8);
  log.put(one);
  CHECK(all_of(*log.reader()).empty());
  log.commit();
  CHECK(all_of(*log.reader()) == std::vector<AddressAssignment>{one});
  const AddressAssignment six = held("2001:db8:1::/56", "bob", 11.5, 12.25);
  log.told(six);
  log.open();
  CHECK(all_of(*log.reader()) == std::vector<AddressAssignment>{one, six});
  CHECK(open_of(*log.writer, kSource) == std::vector<AddressAssignment>{one});
  CHECK(open_of(*log.writer, "kea:/elsewhere").empty());
}

TEST_CASE("an assignment that is put with its end is the same one, before and after files are put in order",
          "[identity][log]") {
  IdentityFixture log;
  log.told(held("192.168.1.23", "alice", 10));
  log.told(held("192.168.1.24", "bob", 10));
  SECTION("within a file") {}
  SECTION("when the beginning is in order already") {
    log.seal();
  }
  log.told(held("192.168.1.23", "alice", 10, 20));
  const std::vector<AddressAssignment> expected{held("192.168.1.23", "alice", 10, 20),
                                                held("192.168.1.24", "bob", 10)};
  CHECK(all_of(*log.reader()) == expected);
  CHECK(subscribers_of(open_of(*log.writer, kSource)) == std::vector<std::string>{"bob"});
  log.seal(6 * 86'400);
  CHECK(all_of(*log.reader()) == expected);
  CHECK(log.files(".ended").size() == 1);
  CHECK(log.files(".current").size() == 1);
  log.open();
  CHECK(subscribers_of(open_of(*log.writer, kSource)) == std::vector<std::string>{"bob"});
}

TEST_CASE("files that were put in order are merged, and answer as before", "[identity][log]") {
  IdentityFixture log;
  std::vector<AddressAssignment> expected;
  double now = 0;
  for (int i = 0; i < 30; ++i) {
    const AddressAssignment one =
        held("10.0." + std::to_string(i % 7) + ".1", "s" + std::to_string(i), i, i + 0.5);
    log.told(one);
    expected.push_back(one);
    log.seal(now += 2 * 86'400);
  }
  CHECK(log.files(".ended").size() < 16);
  auto found = all_of(*log.reader());
  CHECK(found.size() == 30);
  for (const AddressAssignment& one : expected) CHECK(std::count(found.begin(), found.end(), one) == 1);
  CHECK(std::is_sorted(found.begin(), found.end(),
                       [](const auto& a, const auto& b) { return a.prefix < b.prefix; }));
  CHECK(log.names("10.0.3.1", 24.2, 0) == "s24?");
}

TEST_CASE("many assignments are found by their address, each in its time", "[identity][log]") {
  IdentityFixture log;
  constexpr int kCount = 20'000;
  for (int i = 0; i < kCount; ++i) {
    const std::string address =
        "10." + std::to_string(i % 50) + "." + std::to_string(i / 50 % 100) + "." + std::to_string(i / 5000);
    AddressAssignment one = held(address, "s" + std::to_string(i), i, i + 100);
    log.put(one);
    if (i % 3 == 0) log.put(held(address, "t" + std::to_string(i), i + 100.0));
  }
  log.follow(0, kCount + 1000);
  log.commit();
  SECTION("as they were told") {}
  SECTION("in order") {
    log.seal();
    CHECK(log.files(".ended").size() == 1);
  }
  const auto reader = log.reader();
  for (int i = 0; i < kCount; i += 371) {
    const std::string address =
        "10." + std::to_string(i % 50) + "." + std::to_string(i / 50 % 100) + "." + std::to_string(i / 5000);
    const auto held_then = reader->who({address_of(address), moment(i + 50), moment(i + 50), 0s, {}});
    REQUIRE(held_then.holders.size() == 1);
    CHECK(held_then.holders[0].assignment.subscriber == "s" + std::to_string(i));
    CHECK(held_then.verdict == IdentityVerdict::kCertain);
    const auto later = reader->who({address_of(address), moment(i + 150), moment(i + 150), 0s, {}});
    CHECK(later.holders.size() == (i % 3 == 0 ? 1 : 0));
  }
  CHECK(reader->damage().empty());
  CHECK(reader->who({address_of("10.200.0.1"), moment(50), moment(50), 5s, {}}).verdict ==
        IdentityVerdict::kNobody);
}

TEST_CASE("a file that is torn anywhere keeps what is whole before, and is gone on with", "[identity][log]") {
  IdentityFixture log;
  for (int i = 0; i < 3; ++i) log.told(held("10.0.0." + std::to_string(i + 1), "s" + std::to_string(i), i));
  log.writer.reset();
  const std::string name = log.files(".open").at(0);
  const std::string whole = log.bytes_of(name);
  std::vector<std::size_t> ends;  // of the blocks
  for (std::size_t at = whole.find("NSIb"); at != std::string::npos; at = whole.find("NSIb", at + 1))
    ends.push_back(at);
  ends.push_back(whole.size());
  REQUIRE(ends.size() == 4);
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    log.write(name, whole.substr(0, length));
    const auto kept = static_cast<std::size_t>(
        std::count_if(ends.begin() + 1, ends.end(), [&](std::size_t end) { return end <= length; }));
    CAPTURE(length);
    // A reader sees no damage: it may be being written.
    {
      const auto reader = log.reader();
      REQUIRE(all_of(*reader).size() == kept);
      REQUIRE(reader->damage().empty());
    }
    log.open();
    log.told(held("10.0.0.9", "new", 9));
    REQUIRE(all_of(*log.reader()).size() == kept + 1);
    log.writer.reset();
    for (const std::string& other : log.files(".open")) std::filesystem::remove(log.file(other));
  }
}

TEST_CASE("a bit that flips costs its block, is told, and makes what may be concerned uncertain",
          "[identity][log]") {
  IdentityFixture log;
  for (int i = 0; i < 3; ++i) {
    log.put(held("10.0.0." + std::to_string(i + 1), "s" + std::to_string(i), i));
    log.follow(i, i + 1);
    log.commit();
  }
  log.writer.reset();
  const std::string name = log.files(".open").at(0);
  const std::string whole = log.bytes_of(name);
  const std::size_t second = whole.find("NSIb", whole.find("NSIb") + 1);
  for (const std::size_t at : {second + 2, second + 20, second + 70}) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    log.write(name, damaged);
    const auto reader = log.reader();
    CHECK(all_of(*reader).size() == 2);
    REQUIRE(reader->damage().size() == 1);
    CHECK(reader->damage()[0].what.find(name) != std::string::npos);
    // In the time that the block may have told of nobody is certain; where it says nothing, he is.
    CHECK(log.names("10.0.0.1", 1.5, 0) == "s0?");
    CHECK(log.names("10.0.0.1", 0.5, 0) == "s0");
    CHECK(log.names("10.0.0.2", 1.5, 0) == "not known");
  }
  // It stays told when the file is put in order.
  log.open();
  log.seal();
  const auto reader = log.reader();
  CHECK(all_of(*reader).size() == 2);
  CHECK_FALSE(reader->damage().empty());
}

TEST_CASE("damage in a file that is in order is told to whom it concerns", "[identity][log]") {
  IdentityFixture log;
  for (int i = 0; i < 3'000; ++i) {
    log.put(held("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250), "s" + std::to_string(i),
                 i, i + 1));
  }
  log.follow(0, 4'000);
  log.commit();
  log.seal();
  log.writer.reset();
  const std::string name = log.files(".ended").at(0);
  const std::string whole = log.bytes_of(name);
  SECTION("a block") {
    std::string damaged = whole;
    damaged[64 + 100] = static_cast<char>(damaged[64 + 100] ^ 1);
    log.write(name, damaged);
    CHECK(log.names("10.0.0.10", 10.5, 0) == "not known");
    CHECK(log.who("10.0.0.10", 10.5, 0).damage.size() == 1);
    CHECK(log.names("10.0.10.10", 2510.5, 0) == "s2510");
    CHECK(log.who("10.0.10.10", 2510.5, 0).damage.empty());
  }
  SECTION("each byte of the index: nothing wrong is ever certain") {
    const std::size_t index = whole.size() - 160 - 64;
    for (std::size_t at = index; at < whole.size(); ++at) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 1);
      log.write(name, damaged);
      const std::string told = log.names("10.0.10.10", 2510.5, 0);
      CAPTURE(at);
      REQUIRE((told == "s2510?" || told == "s2510"));
    }
  }
  SECTION("cut off anywhere: nobody is ever certain") {
    for (std::size_t length = 0; length < whole.size(); length += 97) {
      log.write(name, whole.substr(0, length));
      const std::string told = log.names("10.0.10.10", 2510.5, 0);
      CAPTURE(length);
      REQUIRE((told == "s2510?" || told == "not known"));
    }
  }
}

TEST_CASE("there is one writer", "[identity][log]") {
  IdentityFixture log;
  const auto second = IdentityWriter::open(log.ledger(), {});
  REQUIRE_FALSE(second);
  CHECK(second.error().kind == ErrorKind::kUnavailable);
  CHECK(second.error().message.find("another process is writing it") != std::string::npos);
}

TEST_CASE("a log that a newer program wrote is refused in words, and left alone", "[identity][log]") {
  IdentityFixture log;
  log.told(held("10.0.0.1", "alice", 1, 2));
  log.told(held("10.0.0.2", "bob", 1));
  log.seal();
  log.told(held("10.0.0.3", "carol", 1));
  log.writer.reset();
  for (const std::string suffix : {".open", ".current", ".ended"}) {
    const std::string name = log.files(suffix).back();
    const std::string whole = log.bytes_of(name);
    std::string newer = whole;
    newer[8] = 2;
    std::span<std::byte> bytes(reinterpret_cast<std::byte*>(newer.data()), newer.size());
    put_le(bytes, 60, crc32c(bytes.first(60)));
    log.write(name, newer);
    const auto writer = IdentityWriter::open(log.ledger(), {});
    REQUIRE_FALSE(writer);
    CHECK(writer.error().message.find("a newer program wrote it") != std::string::npos);
    CHECK_FALSE(IdentityReader::open(log.ledger()));
    CHECK(log.bytes_of(name) == newer);
    log.write(name, whole);
  }
  log.open();
}

TEST_CASE("the directory is its owner's alone, and no link is followed in it", "[identity][log]") {
  IdentityFixture log;
  struct stat status {};
  REQUIRE(::stat((log.ledger() + "/identity").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0700);
  log.told(held("10.0.0.1", "alice", 1));
  log.writer.reset();
  const std::string name = log.files(".open").at(0);
  std::filesystem::rename(log.file(name), log.ledger() + "/elsewhere");
  std::filesystem::create_symlink(log.ledger() + "/elsewhere", log.file(name));
  CHECK_FALSE(IdentityReader::open(log.ledger()));
  CHECK_FALSE(IdentityWriter::open(log.ledger(), {}));
}

TEST_CASE("what ended longer ago than it is kept is deleted; what is open stays", "[identity][log]") {
  IdentityFixture log(std::chrono::hours(30 * 24));
  constexpr double kDay = 86'400;
  log.put(held("10.0.0.1", "old", 0, 100));
  log.put(held("10.0.0.2", "long", 0, 20 * kDay));
  log.put(held("10.0.0.3", "open", 0));
  log.follow(0, 20 * kDay);
  log.commit();
  log.tidy(0);
  log.tidy(20 * kDay);
  CHECK(log.names("10.0.0.1", 50) == "old");
  log.tidy(31 * kDay);
  log.tidy(32 * kDay);
  CHECK(log.names("10.0.0.1", 50) == "not known");
  CHECK(log.names("10.0.0.2", 50) == "long?");  // of that time nothing is claimed any more
  CHECK(log.names("10.0.0.2", 10 * kDay) == "long");
  CHECK(log.names("10.0.0.3", 50) == "open?");
  CHECK(log.names("10.0.0.9", 50) == "not known");
  log.tidy(60 * kDay);
  log.tidy(62 * kDay);
  CHECK(log.files(".ended").empty());
  CHECK(subscribers_of(all_of(*log.reader())) == std::vector<std::string>{"open"});
}

TEST_CASE("a clock that is far ahead deletes nothing as long as it is not believed") {
  IdentityFixture log(std::chrono::hours(24 * 30));
  constexpr double kDay = 86'400;
  log.put(held("10.0.0.1", "old", 0, 100));
  log.follow(0, kDay);
  log.commit();
  log.tidy(0);
  log.writer->set_age_now(moment(2 * kDay));
  for (const double days : {2.0, 40.0, 42.0, 400.0, 402.0}) log.tidy(days * kDay);
  CHECK(log.names("10.0.0.1", 50) == "old");
  log.writer->set_age_now(moment(410 * kDay));
  for (const double days : {410.0, 412.0}) log.tidy(days * kDay);
  CHECK(log.names("10.0.0.1", 50) == "not known");
}

TEST_CASE(
    "who was forgotten is not brought back by a source that tells of the past again, also after a restart",
    "[identity][log]") {
  IdentityFixture log;
  log.told(held("10.0.0.1", "alice", 100));
  log.told(held("10.0.0.2", "bob", 100));
  std::ofstream(log.ledger() + "/identity/1.forget") << "alice";
  log.tidy(200);
  log.writer.reset();
  log.writer = *IdentityWriter::open(log.ledger(), {});
  log.put(held("10.0.0.1", "alice", 100, 150));
  log.put(held("10.0.0.3", "alice", 100));
  log.put(held("10.0.0.4", "bob", 100));
  log.commit();
  std::vector<std::string> all;
  for (const AddressAssignment& one : all_of(*log.reader()))
    all.push_back(one.subscriber + (one.from == moment(200)   ? " then"
                                    : one.from == moment(100) ? " before"
                                                              : " ?"));
  CHECK(all == std::vector<std::string>{"bob before", "alice then",
                                        "bob before"});  // she is there by now, and was not before
}

// Every file of the log, unpacked as far as that goes.
bool anywhere(const IdentityFixture& log, const std::string& text) {
  for (const auto& entry : std::filesystem::directory_iterator(log.ledger() + "/identity")) {
    if (log.bytes_of(entry.path().filename().string()).find(text) != std::string::npos) return true;
  }
  IdentityFilter filter;
  filter.subscriber = text;
  return !all_of(*log.reader(), filter).empty();
}

TEST_CASE("who is forgotten is in no file any more, others are, and nobody claims that there was nobody",
          "[identity][forget]") {
  IdentityFixture log;
  for (int i = 0; i < 3; ++i) {
    log.told(held("10.0.0.1", "alice", 10.0 * i, 10.0 * i + 5));
    log.told(held("10.0.0.2", "bob", 10.0 * i, 10.0 * i + 5));
    log.follow(0, 10 * i + 10);
    log.commit();
    log.seal(2 * 86'400 * (i + 1));
  }
  log.told(held("10.0.0.3", "alice", 40));
  log.told(held("10.0.0.4", "bob", 40));
  const auto check = [&] {
    CHECK_FALSE(anywhere(log, "alice"));
    CHECK(log.reader()->of("bob").size() == 4);
    CHECK(log.names("10.0.0.1", 12, 0) == "not known");
    CHECK(log.names("10.0.0.2", 12, 0) == "bob");
    CHECK(log.reader()->damage().empty());
    CHECK(subscribers_of(open_of(*log.writer, kSource)) == std::vector<std::string>{"bob"});
  };
  SECTION("without a daemon") {
    log.writer.reset();
    const auto done = forget_subscriber(log.ledger(), "alice", moment(100), [] { return true; });
    REQUIRE(done);
    CHECK(done->report.assignments == 4);
    CHECK(done->report.open == 1);
    CHECK_FALSE(done->by_daemon);
    log.open();
    check();
  }
  SECTION("by the one who writes the log, when he has time") {
    const auto done = forget_subscriber(log.ledger(), "alice", moment(100), [&] {
      log.tidy(6 * 86'400);
      return true;
    });
    REQUIRE(done);
    CHECK(done->report.assignments == 4);
    CHECK(done->report.open == 1);
    CHECK(done->by_daemon);
    CHECK(log.writer->take_forgotten() == std::vector<std::string>{"alice"});
    check();
    CHECK(log.files(".forget").empty());
    CHECK(log.files(".answer").empty());
    log.open();
    check();
  }
  SECTION("also what waits to be written, and is put again from memory: it begins behind the request") {
    log.put(held("10.0.0.5", "alice", 50, 60));
    const auto done = forget_subscriber(log.ledger(), "alice", moment(100), [&] {
      log.tidy(100);
      return true;
    });
    REQUIRE(done);
    log.commit();
    check();
    log.told(held("10.0.0.3", "alice", 40, 90));
    CHECK_FALSE(anywhere(log, "alice"));
    log.told(held("10.0.0.3", "alice", 40, 120));
    AddressAssignment behind = held("10.0.0.3", "alice", 100, 120);
    CHECK(log.reader()->of("alice") == std::vector<AddressAssignment>{behind});
  }
  SECTION("nobody of that name") {
    log.writer.reset();
    const auto done = forget_subscriber(log.ledger(), "carol", moment(100), [] { return true; });
    REQUIRE(done);
    CHECK(done->report.assignments == 0);
    log.open();
    CHECK(log.reader()->of("alice").size() == 4);
  }
}

TEST_CASE("what was followed is one time while it goes on, and two where something was lost",
          "[identity][log]") {
  IdentityFixture log;
  log.follow(0, 10);
  log.commit();
  log.follow(10, 20);
  log.commit();
  log.follow(25, 30);
  log.follow(30, 40);
  log.follow(5, 8, "radius://0.0.0.0:1813");
  log.commit();
  const std::vector<SourceSpan> expected{{kSource, moment(0), moment(20)},
                                         {kSource, moment(25), moment(40)},
                                         {"radius://0.0.0.0:1813", moment(5), moment(8)}};
  CHECK(log.reader()->spans() == expected);
  log.seal();
  CHECK(log.reader()->spans() == expected);
  log.open();
  CHECK(log.writer->followed_until(kSource) == moment(40));
  CHECK_FALSE(log.writer->followed_until("nobody"));
  log.follow(40, 41);
  log.commit();
  CHECK(log.reader()->spans()[1] == SourceSpan{kSource, moment(25), moment(41)});
}

TEST_CASE("a fall at any step of putting files in order loses nothing and shows nothing twice",
          "[identity][log]") {
  IdentityFixture log;
  log.told(held("10.0.0.1", "alice", 1, 2));
  log.told(held("10.0.0.2", "bob", 1));
  log.writer.reset();
  const std::string open = log.files(".open").at(0);
  const std::string before = log.bytes_of(open);
  log.open();
  log.seal();
  log.writer.reset();
  const std::string ended = log.files(".ended").at(0);
  const std::string current = log.files(".current").at(0);
  const auto check = [&] {
    for (int i = 0; i < 2; ++i) {
      CHECK(subscribers_of(all_of(*log.reader())) == std::vector<std::string>{"alice", "bob"});
      CHECK(log.reader()->damage().empty());
      if (i == 0) log.open();
      if (i == 0) log.seal(8 * 86'400);
    }
  };
  SECTION("all is there, and the file it was made of") {
    log.write(open, before);
    check();
    CHECK(std::filesystem::exists(log.file(open)) == false);
  }
  SECTION("what is open is not made yet") {
    std::filesystem::remove(log.file(current));
    for (const std::string& other : log.files(".open")) std::filesystem::remove(log.file(other));
    log.write(open, before);
    check();
  }
  SECTION("a file that was being written") {
    log.write(ended + ".tmp", "half");
    check();
    CHECK_FALSE(std::filesystem::exists(log.file(ended + ".tmp")));
  }
  SECTION("what is open is gone: it is told, for good") {
    std::filesystem::remove(log.file(current));
    CHECK_FALSE(log.reader()->damage().empty());
    log.open();
    log.seal(8 * 86'400);
    CHECK_FALSE(log.reader()->damage().empty());
  }
}

}  // namespace
}  // namespace natsession::testing
