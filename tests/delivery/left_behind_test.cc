// A sink that hangs while another goes on.
#include <catch2/catch.hpp>

#include "delivery/hung_sink_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::DeliveryFixture;
using natsession::testing::HungSinkFixture;
using natsession::testing::kHealthy;
using natsession::testing::kHung;
using natsession::testing::numbers;
using natsession::testing::sinks;
using RKind = Report::Kind;

TEST_CASE("a full queue holds everybody up until the stall limit", "[delivery][left_behind]") {
  HungSinkFixture fixture;
  fixture.fill_the_hung_queue();
  CHECK(fixture.captures[kHealthy]->count() == fixture.next);
  fixture.clock.advance(10s - 1ns);
  CHECK_FALSE(fixture.producer->has_room());
  CHECK(fixture.state(kHung).lanes_behind.load() == 0);
  fixture.clock.advance(1ns);
  static_cast<void>(fixture.producer->has_room());
  CHECK(fixture.state(kHung).lanes_behind.load() == 1);
  CHECK(fixture.producer->has_room());
}

TEST_CASE("a sink that takes something within the limit is slow, not stuck, and is not left behind",
          "[delivery][left_behind]") {
  DeliveryFixture fixture(sinks({{}, testing::FlakySink::Script(50, Answer::retry_later(1, "slow"))}),
                          {.queue_batches = 32});
  std::uint32_t next = 0;
  while (fixture.producer->has_room()) {
    fixture.emit(next, next + 4096);
    next += 4096;
    fixture.producer->flush();
    fixture.run(0);
  }
  for (int i = 0; i < 50; ++i) {
    fixture.clock.advance(9s);
    fixture.core->worker(1).step();
    CHECK_FALSE(fixture.producer->has_room());
  }
  CHECK(fixture.state(1).lanes_behind.load() == 0);
}

TEST_CASE("the healthy sink misses nothing while another is left behind", "[delivery][left_behind]") {
  HungSinkFixture fixture;
  fixture.leave_behind();
  for (int i = 0; i < 100; ++i) fixture.turn(4096);
  CHECK(fixture.captures[kHealthy]->numbers() == numbers(0, fixture.next));
  CHECK(fixture.state(kHung).dropped() == fixture.next - fixture.in_queue);
  CHECK(fixture.state(kHung).queued() == fixture.in_queue);
}

TEST_CASE("a sink that was left behind gets its queue, one gap record, and goes on",
          "[delivery][left_behind]") {
  HungSinkFixture fixture;
  fixture.leave_behind();
  const std::uint32_t first_dropped = fixture.next;
  for (int i = 0; i < 5; ++i) fixture.turn(1000);
  const std::uint32_t after_dropped = fixture.next;

  // It recovers, batch by batch. Until half its queue is empty it stays behind.
  SinkShare& hung = fixture.state(kHung);
  int steps = 0;
  while (hung.lanes_behind.load() == 1) {
    fixture.core->worker(kHung).step();
    ++steps;
    const std::size_t queued = hung.lanes[0]->queue.size();
    fixture.producer->flush();
    CHECK((hung.lanes_behind.load() == 0) == (queued <= 16));
    fixture.turn(1);
  }
  CHECK(steps > 1);
  fixture.turn(100);
  fixture.run(kHung);

  const auto seen = fixture.captures[kHung]->seen().records;
  std::vector<std::uint32_t> got;
  std::vector<SessionRecord> gaps;
  for (const SessionRecord& record : seen) {
    if (record.event == RecordEvent::kGap) {
      CHECK(got == numbers(0, first_dropped));
      gaps.push_back(record);
    } else {
      got.push_back(record.seq);
    }
  }
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].reason == RecordReason::kSinkStalled);
  CHECK(gaps[0].origin == &testing::test_origin());
  CHECK(gaps[0].start_time == testing::at_second(first_dropped));
  CHECK(gaps[0].events_lost == Count(hung.dropped()));
  CHECK(hung.dropped() >= after_dropped - first_dropped);
  CHECK(seen.size() - 1 + hung.dropped() == fixture.next);  // nothing twice, nothing unaccounted for
  CHECK(gaps[0].end_time == testing::at_second(first_dropped + static_cast<std::int64_t>(hung.dropped())));
  CHECK(got.back() == fixture.next - 1);
  CHECK(fixture.captures[kHealthy]->numbers() == numbers(0, fixture.next));
}

