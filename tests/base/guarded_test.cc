#include "base/guarded.h"

#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

namespace natsession {
namespace {

TEST_CASE("threads that share a guarded value lose no change", "[base][guarded]") {
  constexpr int kThreads = 4;
  constexpr int kSteps = 2000;
  std::latch all_there(kThreads);
  Guarded<int> counter;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      all_there.arrive_and_wait();
      for (int step = 0; step < kSteps; ++step) {
        counter.with([](int& value) {
          const int seen = value;
          std::this_thread::yield();  // invites the others in, if nothing keeps them out
          value = seen + 1;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(counter.with([](int& value) { return value; }) == kThreads * kSteps);
}

TEST_CASE("a guarded value begins with what it was given, and a constant one can be read",
          "[base][guarded]") {
  const Guarded<std::string> text("begin");
  CHECK(text.with([](const std::string& value) { return value.size(); }) == 5);
}

TEST_CASE("a guarded value may be one that can only be moved", "[base][guarded]") {
  Guarded<std::unique_ptr<int>> value(std::make_unique<int>(7));
  const auto taken = value.with([](std::unique_ptr<int>& inside) { return std::move(inside); });
  REQUIRE(taken);
  CHECK(*taken == 7);
  CHECK(value.with([](const std::unique_ptr<int>& inside) { return inside == nullptr; }));
}

}  // namespace
}  // namespace natsession
