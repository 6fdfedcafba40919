#include "delivery/doorbell.h"

#include <thread>

#include <catch2/catch.hpp>

using namespace natsession;

TEST_CASE("a ring before the sleep ends it at once", "[delivery][doorbell]") {
  Doorbell bell;
  const std::uint32_t tally = bell.tally();
  SECTION("a light one") {
    bell.ring();
    bell.sleep(tally, Doorbell::Sleep::kLight, std::nullopt);
  }
  SECTION("a deep one") {
    bell.ring_urgently();
    bell.sleep(tally, Doorbell::Sleep::kDeep, std::nullopt);
  }
  CHECK(bell.tally() != tally);
}

TEST_CASE("a limit that has passed already means no sleep", "[delivery][doorbell]") {
  Doorbell bell;
  bell.sleep(bell.tally(), Doorbell::Sleep::kLight, std::chrono::nanoseconds(0));
  bell.sleep(bell.tally(), Doorbell::Sleep::kLight, std::chrono::nanoseconds(-5));
  SUCCEED("it came back");
}

// Hangs (until the time limit of the test program) if one ring is missed.
TEST_CASE("no ring is missed between two threads that wait for each other", "[delivery][doorbell]") {
  const auto kind = GENERATE(Doorbell::Sleep::kLight, Doorbell::Sleep::kDeep);
  constexpr int kRounds = 20'000;
  Doorbell to_other;
  Doorbell to_me;
  std::atomic<int> mine{0};
  std::atomic<int> theirs{0};
  const auto ring = [&](Doorbell& bell) {
    kind == Doorbell::Sleep::kDeep ? bell.ring_urgently() : bell.ring();
  };
  const auto wait = [&](Doorbell& bell, const std::atomic<int>& value, int wanted) {
    while (true) {
      const std::uint32_t tally = bell.tally();
      if (value.load() >= wanted) return;
      bell.sleep(tally, kind, std::nullopt);
    }
  };
  std::thread other([&] {
    for (int round = 1; round <= kRounds; ++round) {
      wait(to_other, mine, round);
      theirs.store(round);
      ring(to_me);
    }
  });
  for (int round = 1; round <= kRounds; ++round) {
    mine.store(round);
    ring(to_other);
    wait(to_me, theirs, round);
  }
  other.join();
  CHECK(theirs.load() == kRounds);
}

TEST_CASE("an urgent ring ends a deep sleep among any number of ordinary ones", "[delivery][doorbell]") {
  Doorbell bell;
  std::atomic<bool> urgent{false};
  std::thread sleeper([&] {
    while (true) {
      const std::uint32_t tally = bell.tally();
      if (urgent.load()) return;
      bell.sleep(tally, Doorbell::Sleep::kDeep, std::nullopt);
    }
  });
  for (int i = 0; i < 1000; ++i) bell.ring();
  urgent.store(true);
  bell.ring_urgently();
  sleeper.join();
  SUCCEED("it came back");
}
