// Delivery through a ledger with its threads: over the fake one, and over the real one on a disk. The clock
// is real, but no test depends on how fast it runs.
#include <functional>
#include <thread>

#include <catch2/catch.hpp>

#include "delivery/delivery.h"
#include "delivery/fake_ledger.h"
#include "support/capture_sink.h"
#include "support/flaky_sink.h"
#include "support/numbered_record.h"
#include "support/stuck_sink.h"
#include "support/temp_dir.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::Capture;
using natsession::testing::CaptureSink;
using natsession::testing::FakeLedger;
using natsession::testing::FlakySink;
using natsession::testing::Latch;
using natsession::testing::numbered_record;
using natsession::testing::StuckSink;
using natsession::testing::TempDir;

namespace {

constexpr auto kLongEnough = 60s;

DeliverySettings quick() {
  return {.queue_batches = 64, .retry_first = 100us, .retry_limit = 1ms};
}

const Origin& other_origin() {
  static const Origin origin{"other", ""};
  return origin;
}

void wait_until(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::yield();
}

// Emits numbers [from, to) with respect for pressure, as a collector does.
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

// Whether each of two collectors' records came once and in order.
class OrderSink final : public Sink {
 public:
  struct Seen {
    std::uint32_t next[2] = {0, 0};
    bool in_order = true;
  };
  OrderSink(std::string name, std::shared_ptr<Guarded<Seen>> seen)
      : name_(std::move(name)), seen_(std::move(seen)) {}
  std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override {
    seen_->with([&](Seen& seen) {
      for (const SessionRecord& record : records) {
        std::uint32_t& next = seen.next[record.origin->instance == "other" ? 1 : 0];
        seen.in_order = seen.in_order && record.seq == next;
        ++next;
      }
    });
    return Answer::delivered(records.size());
  }

 private:
  const std::string name_;
  const std::shared_ptr<Guarded<Seen>> seen_;
};

// Delivery over either ledger.
struct World {
  explicit World(bool is_real) : real(is_real) {}
  LedgerSetup ledger() {
    if (!real) return {fake.port(), "here"};
    auto port = open_ledger({.directory = directory.file("ledger"), .sync_interval = 10ms}, clock);
    REQUIRE(port);
    return {std::move(*port), "here"};
  }
  bool real;
  TempDir directory;
  SystemClock clock;
  FakeLedger fake{directory.path().string()};
};

SinkSpec spec_of(std::unique_ptr<Sink> sink) {
  return {.sink = std::move(sink)};
}

}  // namespace

TEST_CASE("through a ledger every sink gets every collector's records in order",
          "[delivery][ledger][threads]") {
  const bool real = GENERATE(false, true);
  CAPTURE(real);
  constexpr std::uint32_t kCount = 50'000;
  World world(real);
  const auto good = std::make_shared<Guarded<OrderSink::Seen>>();
  const auto flaky = std::make_shared<Capture>();
  FlakySink::Script script;
  for (int i = 0; i < 200; ++i) {
    script.push_back(Answer::delivered(0));
    script.push_back(Answer::retry_later(static_cast<std::size_t>(i) % 3, "no"));
  }
  std::vector<SinkSpec> specs;
  specs.push_back(spec_of(std::make_unique<OrderSink>("good", good)));
  specs.push_back(spec_of(std::make_unique<FlakySink>("flaky", flaky, std::move(script))));
  specs.back().batch = {.records = 500, .linger = 5ms};
  Delivery delivery(std::move(specs), quick(), world.clock, {}, world.ledger());
  Producer& one = delivery.add_producer();
  Producer& two = delivery.add_producer();
  REQUIRE(delivery.start());
  std::thread first(collect, std::ref(one), 0, kCount, std::cref(testing::test_origin()));
  std::thread second(collect, std::ref(two), 0, kCount, std::cref(other_origin()));
  std::thread watcher([&] {
    for (int i = 0; i < 200; ++i) {
      for (const SinkStatus& status : delivery.status()) CHECK(status.delivered <= 2 * kCount);
      static_cast<void>(delivery.ledger_status());
      std::this_thread::yield();
    }
  });
  first.join();
  second.join();
  watcher.join();
  const Drained drained = delivery.drain_and_stop(kLongEnough);
  CHECK(drained);
  CHECK(drained.kept.empty());
  CHECK_FALSE(drained.any_hung());
  const OrderSink::Seen seen = good->with([](const OrderSink::Seen& value) { return value; });
  CHECK(seen.in_order);
  CHECK(seen.next[0] == kCount);
  CHECK(seen.next[1] == kCount);
  CHECK(flaky->count() == 2 * kCount);
  for (const SinkStatus& status : delivery.status()) {
    CHECK(status.delivered == 2 * kCount);
    CHECK(status.waiting == 0);
  }
  CHECK(delivery.ledger_status()->writer.appended == 2 * kCount);
  CHECK(delivery.ledger_status()->writer.pending == 0);
}

