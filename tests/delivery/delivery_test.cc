// Delivery with its threads. The clock is real, but no test depends on how fast it runs.
#include "delivery/delivery.h"

#include <functional>
#include <latch>
#include <thread>

#include <catch2/catch.hpp>

#include "support/capture_sink.h"
#include "support/flaky_sink.h"
#include "support/numbered_record.h"
#include "support/stuck_sink.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::Capture;
using natsession::testing::CaptureSink;
using natsession::testing::FlakySink;
using natsession::testing::Latch;
using natsession::testing::numbered_record;
using natsession::testing::StuckSink;

namespace {

constexpr auto kLongEnough = 60s;  // a limit that is never reached unless something is broken

// Retries quickly: these tests are about threads, not about time.
DeliverySettings quick(std::size_t queue_batches = 256) {
  return {.queue_batches = queue_batches, .retry_first = 100us, .retry_limit = 1ms};
}

struct Sinks {
  std::vector<std::shared_ptr<Capture>> captures;
  std::vector<std::unique_ptr<Sink>> owned;

  Sinks& good() {
    captures.push_back(std::make_shared<Capture>());
    owned.push_back(std::make_unique<CaptureSink>("good", captures.back()));
    return *this;
  }
  Sinks& flaky(FlakySink::Script script) {
    captures.push_back(std::make_shared<Capture>());
    owned.push_back(std::make_unique<FlakySink>("flaky", captures.back(), std::move(script)));
    return *this;
  }
  Sinks& stuck(std::shared_ptr<Latch> latch) {
    captures.push_back(std::make_shared<Capture>());
    owned.push_back(std::make_unique<StuckSink>("stuck", captures.back(), std::move(latch)));
    return *this;
  }
};

void wait_until(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::yield();
}

// Emits numbers [0, count) of its own origin, with respect for pressure, as a collector does.
void collect(Producer& producer, const Origin& origin, std::uint32_t count) {
  for (std::uint32_t number = 0; number < count;) {
    if (!producer.has_room()) {
      producer.flush();
      std::this_thread::yield();
      continue;
    }
    const std::uint32_t turn = std::min<std::uint32_t>(count - number, 1 + number % 700);
    for (std::uint32_t i = 0; i < turn; ++i) producer.emit(numbered_record(number++, origin));
    producer.flush();
  }
}

// How many of each origin's records came, and whether each origin's came in order and without a hole.
struct Tally {
  std::uint32_t next = 0;
  std::uint64_t lost = 0;
  bool in_order = true;
};

Tally tally_of(const Capture& capture, const Origin& origin) {
  Tally tally;
  for (const SessionRecord& record : capture.seen().records) {
    if (record.origin != &origin) continue;
    if (record.event == RecordEvent::kGap) {
      tally.lost += record.events_lost.value();
      tally.next += static_cast<std::uint32_t>(record.events_lost.value());
      continue;
    }
    tally.in_order = tally.in_order && record.seq == tally.next;
    ++tally.next;
  }
  return tally;
}

}  // namespace

TEST_CASE("several collectors and several sinks: every sink gets every collector's records in order",
          "[delivery][threads]") {
  constexpr std::uint32_t kCount = 60'000;
  const SystemClock clock;
  FlakySink::Script script;
  for (int i = 0; i < 200; ++i) {
    script.push_back(Answer::delivered(0));
    script.push_back(Answer::retry_later(0, "no"));
  }
  Sinks sinks;
  sinks.good().flaky(std::move(script)).good();
  Delivery delivery(std::move(sinks.owned), quick(32), clock, {});
  const std::vector<Origin> origins{{"one", ""}, {"two", ""}, {"three", ""}};
  std::vector<Producer*> producers;
  for (std::size_t i = 0; i < origins.size(); ++i) producers.push_back(&delivery.add_producer());
  REQUIRE(delivery.start());

  std::vector<std::thread> collectors;
  for (std::size_t i = 0; i < origins.size(); ++i) {
    collectors.emplace_back(collect, std::ref(*producers[i]), std::cref(origins[i]), kCount);
  }
  for (std::thread& collector : collectors) collector.join();
  CHECK(delivery.drain_and_stop(kLongEnough));

  for (const auto& capture : sinks.captures) {
    for (const Origin& origin : origins) {
      const Tally tally = tally_of(*capture, origin);
      CHECK(tally.in_order);
      CHECK(tally.next == kCount);
      CHECK(tally.lost == 0);
    }
    CHECK(capture->seen().destroyed);
  }
  for (const SinkStatus& status : delivery.status()) {
    CHECK(status.delivered == origins.size() * kCount);
    CHECK(status.waiting == 0);
    CHECK(status.dropped == 0);
  }
}

TEST_CASE("a sink that hangs is left behind, and after its recovery a gap record says what it missed",
          "[delivery][threads]") {
  constexpr std::uint32_t kCount = 100'000;
  const SystemClock clock;
  const auto latch = std::make_shared<Latch>();
  Sinks sinks;
  sinks.good().stuck(latch);
  DeliverySettings settings = quick(32);
  settings.stall_limit = 1ms;
  std::atomic<int> left_behind{0};
  std::atomic<int> caught_up{0};
  Delivery delivery(std::move(sinks.owned), settings, clock,
                    {[&](const Report& report) {
                       left_behind += report.kind == Report::Kind::kLeftBehind ? 1 : 0;
                       caught_up += report.kind == Report::Kind::kCaughtUp ? 1 : 0;
                     },
                     {}});
  const Origin origin{"one", ""};
  Producer& producer = delivery.add_producer();
  REQUIRE(delivery.start());
  std::thread collector([&] {
    collect(producer, origin, kCount);
    latch->release();
    while (delivery.status()[1].left_behind) {
      producer.flush();
      std::this_thread::yield();
    }
  });
  collector.join();
  CHECK(delivery.drain_and_stop(kLongEnough));

  const Tally healthy = tally_of(*sinks.captures[0], origin);
  CHECK(healthy.in_order);
  CHECK(healthy.next == kCount);
  CHECK(healthy.lost == 0);
  const Tally hung = tally_of(*sinks.captures[1], origin);
  CHECK(hung.in_order);
  CHECK(hung.next == kCount);
  CHECK(hung.lost > 0);
  CHECK(hung.lost == delivery.status()[1].dropped);
  CHECK(left_behind.load() >= 1);
  CHECK(caught_up.load() >= 1);
}

