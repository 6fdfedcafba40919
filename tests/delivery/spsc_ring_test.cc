#include "base/spsc_ring.h"

#include <memory>
#include <thread>

#include <catch2/catch.hpp>

using namespace natsession;

TEST_CASE("a ring gives back what was pushed, in order", "[base][spsc_ring]") {
  SpscRing<int> ring(4);
  CHECK(ring.front() == nullptr);
  for (int round = 0; round < 5; ++round) {
    CHECK(ring.push(2 * round));
    CHECK(ring.push(2 * round + 1));
    for (int i = 0; i < 2; ++i) {
      REQUIRE(ring.front() != nullptr);
      CHECK(*ring.front() == 2 * round + i);
      ring.pop();
    }
  }
  CHECK(ring.front() == nullptr);
}

TEST_CASE("a ring refuses what is beyond its capacity, also one that is no power of two",
          "[base][spsc_ring]") {
  SpscRing<int> ring(3);
  CHECK(ring.push(1));
  CHECK(ring.push(2));
  CHECK(ring.push(3));
  CHECK_FALSE(ring.push(4));
  CHECK(ring.size() == 3);
  REQUIRE(ring.front() != nullptr);
  ring.pop();
  CHECK(ring.push(4));
  CHECK_FALSE(ring.push(5));
}

TEST_CASE("a ring lets go of a value that was popped", "[base][spsc_ring]") {
  SpscRing<std::shared_ptr<int>> ring(2);
  auto value = std::make_shared<int>(1);
  CHECK(ring.push(value));
  REQUIRE(ring.front() != nullptr);
  ring.pop();
  CHECK(value.use_count() == 1);
}

// Each value is a change of threads where there is one processor; sanitizers make that slow.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kManyValues = 50'000;
#else
constexpr std::uint64_t kManyValues = 1'000'000;
#endif

TEST_CASE("two threads pass many values through a small ring, none lost, none changed", "[base][spsc_ring]") {
  SpscRing<std::uint64_t> ring(8);
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kManyValues;) {
      if (ring.push(i)) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::uint64_t wrong = 0;
  for (std::uint64_t expected = 0; expected < kManyValues;) {
    const std::uint64_t* const value = ring.front();
    if (value == nullptr) {
      std::this_thread::yield();
      continue;
    }
    wrong += *value == expected ? 0 : 1;
    ring.pop();
    ++expected;
  }
  producer.join();
  CHECK(wrong == 0);
}