TEST_CASE("what a sink does not take before the stop is there after the next start",
          "[delivery][ledger][threads]") {
  const bool real = GENERATE(false, true);
  CAPTURE(real);
  World world(real);
  const auto capture = std::make_shared<Capture>();
  {
    std::vector<SinkSpec> specs;
    specs.push_back(spec_of(std::make_unique<FlakySink>(
        "a", capture, FlakySink::Script(100, Answer::target_failed(0, TargetCode::kUnauthorized, "401")))));
    Delivery delivery(std::move(specs), quick(), world.clock, {}, world.ledger());
    Producer& producer = delivery.add_producer();
    REQUIRE(delivery.start());
    collect(producer, 0, 3000);
    wait_until([&] { return delivery.status()[0].code == "UnavailableTarget"; });
    const Drained drained = delivery.drain_and_stop(kLongEnough);
    CHECK(drained);
    REQUIRE(drained.kept.size() == 1);
    CHECK(drained.kept[0].sink == "a");
    CHECK(drained.kept[0].records == 3000);
    CHECK_FALSE(drained.kept[0].hung);
  }
  std::vector<SinkSpec> specs;
  specs.push_back(spec_of(std::make_unique<CaptureSink>("a", capture)));
  Delivery delivery(std::move(specs), quick(), world.clock, {}, world.ledger());
  Producer& producer = delivery.add_producer();
  REQUIRE(delivery.start());
  collect(producer, 3000, 3500);
  CHECK(delivery.drain_and_stop(kLongEnough));
  const auto numbers = capture->numbers();
  REQUIRE(numbers.size() == 3500);
  CHECK(std::is_sorted(numbers.begin(), numbers.end()));
}