TEST_CASE(
    "a sink that is left behind in the middle of a batch still gets that batch, and none of it counts as "
    "dropped",
    "[delivery][left_behind]") {
  HungSinkFixture fixture;
  while (fixture.producer->has_room()) fixture.turn(4000);
  fixture.in_queue = fixture.next;
  REQUIRE(fixture.next % RecordBatch::kCapacity != 0);
  fixture.clock.advance(10s);
  static_cast<void>(fixture.producer->has_room());
  fixture.turn(100);
  CHECK(fixture.state(kHung).dropped() == 100);
  fixture.run(kHung);
  fixture.producer->flush();
  fixture.run(kHung);
  const auto seen = fixture.captures[kHung]->seen().records;
  REQUIRE(seen.size() == fixture.in_queue + 1);
  CHECK(seen.back().events_lost == Count(100));
  CHECK(seen.back().start_time == testing::at_second(fixture.in_queue));
}

TEST_CASE("a healthy worker tells of the one that was left behind, and of its return",
          "[delivery][left_behind]") {
  HungSinkFixture fixture;
  fixture.leave_behind();
  fixture.turn(1000);
  fixture.turn(1);
  REQUIRE(fixture.report_kinds() == std::vector{RKind::kLeftBehind});
  CHECK(fixture.report_sinks[0] == "b");
  CHECK(fixture.reports[0].records == fixture.in_queue);
  fixture.run(kHung);
  fixture.producer->flush();
  fixture.run(kHealthy);
  REQUIRE(fixture.report_kinds() == std::vector{RKind::kLeftBehind, RKind::kCaughtUp});
  CHECK(fixture.report_sinks[1] == "b");
  CHECK(fixture.reports[1].records == 1001);
}

TEST_CASE(
    "when all sinks are stuck none is left behind, and the first to recover leaves the others their time",
    "[delivery][left_behind]") {
  DeliveryFixture fixture(sinks({{}, {}}), {.queue_batches = 32});
  std::uint32_t next = 0;
  while (fixture.producer->has_room()) {
    fixture.emit(next, next + 4096);
    next += 4096;
  }
  fixture.producer->flush();
  for (int i = 0; i < 10; ++i) {
    fixture.clock.advance(1h);
    CHECK_FALSE(fixture.producer->has_room());
  }
  fixture.run(0);
  CHECK_FALSE(fixture.producer->has_room());
  fixture.clock.advance(9s);
  CHECK_FALSE(fixture.producer->has_room());
  fixture.run(1);
  CHECK(fixture.producer->has_room());
  CHECK(fixture.captures[0]->numbers() == numbers(0, next));
  CHECK(fixture.captures[1]->numbers() == numbers(0, next));
}

TEST_CASE("once one is left behind, the last one standing keeps up the pressure", "[delivery][left_behind]") {
  HungSinkFixture fixture;
  fixture.leave_behind();
  while (fixture.producer->has_room()) {  // the healthy one hangs now too
    fixture.emit(fixture.next, fixture.next + 4096);
    fixture.next += 4096;
  }
  for (int i = 0; i < 10; ++i) {
    fixture.clock.advance(1h);
    CHECK_FALSE(fixture.producer->has_room());
  }
  CHECK(fixture.state(kHealthy).lanes_behind.load() == 0);
}

TEST_CASE("each producer judges and mends its own lane", "[delivery][left_behind]") {
  HungSinkFixture fixture;
  Producer& other = fixture.core->add_producer();
  fixture.leave_behind();
  fixture.turn(10);
  other.emit(testing::numbered_record(77777777));
  other.flush();
  CHECK(other.has_room());
  fixture.run(kHung);
  fixture.producer->flush();
  fixture.run(kHung);
  std::size_t gaps = 0;
  std::size_t others = 0;
  for (const SessionRecord& record : fixture.captures[kHung]->seen().records) {
    gaps += record.event == RecordEvent::kGap ? 1 : 0;
    others += record.seq == 77777777 ? 1 : 0;
  }
  CHECK(gaps == 1);
  CHECK(others == 1);
}
