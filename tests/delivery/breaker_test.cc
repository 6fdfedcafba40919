#include "delivery/breaker.h"

#include <catch2/catch.hpp>

using namespace natsession;
using namespace std::chrono_literals;
using Permit = Breaker::Permit;
using State = Breaker::State;

namespace {
constexpr auto kSuspension = 5min;
constexpr std::uint64_t kKnown = 100;  // the high_watermark when the batch that failed was offered
}  // namespace

TEST_CASE("a closed breaker lets everything through", "[delivery][breaker]") {
  Breaker breaker(kSuspension);
  CHECK(breaker.state() == State::kClosed);
  CHECK(breaker.permit(0s, 0) == Permit::kSend);
  CHECK(breaker.permit(1h, 1000) == Permit::kSend);
  breaker.succeed();
  CHECK(breaker.state() == State::kClosed);
}

TEST_CASE("after a failure nothing is sent for the suspension, however much comes", "[delivery][breaker]") {
  Breaker breaker(kSuspension);
  breaker.fail(10s, kKnown);
  CHECK(breaker.state() == State::kSuspended);
  CHECK(breaker.suspended_until() == 10s + kSuspension);
  CHECK(breaker.permit(10s, kKnown + 1) == Permit::kWait);
  CHECK(breaker.permit(10s + kSuspension - 1ns, kKnown + 1'000'000) == Permit::kWait);
}

TEST_CASE("when the suspension is over a test waits for new data", "[delivery][breaker]") {
  Breaker breaker(kSuspension);
  breaker.fail(0s, kKnown);
  CHECK(breaker.permit(kSuspension, kKnown) == Permit::kWaitForData);
  CHECK(breaker.permit(kSuspension + 24h, kKnown) == Permit::kWaitForData);
  CHECK(breaker.permit(kSuspension + 24h, kKnown + 1) == Permit::kTest);
}

TEST_CASE("data that came during the suspension is new at its end", "[delivery][breaker]") {
  Breaker breaker(kSuspension);
  breaker.fail(0s, kKnown);
  CHECK(breaker.permit(1s, kKnown + 1) == Permit::kWait);
  CHECK(breaker.permit(kSuspension, kKnown + 1) == Permit::kTest);
}

TEST_CASE("a test that fails suspends for as long again, and needs newer data", "[delivery][breaker]") {
  Breaker breaker(kSuspension);
  breaker.fail(0s, kKnown);
  for (int round = 1; round <= 3; ++round) {
    const auto now = round * kSuspension;
    const std::uint64_t high_watermark = kKnown + static_cast<std::uint64_t>(round);
    REQUIRE(breaker.permit(now, high_watermark) == Permit::kTest);
    breaker.begin_test();
    CHECK(breaker.state() == State::kTesting);
    breaker.fail(now, high_watermark);
    CHECK(breaker.state() == State::kSuspended);
    CHECK(breaker.permit(now + kSuspension - 1ns, high_watermark + 1) == Permit::kWait);
    CHECK(breaker.permit(now + kSuspension, high_watermark) == Permit::kWaitForData);
  }
}

TEST_CASE("a test that succeeds closes the breaker", "[delivery][breaker]") {
  Breaker breaker(kSuspension);
  breaker.fail(0s, kKnown);
  breaker.begin_test();
  breaker.succeed();
  CHECK(breaker.state() == State::kClosed);
  CHECK(breaker.permit(1s, kKnown) == Permit::kSend);
}

TEST_CASE("a probe is a test at once, once, and without new data", "[delivery][breaker]") {
  Breaker breaker(kSuspension);
  breaker.fail(0s, kKnown);
  breaker.probe();
  CHECK(breaker.permit(1s, kKnown) == Permit::kTest);
  breaker.begin_test();
  breaker.fail(1s, kKnown);
  CHECK(breaker.permit(2s, kKnown) == Permit::kWait);
  CHECK(breaker.permit(1s + kSuspension, kKnown) == Permit::kWaitForData);
}

TEST_CASE("a probe of a closed breaker means nothing later", "[delivery][breaker]") {
  Breaker breaker(kSuspension);
  breaker.probe();
  breaker.fail(0s, kKnown);
  CHECK(breaker.permit(1s, kKnown) == Permit::kWait);
}

TEST_CASE("a failure while suspended counts from then", "[delivery][breaker]") {
  Breaker breaker(kSuspension);
  breaker.fail(0s, kKnown);
  breaker.fail(1min, kKnown + 5);
  CHECK(breaker.suspended_until() == 1min + kSuspension);
  CHECK(breaker.permit(1min + kSuspension, kKnown + 5) == Permit::kWaitForData);
}
