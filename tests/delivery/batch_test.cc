#include <thread>

#include <catch2/catch.hpp>

#include "delivery/breaker.h"
#include "delivery/job.h"
#include "delivery/log_consumer.h"
#include "record/encoder.h"
#include "support/numbered_record.h"

using namespace natsession;
using namespace natsession::testing;
using namespace std::chrono_literals;
using Permit = Breaker::Permit;
using State = Breaker::State;

namespace {

std::vector<SessionRecord> records(std::size_t count) {
  return std::vector<SessionRecord>(count, numbered_record(1'795'263'662));
}

}  // namespace

TEST_CASE("a batch takes what there is up to its limit, and is full there", "[delivery][batch]") {
  const BatchLimits limits{.records = 10};
  CHECK(cut_batch({}, limits).count == 0);
  CHECK(cut_batch(records(9), limits).count == 9);
  CHECK_FALSE(cut_batch(records(9), limits).full);
  CHECK(cut_batch(records(10), limits).full);
  CHECK(cut_batch(records(11), limits).count == 10);
  CHECK(cut_batch(records(11), limits).full);
}

TEST_CASE("a batch ends before the record that would make it too large", "[delivery][batch]") {
  const std::size_t one = estimated_bytes(numbered_record(0));
  CHECK(cut_batch(records(9), {.bytes = {3 * one}}).count == 3);
  CHECK(cut_batch(records(9), {.bytes = {3 * one}}).full);
  CHECK(cut_batch(records(9), {.bytes = {4 * one - 1}}).count == 3);
  CHECK(cut_batch(records(3), {.bytes = {3 * one}}).full);
  CHECK_FALSE(cut_batch(records(3), {.bytes = {3 * one + 1}}).full);
}

TEST_CASE("a record that is larger than a batch may be goes alone", "[delivery][batch]") {
  const Batch batch = cut_batch(records(5), {.bytes = {1}});
  CHECK(batch.count == 1);
  CHECK(batch.full);
}

TEST_CASE("the estimate is near what JSON takes, and not below it", "[delivery][batch]") {
  const bool v6 = GENERATE(false, true);
  const Origin origin{"nat-gateway-eu-7", "tenant-12"};
  SessionRecord record = numbered_record(1'795'263'662, origin);
  record.vpc_id = "vpc-0123456789";
  record.session_start = record.start_time;
  record.bytes_from_pub = record.bytes_from_vpc = Count(123'456'789);
  record.pkts_from_pub = record.pkts_from_vpc = Count(123'456);
  if (v6) {
    const IpAddress address = *IpAddress::parse("2001:db8:1234:5678:9abc:def0:1234:5678");
    record.pri_ip = record.pub_ip = record.nat_ip = address;
  }
  std::string line;
  make_encoder({.with_netns = true})->append(record, line);
  CHECK(estimated_bytes(record) >= line.size());
  CHECK(estimated_bytes(record) < 2 * line.size());
}

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

// A notifier that is late, and wakes a thread which has known of its notice before it slept, leaves it
// asleep: the next notice must wake it.
TEST_CASE("no notice is missed where several threads notify one", "[delivery][notifier]") {
  constexpr int kEach = 100'000;
  constexpr auto kMissed = 5s;
  Notifier notifier;
  std::atomic<int> work{0};
  const auto give = [&] {
    for (int i = 0; i < kEach; ++i) {
      work.fetch_add(1);
      notifier.notify();
    }
  };
  std::thread one(give);
  std::thread another(give);
  std::thread third(give);
  int done = 0;
  int missed = 0;
  while (done < 3 * kEach) {
    const Notifier::Mark mark = notifier.mark();
    done += work.exchange(0);
    if (done == 3 * kEach) break;
    const auto slept_at = std::chrono::steady_clock::now();
    notifier.sleep(mark, Notifier::Sleep::kLight, kMissed);
    if (std::chrono::steady_clock::now() - slept_at >= kMissed) ++missed;
  }
  one.join();
  another.join();
  third.join();
  CHECK(missed == 0);
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