TEST_CASE("a sink that hangs delays neither the others nor the end, and its records stay in the ledger",
          "[delivery][ledger][threads]") {
  const bool real = GENERATE(false, true);
  CAPTURE(real);
  // Outlives the thread that is left to itself, see the end of this test.
  const auto latch = std::make_shared<Latch>();
  const auto stuck = std::make_shared<Capture>();
  const auto good = std::make_shared<Capture>();
  World world(real);
  {
    std::vector<SinkSpec> specs;
    specs.push_back(spec_of(std::make_unique<StuckSink>("stuck", stuck, latch)));
    specs.push_back(spec_of(std::make_unique<CaptureSink>("good", good)));
    Delivery delivery(std::move(specs), quick(), world.clock, {}, world.ledger());
    Producer& producer = delivery.add_producer();
    REQUIRE(delivery.start());
    collect(producer, 0, 100'000);
    latch->wait_for_a_waiter();
    wait_until([&] { return good->count() == 100'000; });
    wait_until([&] { return delivery.status()[0].waiting == 100'000; });
    const Drained drained = delivery.drain_and_stop(1ms);
    CHECK(drained);
    CHECK(drained.any_hung());
    for (const auto& entry : drained.kept)
      UNSCOPED_INFO(entry.sink << " " << entry.records << " " << entry.hung);
    REQUIRE(drained.kept.size() == 1);
    CHECK(drained.kept[0].sink == "stuck");
    CHECK(drained.kept[0].hung);
    CHECK(good->seen().destroyed);
    CHECK_FALSE(stuck->seen().destroyed);
  }
  latch->release();
  wait_until([&] { return stuck->seen().destroyed; });
}

TEST_CASE("sinks are disabled and enabled while records come, and nothing is lost or doubled",
          "[delivery][ledger][threads]") {
  const bool real = GENERATE(false, true);
  CAPTURE(real);
  World world(real);
  const auto capture = std::make_shared<Capture>();
  std::vector<SinkSpec> specs;
  specs.push_back(spec_of(std::make_unique<CaptureSink>("a", capture)));
  Delivery delivery(std::move(specs), quick(), world.clock, {}, world.ledger());
  Producer& producer = delivery.add_producer();
  REQUIRE(delivery.start());
  std::thread collector(collect, std::ref(producer), 0, 20'000, std::cref(testing::test_origin()));
  for (int i = 0; i < 20; ++i) {
    REQUIRE(delivery.set_enabled("a", i % 2 == 1));
    wait_until([&] { return delivery.status()[0].state == DeliveryState::kSuccess; });
  }
  collector.join();
  CHECK(delivery.drain_and_stop(kLongEnough));
  const auto numbers = capture->numbers();
  REQUIRE(numbers.size() == 20'000);
  CHECK(std::is_sorted(numbers.begin(), numbers.end()));
}

TEST_CASE("in memory sinks are disabled and enabled while records come, and every record is accounted for",
          "[delivery][threads]") {
  const SystemClock clock;
  const auto capture = std::make_shared<Capture>();
  std::vector<SinkSpec> specs;
  specs.push_back(spec_of(std::make_unique<CaptureSink>("a", capture)));
  specs.back().batch = {.records = 300, .linger = 1ms};
  Delivery delivery(std::move(specs), quick(), clock, {});
  Producer& producer = delivery.add_producer();
  REQUIRE(delivery.start());
  std::thread collector(collect, std::ref(producer), 0, 100'000, std::cref(testing::test_origin()));
  for (int i = 0; i < 100; ++i) {
    REQUIRE(delivery.set_enabled("a", i % 2 == 1));
    wait_until([&] { return delivery.status()[0].state == DeliveryState::kSuccess; });
  }
  collector.join();
  CHECK(delivery.drain_and_stop(kLongEnough));
  std::uint64_t next = 0;
  std::uint64_t lost = 0;
  for (const SessionRecord& record : capture->seen().records) {
    if (record.event == RecordEvent::kGap) {
      next += record.events_lost.value();
      lost += record.events_lost.value();
      continue;
    }
    REQUIRE(record.seq == next);
    ++next;
  }
  CHECK(next == 100'000);
  CHECK(delivery.status()[0].dropped == lost);
}

TEST_CASE("the ledger's keeper works beside, and its trouble is told", "[delivery][ledger][threads]") {
  World world(false);
  std::atomic<int> troubles{0};
  Delivery delivery(
      {}, quick(), world.clock,
      {[&](const Report& report) { troubles += report.kind == Report::Kind::kKeeperTrouble ? 1 : 0; }, {}},
      world.ledger());
  delivery.add_producer();
  REQUIRE(delivery.start());
  const auto steps = [&] {
    return world.fake.with([](FakeLedger::State& state) { return state.keeper_steps; });
  };
  wait_until([&] { return steps() > 10; });
  world.fake.with([](FakeLedger::State& state) { state.keeper_failure = "seal: no room"; });
  wait_until([&] { return troubles.load() == 1; });
  CHECK(delivery.ledger_status()->keeper.failure == "seal: no room");
  CHECK(delivery.drain_and_stop(kLongEnough));
  CHECK(troubles.load() == 1);
}