TEST_CASE("an idle worker wakes for a single record", "[delivery][threads]") {
  const SystemClock clock;
  Sinks sinks;
  sinks.good();
  Delivery delivery(std::move(sinks.owned), {.idle_flush = 1h}, clock, {});
  Producer& producer = delivery.add_producer();
  REQUIRE(delivery.start());
  for (std::uint32_t number = 0; number < 200; ++number) {
    producer.emit(numbered_record(number));
    producer.flush();
    wait_until([&] { return sinks.captures[0]->count() == number + 1; });
  }
  CHECK(delivery.drain_and_stop(kLongEnough));
}

TEST_CASE("an idle sink reopens at once when asked", "[delivery][threads]") {
  const SystemClock clock;
  Sinks sinks;
  sinks.good().good();
  Delivery delivery(std::move(sinks.owned), {.idle_flush = 1h}, clock, {});
  delivery.add_producer();
  REQUIRE(delivery.start());
  for (int round = 1; round <= 200; ++round) {
    delivery.request_reopen();
    for (const auto& capture : sinks.captures) {
      wait_until([&] { return capture->seen().reopens == round; });
    }
  }
  CHECK(delivery.drain_and_stop(kLongEnough));
}

TEST_CASE("a drain names the sink that does not recover, and how much it was owed", "[delivery][threads]") {
  const SystemClock clock;
  Sinks sinks;
  sinks.flaky(FlakySink::Script(100'000, Answer::retry_later(0, "no room"))).good();
  DeliverySettings settings;
  settings.retry_first = settings.retry_limit = 1h;
  Delivery delivery(std::move(sinks.owned), settings, clock, {});
  Producer& producer = delivery.add_producer();
  REQUIRE(delivery.start());
  for (std::uint32_t number = 0; number < 700; ++number) producer.emit(numbered_record(number));
  producer.flush();
  wait_until([&] { return delivery.status()[0].in_trouble && delivery.status()[1].waiting == 0; });
  CHECK(delivery.status()[0].last_failure == "no room");
  const Drained drained = delivery.drain_and_stop(0ns);
  CHECK_FALSE(drained);
  REQUIRE(drained.undelivered.size() == 1);
  CHECK(drained.undelivered[0].sink == "flaky");
  CHECK(drained.undelivered[0].records == 700);
  CHECK_FALSE(drained.undelivered[0].hung);
  CHECK(sinks.captures[0]->seen().destroyed);
  CHECK(sinks.captures[1]->count() == 700);
}

TEST_CASE("a sink that hangs for ever does not hang the end of the program", "[delivery][threads]") {
  const SystemClock clock;  // outlives the thread that is left to itself, see the end of this test
  const auto latch = std::make_shared<Latch>();
  Sinks sinks;
  sinks.stuck(latch).good();
  std::atomic<int> calls{0};
  {
    Delivery delivery(std::move(sinks.owned), {}, clock, {[&](const Report&) { ++calls; }, {}});
    Producer& producer = delivery.add_producer();
    REQUIRE(delivery.start());
    for (std::uint32_t number = 0; number < 300; ++number) producer.emit(numbered_record(number));
    producer.flush();
    latch->wait_for_a_waiter();
    wait_until([&] { return delivery.status()[1].waiting == 0; });
    const Drained drained = delivery.drain_and_stop(1ms);
    REQUIRE(drained.undelivered.size() == 1);
    CHECK(drained.undelivered[0].sink == "stuck");
    CHECK(drained.undelivered[0].records == 300);
    CHECK(drained.undelivered[0].hung);
    CHECK(sinks.captures[1]->seen().destroyed);
    CHECK_FALSE(sinks.captures[0]->seen().destroyed);
  }
  latch->release();
  wait_until([&] { return sinks.captures[0]->seen().destroyed; });
  CHECK(calls.load() == 0);
}

TEST_CASE("a closed sink is told to the program while it runs", "[delivery][threads]") {
  const SystemClock clock;
  Sinks sinks;
  sinks.flaky({Answer::closed(0, "write stdout: Broken pipe")});
  std::atomic<bool> told{false};
  Delivery delivery(std::move(sinks.owned), {}, clock,
                    {{}, [&](std::string_view sink, const std::string& why) {
                       CHECK(sink == "flaky");
                       CHECK(why == "write stdout: Broken pipe");
                       told.store(true);
                     }});
  Producer& producer = delivery.add_producer();
  REQUIRE(delivery.start());
  producer.emit(numbered_record(0));
  producer.flush();
  wait_until([&] { return told.load(); });
  CHECK(delivery.status()[0].closed);
  CHECK(delivery.drain_and_stop(kLongEnough));
}

TEST_CASE("a delivery that was never started ends quietly", "[delivery][threads]") {
  const SystemClock clock;
  Sinks sinks;
  sinks.good();
  {
    Delivery delivery(std::move(sinks.owned), {}, clock, {});
    delivery.add_producer();
  }
  CHECK(sinks.captures[0]->seen().destroyed);
}
