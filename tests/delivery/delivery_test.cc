// Delivery with its threads, in memory and over a ledger. The clock is real, but no test depends on how fast
// it runs.
#include "delivery/delivery.h"

#include <functional>
#include <thread>

#include <catch2/catch.hpp>

#include "support/capture_sink.h"
#include "support/flaky_sink.h"
#include "support/numbered_record.h"
#include "support/stuck_sink.h"
#include "support/temp_dir.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;

namespace {

constexpr auto kLongEnough = 60s;  // a limit that is never reached unless something is broken

// Retries quickly: these tests are about threads, not about time.
DeliverySettings quick(std::size_t queue_batches = 64) {
  return {
      .queue_batches = queue_batches, .retry_first = 100us, .retry_limit = 1ms, .ledger_grace = kLongEnough};
}

void wait_until(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::yield();
}

// Emits numbers [from, to) of its own origin with respect for pressure, as a collector does.
void collect(Producer& producer, std::uint32_t from, std::uint32_t to,
             const Origin& origin = testing::test_origin()) {
  for (std::uint32_t number = from; number < to;) {
    if (!producer.has_room()) {
      producer.flush();
      std::this_thread::yield();
      continue;
    }
    const std::uint32_t turn = std::min<std::uint32_t>(to - number, 1 + number % 700);
    for (std::uint32_t i = 0; i < turn; ++i) producer.emit(numbered_record(number++, origin));
    producer.flush();
  }
}

// Whether each of several collectors' records came once and in order: their instances are 0, 1, 2 …
class OrderSink final : public Sink {
 public:
  struct Seen {
    std::uint32_t next[3] = {0, 0, 0};
    bool in_order = true;
  };
  OrderSink(std::string name, std::shared_ptr<Guarded<Seen>> seen)
      : name_(std::move(name)), seen_(std::move(seen)) {}
  std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override {
    seen_->with([&](Seen& seen) {
      for (const SessionRecord& record : records) {
        std::uint32_t& next = seen.next[record.origin->instance.at(0) - '0'];
        seen.in_order = seen.in_order && record.seq == next++;
      }
    });
    return Answer::delivered(records.size());
  }

 private:
  const std::string name_;
  const std::shared_ptr<Guarded<Seen>> seen_;
};

// What came in the place of one collector's records: how many in their order, of them by gap records.
struct Tally {
  std::uint64_t next = 0;
  std::uint64_t lost = 0;
  bool in_order = true;
};

Tally tally_of(const Capture& capture) {
  Tally tally;
  for (const SessionRecord& record : capture.seen().records) {
    if (record.event == RecordEvent::kGap) {
      tally.lost += record.events_lost.value();
      tally.next += record.events_lost.value();
      continue;
    }
    tally.in_order = tally.in_order && record.seq == tally.next;
    ++tally.next;
  }
  return tally;
}

// One delivery after another, in memory or over one ledger.
struct World {
  explicit World(bool over_a_ledger) : with_ledger(over_a_ledger) {}

  World& add(std::unique_ptr<Sink> sink, BatchLimits batch = {}) {
    specs.push_back({.sink = std::move(sink), .batch = batch});
    return *this;
  }
  World& good(std::string name = "good") {
    captures.push_back(std::make_shared<Capture>());
    return add(std::make_unique<CaptureSink>(std::move(name), captures.back()));
  }
  World& flaky(FlakySink::Script script, BatchLimits batch = {}, std::string name = "flaky") {
    captures.push_back(std::make_shared<Capture>());
    return add(std::make_unique<FlakySink>(std::move(name), captures.back(), std::move(script)), batch);
  }
  World& stuck(std::shared_ptr<Latch> latch) {
    captures.push_back(std::make_shared<Capture>());
    return add(std::make_unique<StuckSink>("stuck", captures.back(), std::move(latch)));
  }
  void build(const DeliverySettings& settings = quick(), DeliveryCallbacks callbacks = {}) {
    LedgerSetup ledger;
    if (with_ledger) {
      ledger.settings = {.directory = directory.file("ledger"), .sync_interval = 10ms};
      auto writer = LedgerWriter::open(ledger.settings, clock);
      REQUIRE(writer);
      ledger.writer = std::move(*writer);
    }
    delivery = std::make_shared<Delivery>(std::move(specs), settings, clock, std::move(callbacks), "here",
                                          std::move(ledger));
    specs.clear();
    producer = &delivery->add_producer();
    threads = std::make_unique<DeliveryThreads>(delivery);
  }
  void start(const DeliverySettings& settings = quick(), DeliveryCallbacks callbacks = {}) {
    build(settings, std::move(callbacks));
    REQUIRE(threads->start());
  }
  SinkReport status(std::size_t sink) const { return delivery->sink_reports()[sink]; }
  Drained drain(std::chrono::nanoseconds limit = kLongEnough) { return threads->drain_and_stop(limit); }
  void end() {
    threads.reset();
    delivery.reset();
  }

