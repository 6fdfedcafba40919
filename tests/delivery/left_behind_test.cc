// A sink that hangs while another goes on.
#include <catch2/catch.hpp>

#include "delivery/delivery_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::DeliveryFixture;
using natsession::testing::numbers;
using natsession::testing::sinks;
using RKind = Report::Kind;

namespace {

constexpr std::size_t kHealthy = 0;
constexpr std::size_t kHung = 1;

// Two sinks; the test does not run the worker of the second, as if it hung in deliver().
class HungSinkFixture : public DeliveryFixture {
 public:
  HungSinkFixture() : DeliveryFixture(testing::sinks({{}, {}}), {.queue_batches = 32}) {}

  // As the collector does: emits while there is room; the healthy sink takes it.
  void turn(std::uint32_t records) {
    if (producer->has_room()) {
      emit(next, next + records);
      next += records;
    }
    producer->flush();
    run(kHealthy);
  }
  void fill_the_hung_queue() {
    while (producer->has_room()) turn(RecordOutput::kRoom);
  }
  void leave_behind() {
    fill_the_hung_queue();
    in_queue = next;
    clock.advance(10s);
    REQUIRE_FALSE(producer->has_room());
    REQUIRE(producer->has_room());
  }

  std::uint32_t next = 0;
  std::uint32_t in_queue = 0;  // of the hung sink
};

}  // namespace

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

TEST_CASE("a sink that takes something within the limit is slow, not stuck, and is not left behind", "[delivery][left_behind]") {
  DeliveryFixture fixture(sinks({{}, testing::FlakySink::Script(50, Answer::retry_later(1, "slow"))}), {.queue_batches = 32});
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
  CHECK(fixture.state(kHung).waiting() == fixture.in_queue);
}

TEST_CASE("a sink that was left behind gets its queue, one gap record, and goes on", "[delivery][left_behind]") {
  HungSinkFixture fixture;
  fixture.leave_behind();
  const std::uint32_t first_dropped = fixture.next;
  for (int i = 0; i < 5; ++i) fixture.turn(1000);
  const std::uint32_t after_dropped = fixture.next;

  // It recovers, batch by batch. Until half its queue is empty it stays behind.
  SinkState& hung = fixture.state(kHung);
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

TEST_CASE("a healthy worker tells of the one that was left behind, and of its return", "[delivery][left_behind]") {
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

TEST_CASE("a gap record covers the whole time of what was dropped, whatever its order", "[delivery][left_behind]") {
  HungSinkFixture fixture;
  fixture.leave_behind();
  SessionRecord record = testing::numbered_record(7);
  record.start_time = testing::at_second(5000);
  record.end_time = testing::at_second(9000);
  fixture.producer->emit(record);
  record.start_time = testing::at_second(1000);
  record.end_time = testing::at_second(6000);
  fixture.producer->emit(record);
  fixture.producer->flush();
  fixture.run(kHung);
  fixture.producer->flush();
  fixture.run(kHung);
  const SessionRecord gap = fixture.captures[kHung]->seen().records.back();
  CHECK(gap.start_time == testing::at_second(1000));
  CHECK(gap.end_time == testing::at_second(9000));
  CHECK(gap.events_lost == Count(2));
}

TEST_CASE("a gap record that is dropped is passed on in the sink's own gap", "[delivery][left_behind]") {
  HungSinkFixture fixture;
  fixture.leave_behind();
  fixture.emit(0, 1);
  SessionRecord gap;
  gap.origin = &testing::test_origin();
  gap.event = RecordEvent::kGap;
  gap.reason = RecordReason::kOverrun;
  Count expected;
  SECTION("its number is added") {
    gap.events_lost = Count(500);
    expected = Count(501);
  }
  SECTION("with an unknown number the sum is unknown") {}
  fixture.producer->emit(gap);
  fixture.producer->flush();
  fixture.run(kHung);
  fixture.producer->flush();
  fixture.run(kHung);
  CHECK(fixture.captures[kHung]->seen().records.back().events_lost == expected);
}

TEST_CASE("when all sinks are stuck none is left behind, and the first to recover leaves the others their time",
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

TEST_CASE("at the end a sink that was left behind gets its gap record, however full its queue", "[delivery][left_behind]") {
  HungSinkFixture fixture;
  fixture.leave_behind();
  fixture.turn(100);
  fixture.producer->finish();
  fixture.core->run().stopping.store(true);
  CHECK(fixture.run(kHung).kind == SinkWorker::Next::Kind::kDone);
  const auto seen = fixture.captures[kHung]->seen().records;
  REQUIRE(seen.size() == fixture.in_queue + 1);
  CHECK(seen.back().event == RecordEvent::kGap);
  CHECK(seen.back().events_lost == Count(100));
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
