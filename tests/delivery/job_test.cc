#include "delivery/job.h"

#include <thread>

#include <catch2/catch.hpp>

using namespace natsession;

TEST_CASE("a notice before the sleep ends it at once", "[delivery][notifier]") {
  Notifier notifier;
  const Notifier::Mark mark = notifier.mark();
  SECTION("a light one") {
    notifier.notify();
    notifier.sleep(mark, Notifier::Sleep::kLight, std::nullopt);
  }
  SECTION("a deep one") {
    notifier.notify_urgently();
    notifier.sleep(mark, Notifier::Sleep::kDeep, std::nullopt);
  }
  CHECK(notifier.mark().all == mark.all + 1);
}

TEST_CASE("a limit that has passed already means no sleep", "[delivery][notifier]") {
  Notifier notifier;
  notifier.sleep(notifier.mark(), Notifier::Sleep::kLight, std::chrono::nanoseconds(0));
  notifier.sleep(notifier.mark(), Notifier::Sleep::kLight, std::chrono::nanoseconds(-5));
  SUCCEED("it came back");
}

// Hangs (until the time limit of the test program) if one is missed.
TEST_CASE("no notice is missed between two threads that wait for each other", "[delivery][notifier]") {
  const auto kind = GENERATE(Notifier::Sleep::kLight, Notifier::Sleep::kDeep);
  constexpr int kRounds = 20'000;
  Notifier to_other;
  Notifier to_me;
  std::atomic<int> mine{0};
  std::atomic<int> theirs{0};
  const auto notify = [&](Notifier& notifier) {
    kind == Notifier::Sleep::kDeep ? notifier.notify_urgently() : notifier.notify();
  };
  const auto wait = [&](Notifier& notifier, const std::atomic<int>& value, int wanted) {
    while (true) {
      const Notifier::Mark mark = notifier.mark();
      if (value.load() >= wanted) return;
      notifier.sleep(mark, kind, std::nullopt);
    }
  };
  std::thread other([&] {
    for (int round = 1; round <= kRounds; ++round) {
      wait(to_other, mine, round);
      theirs.store(round);
      notify(to_me);
    }
  });
  for (int round = 1; round <= kRounds; ++round) {
    mine.store(round);
    notify(to_other);
    wait(to_me, theirs, round);
  }
  other.join();
  CHECK(theirs.load() == kRounds);
}

TEST_CASE("an urgent notice ends a deep sleep among any number of ordinary ones", "[delivery][notifier]") {
  Notifier notifier;
  std::atomic<bool> urgent{false};
  std::thread sleeper([&] {
    while (true) {
      const Notifier::Mark mark = notifier.mark();
      if (urgent.load()) return;
      notifier.sleep(mark, Notifier::Sleep::kDeep, std::nullopt);
    }
  });
  for (int i = 0; i < 1000; ++i) notifier.notify();
  urgent.store(true);
  notifier.notify_urgently();
  sleeper.join();
  SUCCEED("it came back");
}