  const bool with_ledger;
  const TempDir directory;
  const SystemClock clock;
  std::vector<SinkSpec> specs;
  std::vector<std::shared_ptr<Capture>> captures;
  std::shared_ptr<Delivery> delivery;
  std::unique_ptr<DeliveryThreads> threads;
  Producer* producer = nullptr;
};

}  // namespace

TEST_CASE("several collectors and several sinks: every sink gets every collector's records in order",
          "[delivery][threads]") {
  const bool with_ledger = GENERATE(false, true);
  CAPTURE(with_ledger);
  constexpr std::uint32_t kCount = 50'000;
  World world(with_ledger);
  const auto good = std::make_shared<Guarded<OrderSink::Seen>>();
  FlakySink::Script script;
  for (int i = 0; i < 200; ++i) {
    script.push_back(Answer::delivered(0));
    script.push_back(Answer::retry_later(static_cast<std::size_t>(i) % 3, "no"));
  }
  world.add(std::make_unique<OrderSink>("good", good))
      .flaky(std::move(script), {.records = 500, .linger = 5ms});
  world.build(quick(32));
  const std::vector<Origin> origins{{"0", ""}, {"1", ""}, {"2", ""}};
  std::vector<Producer*> producers{world.producer};
  while (producers.size() < origins.size()) producers.push_back(&world.delivery->add_producer());
  REQUIRE(world.threads->start());

  std::vector<std::thread> others;
  for (std::size_t i = 0; i < origins.size(); ++i) {
    others.emplace_back(collect, std::ref(*producers[i]), 0, kCount, std::cref(origins[i]));
  }
  others.emplace_back([&] {
    for (int i = 0; i < 200; ++i) {
      for (const SinkReport& status : world.delivery->sink_reports()) CHECK(status.delivered <= 3 * kCount);
      static_cast<void>(world.delivery->ledger_report());
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : others) thread.join();
  const Drained drained = world.drain();
  CHECK(drained);
  CHECK(drained.kept.empty());
  CHECK_FALSE(drained.any_hung());

  const OrderSink::Seen seen = good->with([](const OrderSink::Seen& value) { return value; });
  CHECK(seen.in_order);
  for (const std::uint32_t next : seen.next) CHECK(next == kCount);
  CHECK(world.captures[0]->count() == 3 * kCount);
  CHECK(world.captures[0]->seen().destroyed);
  for (const SinkReport& status : world.delivery->sink_reports()) {
    CHECK(status.delivered == 3 * kCount);
    CHECK(status.waiting == 0);
    CHECK(status.dropped == 0);
  }
  if (with_ledger) {
    CHECK(world.delivery->ledger_report()->appended == 3 * kCount);
    CHECK(world.delivery->ledger_report()->pending == 0);
  }
}

TEST_CASE("in memory a sink that hangs lags, and after its recovery gap records say what it missed",
          "[delivery][threads]") {
  constexpr std::uint32_t kCount = 100'000;
  const auto latch = std::make_shared<Latch>();
  DeliverySettings settings = quick(32);
  settings.stall_limit = 1ms;
  std::atomic<int> lagging{0};
  std::atomic<int> over{0};
  World world(false);
  world.good().stuck(latch).start(settings, {[&](const Report& report) {
                                               lagging += report.kind == Report::Kind::kLagging ? 1 : 0;
                                               over += report.kind == Report::Kind::kLaggingOver ? 1 : 0;
                                             },
                                             {}});
  collect(*world.producer, 0, kCount);
  latch->release();
  wait_until([&] { return world.status(1).waiting == 0; });
  CHECK(world.drain());

  const Tally healthy = tally_of(*world.captures[0]);
  CHECK(healthy.in_order);
  CHECK(healthy.next == kCount);
  CHECK(healthy.lost == 0);
  const Tally hung = tally_of(*world.captures[1]);
  CHECK(hung.in_order);
  CHECK(hung.next == kCount);
  CHECK(hung.lost > 0);
  CHECK(hung.lost == world.status(1).dropped);
  CHECK(lagging.load() >= 1);
  CHECK(over.load() >= 1);
}

TEST_CASE("an idle worker wakes for a single record, and to reopen", "[delivery][threads]") {
  World world(false);
  world.good().start({.idle_flush = 1h});
  for (std::uint32_t number = 0; number < 200; ++number) {
    world.producer->emit(numbered_record(number));
    world.producer->flush();
    wait_until([&] { return world.captures[0]->count() == number + 1; });
    world.delivery->request_reopen();
    wait_until([&] { return world.captures[0]->seen().reopens == static_cast<int>(number) + 1; });
  }
  CHECK(world.drain());
}

TEST_CASE("a drain names the sink that does not recover, and how much it was owed", "[delivery][threads]") {
  World world(false);
  DeliverySettings settings;
  settings.retry_first = settings.retry_limit = 1h;
  world.flaky(FlakySink::Script(100'000, Answer::retry_later(0, "no room"))).good().start(settings);
  collect(*world.producer, 0, 700);
  wait_until([&] { return world.status(0).in_trouble && world.status(1).waiting == 0; });
  CHECK(world.status(0).last_failure == "no room");
  const Drained drained = world.drain(0ns);
  CHECK_FALSE(drained);
  REQUIRE(drained.undelivered.size() == 1);
  CHECK(drained.undelivered[0].sink == "flaky");
  CHECK(drained.undelivered[0].records == 700);
  CHECK_FALSE(drained.undelivered[0].hung);
  CHECK(world.captures[0]->seen().destroyed);
  CHECK(world.captures[1]->count() == 700);
}

TEST_CASE("what a sink does not take before the stop is there after the next start, with a ledger",
          "[delivery][threads]") {
  World world(true);
  world.flaky(FlakySink::Script(100, Answer::target_failed(0, TargetCode::kUnauthorized, "401")), {}, "a")
      .start();
  collect(*world.producer, 0, 3000);
  wait_until([&] { return world.status(0).code == "UnavailableTarget"; });
  const Drained drained = world.drain();
  CHECK(drained);
  REQUIRE(drained.kept.size() == 1);
  CHECK(drained.kept[0].sink == "a");
  CHECK(drained.kept[0].records == 3000);
  CHECK_FALSE(drained.kept[0].hung);
  world.end();
  world.good("a").start();
  collect(*world.producer, 3000, 3500);
  CHECK(world.drain());
  const Tally tally = tally_of(*world.captures[1]);
  CHECK(tally.in_order);
  CHECK(tally.next == 3500);
}

TEST_CASE("with a ledger a stop waits for no sink once all is written", "[delivery][threads]") {
  World world(true);
  DeliverySettings settings = quick();
  settings.ledger_grace = 10ms;
  const bool hangs = GENERATE(false, true);
  const auto latch = std::make_shared<Latch>();
  if (hangs) {
    world.stuck(latch);
  } else {
    world.flaky(FlakySink::Script(100'000, Answer::retry_later(0, "no room")));
  }
  world.start(settings);
  collect(*world.producer, 0, 3000);
  if (hangs) latch->wait_for_a_waiter();
  const auto began = std::chrono::steady_clock::now();
  int looks = 0;
  const Drained drained = world.threads->drain_and_stop(kLongEnough, [&] { ++looks; });
  CHECK(std::chrono::steady_clock::now() - began < kLongEnough / 2);
  CHECK(looks > 0);
  CHECK(drained);
  CHECK(drained.any_hung() == hangs);
  REQUIRE(drained.kept.size() == 1);
  CHECK(drained.kept[0].records == 3000);
  latch->release();
  world.end();
  if (hangs) wait_until([&] { return world.captures[0]->seen().destroyed; });
}

TEST_CASE("a sink that hangs for ever delays neither the others nor the end of the program",
          "[delivery][threads]") {
  const bool with_ledger = GENERATE(false, true);
  CAPTURE(with_ledger);
  // Outlives the thread that is left to itself, see the end of this test.
  World world(with_ledger);
  const auto latch = std::make_shared<Latch>();
  std::atomic<int> calls{0};
  world.stuck(latch).good().start(quick(), {[&](const Report&) { ++calls; }, {}});
  collect(*world.producer, 0, 5000);
  latch->wait_for_a_waiter();
  wait_until([&] { return world.captures[1]->count() == 5000 && world.status(0).waiting == 5000; });
  const Drained drained = world.drain(1ms);
  CHECK(static_cast<bool>(drained) == with_ledger);
  CHECK(drained.any_hung());
  const auto& left = with_ledger ? drained.kept : drained.undelivered;
  REQUIRE(left.size() == 1);
  CHECK(left[0].sink == "stuck");
  CHECK(left[0].records == 5000);
  CHECK(left[0].hung);
  CHECK(world.captures[1]->seen().destroyed);
  CHECK_FALSE(world.captures[0]->seen().destroyed);
  const int before = calls.load();
  world.end();
  latch->release();
  wait_until([&] { return world.captures[0]->seen().destroyed; });
  CHECK(calls.load() == before);
}

TEST_CASE("sinks are disabled and enabled while records come, and every record is accounted for",
          "[delivery][threads]") {
  const bool with_ledger = GENERATE(false, true);
  CAPTURE(with_ledger);
  constexpr std::uint32_t kCount = 60'000;
  World world(with_ledger);
  world.flaky({}, {.records = 300, .linger = 1ms}).start(quick(32));
  collect(*world.producer, 0, 1);
  wait_until([&] { return world.status(0).state == DeliveryState::kSuccess; });
  std::thread collector([&] { collect(*world.producer, 1, kCount); });
  for (int i = 0; i < 20; ++i) {
    REQUIRE(world.delivery->set_enabled("flaky", i % 2 == 1));
    wait_until([&] { return world.status(0).state == DeliveryState::kSuccess; });
  }
  collector.join();
  CHECK(world.drain());
  const Tally tally = tally_of(*world.captures[0]);
  CHECK(tally.in_order);
  CHECK(tally.next == kCount);
  CHECK(world.status(0).dropped == tally.lost);
  if (with_ledger) CHECK(tally.lost == 0);
}

TEST_CASE("a closed sink is told to the program while it runs", "[delivery][threads]") {
  World world(false);
  std::atomic<bool> told{false};
  world.flaky({Answer::closed(0, "write stdout: Broken pipe")})
      .start(quick(), {{}, [&](std::string_view sink, const std::string& why) {
                         CHECK(sink == "flaky");
                         CHECK(why == "write stdout: Broken pipe");
                         told.store(true);
                       }});
  collect(*world.producer, 0, 1);
  wait_until([&] { return told.load(); });
  CHECK(world.status(0).closed);
  CHECK(world.drain());
}

TEST_CASE("a thread that finds no memory is told to the program, which stops in order",
          "[delivery][threads]") {
  const bool with_ledger = GENERATE(false, true);
  World world(with_ledger);
  world.captures.push_back(std::make_shared<Capture>());
  auto sink = std::make_unique<FlakySink>("flaky", world.captures.back(), FlakySink::Script());
  std::atomic<int> short_of_memory{2};
  sink->on_deliver = [&] {
    if (short_of_memory.fetch_sub(1) > 0) throw std::bad_alloc();
  };
  std::atomic<int> told{0};
  world.add(std::move(sink)).start(quick(), {{}, {}, [&] { ++told; }});
  collect(*world.producer, 0, 1000);
  wait_until([&] { return told.load() > 0; });
  CHECK(world.drain());
  CHECK(world.captures[0]->count() == 1000);
  CHECK(told.load() == 1);
}

TEST_CASE("a delivery that was never started ends quietly", "[delivery][threads]") {
  World world(GENERATE(false, true));
  world.good().build();
  world.end();
  CHECK(world.captures[0]->seen().destroyed);
}
