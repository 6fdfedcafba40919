#include "delivery/producer.h"

#include <catch2/catch.hpp>

#include "delivery/delivery_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::DeliveryFixture;
using natsession::testing::numbers;
using natsession::testing::sinks;

namespace {

// Emits kRoom records at a time while there is room; returns the number after the last.
std::uint32_t fill(DeliveryFixture& fixture, std::uint32_t from) {
  while (fixture.producer->has_room()) {
    fixture.emit(from, from + RecordOutput::kRoom);
    from += RecordOutput::kRoom;
  }
  fixture.producer->flush();
  return from;
}

}  // namespace

TEST_CASE("a full batch is handed on without a flush", "[delivery][producer]") {
  DeliveryFixture fixture(sinks({{}}));
  fixture.emit(0, 513);
  fixture.run(0);
  CHECK(fixture.captures[0]->numbers() == numbers(0, 512));
  fixture.producer->flush();
  fixture.run(0);
  CHECK(fixture.captures[0]->numbers() == numbers(0, 513));
}

TEST_CASE("every sink gets every record", "[delivery][producer]") {
  DeliveryFixture fixture(sinks({{}, {}, {}}));
  fixture.emit(0, 2000);
  fixture.producer->flush();
  for (std::size_t sink = 0; sink < 3; ++sink) {
    fixture.run(sink);
    CHECK(fixture.captures[sink]->numbers() == numbers(0, 2000));
  }
}

TEST_CASE("a trickle does not use up a slow sink's queue: batches grow where they wait",
          "[delivery][producer]") {
  DeliveryFixture fixture(sinks({{}, {}}), {.queue_batches = 32});
  for (std::uint32_t number = 0; number < 3000; ++number) {
    REQUIRE(fixture.producer->has_room());
    fixture.emit(number, number + 1);
    fixture.producer->flush();
    fixture.run(0);
  }
  CHECK(fixture.captures[0]->numbers() == numbers(0, 3000));
  CHECK(fixture.state(1).queued() == 3000);
  CHECK(fixture.state(1).lanes[0]->queue.size() == 6);
}

TEST_CASE("there is no room while the queue is full, and for kRoom records whenever there is",
          "[delivery][producer]") {
  DeliveryFixture fixture(sinks({{}}), {.queue_batches = 32});
  const std::uint32_t emitted = fill(fixture, 0);
  CHECK(emitted >= 22 * 512);
  CHECK(emitted <= 32 * 512);
  CHECK(fixture.state(0).queued() == emitted);
  CHECK(fixture.state(0).dropped() == 0);
  fixture.run(0);
  CHECK(fixture.producer->has_room());
  CHECK(fixture.captures[0]->numbers() == numbers(0, emitted));
}

TEST_CASE("a single sink that takes nothing keeps up the pressure for ever, and loses nothing",
          "[delivery][producer]") {
  DeliveryFixture fixture(sinks({testing::FlakySink::Script(1, Answer::retry_later(0, "no"))}),
                          {.queue_batches = 32});
  const std::uint32_t emitted = fill(fixture, 0);
  fixture.run(0);
  for (int hour = 0; hour < 100; ++hour) {
    fixture.clock.advance(1h);
    CHECK_FALSE(fixture.producer->has_room());
  }
  fixture.run(0);
  CHECK(fixture.captures[0]->numbers() == numbers(0, emitted));
  CHECK(fixture.state(0).dropped() == 0);
}

TEST_CASE("batches are used again: a long run needs few", "[delivery][producer]") {
  DeliveryFixture fixture(sinks({{}, {}}));
  std::uint32_t number = 0;
  for (int round = 0; round < 1000; ++round) {
    fixture.emit(number, number + 512);
    number += 512;
    fixture.run(0);
    fixture.run(1);
  }
  CHECK(fixture.captures[0]->numbers() == numbers(0, number));
  CHECK(fixture.captures[1]->numbers() == numbers(0, number));
}

TEST_CASE("a collector that never asks for room loses what does not fit, and the sink is told",
          "[delivery][producer]") {
  DeliveryFixture fixture(sinks({{}}), {.queue_batches = 32});
  fixture.emit(0, 36 * 512);
  fixture.producer->flush();
  CHECK(fixture.state(0).queued() == 32 * 512);
  CHECK(fixture.state(0).dropped() == 4 * 512);
  fixture.run(0);
  fixture.producer->flush();
  fixture.run(0);
  const auto seen = fixture.captures[0]->seen();
  REQUIRE(seen.records.size() == 32 * 512 + 1);
  const SessionRecord& gap = seen.records.back();
  CHECK(gap.event == RecordEvent::kGap);
  CHECK(gap.events_lost == Count(4 * 512));
  CHECK(gap.start_time == testing::at_second(32 * 512));
  CHECK(gap.end_time == testing::at_second(36 * 512));
}
