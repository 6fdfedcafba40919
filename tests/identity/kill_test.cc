#include <sys/wait.h>

#include <csignal>
#include <map>
#include <random>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "identity/identity_fixture.h"
#include "query/subscriber_names.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;

// What number `i` is: every other one ends what the one before it began.
AddressAssignment numbered(int i) {
  const std::string address = "10.0." + std::to_string(i / 2 / 250 % 250) + "." + std::to_string(i / 2 % 250);
  const std::string name = "s" + std::to_string(i / 2);
  return i % 2 == 0 ? held(address, name, i) : held(address, name, i - 1, i);
}

// Puts one after the other, tells each that is committed, and puts files in order meanwhile.
[[noreturn]] void write_for_ever(const std::string& ledger, int from, int told) {
  auto writer = IdentityWriter::open(ledger, {});
  if (!writer) ::_exit(2);
  for (int i = from;; ++i) {
    (*writer)->put(numbered(i));
    (*writer)->follow({kSource, moment(i - 1), moment(i)});
    if (!(*writer)->commit(false) || ::write(told, &i, sizeof(i)) != sizeof(i)) ::_exit(3);
    // Time flies: every hundredth begins another file.
    if (!(*writer)->tidy(moment(i / 100 * 100'000.0))) ::_exit(4);
  }
}

TEST_CASE("a kill at any moment loses nothing that was committed, and shows nothing twice",
          "[identity][kill]") {
  const TempDir folder;
  std::mt19937 random(17);
  int last = -1;
  for (int round = 0; round < 12; ++round) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::close(ends[0]);
      write_for_ever(folder.path().string(), last + 1, ends[1]);
    }
    ::close(ends[1]);
    const int until = last + 1 + static_cast<int>(random() % 600);
    for (int told = last; told < until && ::read(ends[0], &told, sizeof(told)) == sizeof(told);) last = told;
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    for (int told = 0; ::read(ends[0], &told, sizeof(told)) == sizeof(told);) last = told;
    ::close(ends[0]);

    const auto reader = IdentityReader::open(folder.path().string());
    REQUIRE(reader);
    std::map<std::string, int> found;
    int ended = 0;
    (*reader)->list({}, [&](const AssignmentView& one) {
      ++found[std::string(one.subscriber)];
      ended += one.until ? 1 : 0;
      return true;
    });
    CHECK((*reader)->damage().empty());
    // One more may be there: committed, and not told.
    CHECK((static_cast<int>(found.size()) == last / 2 + 1 ||
           static_cast<int>(found.size()) == (last + 1) / 2 + 1));
    CHECK((ended == (last + 1) / 2 || ended == (last + 2) / 2));
    for (const auto& [name, times] : found) CHECK(times == 1);
    REQUIRE((*reader)->spans().size() == 1);
    CHECK((*reader)->spans()[0].until >= moment(last));
  }
  CHECK(last > 1'000);
}

TEST_CASE("the name of a session in one word is what the log says of its beginning", "[identity][names]") {
  IdentityFixture log;
  std::mt19937 random(5);
  double now = 0;
  for (int i = 0; i < 200; ++i) {
    const double begun = now + static_cast<double>(random() % 20);
    const double ended = begun + static_cast<double>(random() % 40);
    AddressAssignment one =
        held("10.0.0." + std::to_string(i % 3), "s" + std::to_string(i % 10), begun, ended);
    one.from_earliest -= std::chrono::seconds(random() % 3);
    *one.until_latest += std::chrono::seconds(random() % 3);
    log.put(one);
    if (i % 20 != 0) log.follow(now, ended);
    now = ended - static_cast<double>(random() % 10);
  }
  log.commit();
  SubscriberNames names(log.reader());
  const auto reader = log.reader();
  std::map<std::string, int> said;
  for (int i = 0; i < 20'000; ++i) {
    const IpAddress address = address_of("10.0.0." + std::to_string(random() % 4));
    const UnixMs at =
        moment(-100) + std::chrono::milliseconds(random() % static_cast<unsigned>((now + 200) * 1000));
    const IdentityAnswer answer = reader->who({address, at, at, 0s, {}});
    const std::string expected =
        answer.verdict == IdentityVerdict::kCertain    ? answer.holders[0].assignment.subscriber
        : answer.verdict == IdentityVerdict::kPossible ? std::string(kUncertainSubscriber)
        : answer.verdict == IdentityVerdict::kNobody   ? std::string(kNoSubscriber)
                                                       : std::string(kUnknownSubscriber);
    REQUIRE(names.label(address, {}, at) == expected);
    ++said[expected];
  }
  CHECK(said[std::string(kUncertainSubscriber)] > 100);
  CHECK(said[std::string(kNoSubscriber)] > 100);
  CHECK(said[std::string(kUnknownSubscriber)] > 100);
  CHECK(said["s1"] > 100);
}

}  // namespace
}  // namespace natsession::testing
