// How fast records go through delivery into sinks that do nothing. Printed, not asserted: it depends on the
// machine.
#include <chrono>
#include <cstdio>
#include <thread>

#include <catch2/catch.hpp>

#include "delivery/delivery.h"
#include "support/numbered_record.h"

using namespace natsession;

namespace {

class NullSink final : public Sink {
 public:
  [[nodiscard]] std::string_view name() const override { return "null"; }
  Answer deliver(std::span<const SessionRecord> records) override {
    return Answer::delivered(records.size());
  }
};

}  // namespace

TEST_CASE("records go through delivery: how many a second", "[delivery][throughput]") {
  constexpr std::uint32_t kCount = 2'000'000;
  constexpr std::uint32_t kTurn = 2000;
  const auto sink_count = GENERATE(1U, 2U);
  const SystemClock clock;
  std::vector<SinkSpec> sinks;
  for (unsigned i = 0; i < sink_count; ++i) sinks.push_back({.sink = std::make_unique<NullSink>()});
  const auto delivery =
      std::make_shared<Delivery>(std::move(sinks), DeliverySettings{}, clock, DeliveryCallbacks{}, "here");
  Producer& producer = delivery->add_producer();
  DeliveryThreads threads(delivery);
  REQUIRE(threads.start());

  const SessionRecord record = testing::numbered_record(1);
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::nanoseconds emitting{};
  for (std::uint32_t done = 0; done < kCount; done += kTurn) {
    while (!producer.has_room()) std::this_thread::yield();
    const auto turn_begin = std::chrono::steady_clock::now();
    for (std::uint32_t i = 0; i < kTurn; ++i) producer.emit(record);
    producer.flush();
    emitting += std::chrono::steady_clock::now() - turn_begin;
  }
  REQUIRE(threads.drain_and_stop(std::chrono::seconds(60)));
  const std::chrono::duration<double> all = std::chrono::steady_clock::now() - begin;
  std::printf(
      "delivery into %u null sink(s): %.1f million records/s; the collector's side: %.1f ns a record\n",
      sink_count, kCount / all.count() / 1e6, static_cast<double>(emitting.count()) / kCount);
  CHECK(delivery->sink_reports()[0].delivered == kCount);
}
