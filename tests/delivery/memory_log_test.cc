// The log in memory: what producers put in, what pressure it exerts, and what a reader gets that cannot keep
// up.
#include "delivery/memory_log.h"

#include "delivery/delivery_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;
using RKind = Report::Kind;

namespace {

constexpr DeliverySettings kSmall{.queue_batches = 32};
constexpr std::size_t kRecords = 32 * RecordBatch::kCapacity;
constexpr std::size_t kHealthy = 0;
constexpr std::size_t kHung = 1;

// Two sinks; the test does not run the worker of the second, as if it hung in deliver().
struct HungSink : MemoryRig {
  HungSink() : MemoryRig(sinks({{}, {}}), {}, kSmall) {}

  void turn(std::uint32_t records) {
    if (producer->has_room()) {
      emit(next, next + records);
      next += records;
    }
    producer->flush();
    run(kHealthy);
  }
  // Until the ring is full of what the hung sink has not read, and that for too long.
  void lag() {
    while (producer->has_room()) turn(RecordOutput::kRoom);
    clock.advance(10s);
    REQUIRE_FALSE(producer->has_room());
    REQUIRE(producer->has_room());
  }

  std::uint32_t next = 0;
};

}  // namespace

TEST_CASE("a full batch is handed on without a flush", "[delivery][memory_log]") {
  MemoryRig rig(sinks({{}}));
  rig.emit(0, 513);
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 512));
  rig.producer->flush();
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 513));
}

TEST_CASE("a trickle does not use up the ring: it grows where it waits", "[delivery][memory_log]") {
  MemoryRig rig(sinks({{}, {}}), {}, kSmall);
  for (std::uint32_t number = 0; number < 3000; ++number) {
    REQUIRE(rig.producer->has_room());
    rig.feed(number, number + 1);
  }
  CHECK(rig.delivered(0) == numbers(0, 3000));
  CHECK(rig.status(1).waiting == 3000);
  rig.run(1);
  CHECK(rig.captures[1]->seen().batches == std::vector<std::size_t>{512, 512, 512, 512, 512, 440});
}

TEST_CASE("collectors have one sequence, and short turns of theirs are gathered into one batch",
          "[delivery][memory_log]") {
  MemoryRig rig(sinks({{}}));
  Producer& other = rig.core->add_producer();
  std::vector<std::uint32_t> expected;
  for (std::uint32_t number = 0; number < 40; ++number) {
    Producer& producer = number % 2 == 0 ? *rig.producer : other;
    producer.emit(numbered_record(number));
    producer.flush();
    expected.push_back(number);
  }
  rig.run(0);
  CHECK(rig.delivered(0) == expected);
  CHECK(rig.captures[0]->seen().batches == std::vector<std::size_t>{40});
}

TEST_CASE("there is no room while the ring is full, and for kRoom records whenever there is",
          "[delivery][memory_log]") {
  MemoryRig rig(sinks({{}}), {}, kSmall);
  const std::uint32_t emitted = rig.fill();
  CHECK(emitted >= kRecords - 2 * RecordOutput::kRoom);
  CHECK(emitted <= kRecords);
  CHECK(rig.status(0).waiting == emitted);
  CHECK(rig.status(0).dropped == 0);
  rig.run(0);
  CHECK(rig.producer->has_room());
  CHECK(rig.delivered(0) == numbers(0, emitted));
}

TEST_CASE("each collector adds to what memory holds, and each has its room", "[delivery][memory_log]") {
  MemoryRig rig(sinks({{}}), {}, kSmall);
  Producer& other = rig.core->add_producer();
  std::uint32_t next = 0;
  while (rig.producer->has_room() && other.has_room()) {
    for (std::size_t i = 0; i < RecordOutput::kRoom; ++i) {
      rig.producer->emit(numbered_record(next));
      other.emit(numbered_record(next++));
    }
  }
  other.flush();
  rig.producer->flush();
  CHECK(rig.status(0).waiting == 2 * next);
  CHECK(rig.status(0).dropped == 0);
  CHECK(2 * next > kRecords);
}

TEST_CASE("a single sink that takes nothing keeps up the pressure for ever, and loses nothing",
          "[delivery][memory_log]") {
  MemoryRig rig(sinks({FlakySink::Script(1, Answer::retry_later(0, "no"))}), {}, kSmall);
  std::uint32_t emitted = rig.fill();
  rig.run(0);  // it has a batch in its hands now
  emitted = rig.fill(emitted);
  for (int hour = 0; hour < 100; ++hour) {
    rig.clock.advance(1h);
    CHECK_FALSE(rig.producer->has_room());
  }
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, emitted));
  CHECK(rig.status(0).dropped == 0);
}

TEST_CASE("there is no room once every sink is closed", "[delivery][memory_log]") {
  MemoryRig rig(sinks({{Answer::closed(0, "gone")}}));
  rig.feed(0, 1);
  CHECK_FALSE(rig.producer->has_room());
}

TEST_CASE("a collector that never asks for room loses the oldest, and the sink is told",
          "[delivery][memory_log]") {
  MemoryRig rig(sinks({{}}), {}, kSmall);
  rig.emit(0, 36 * 512);
  rig.producer->flush();
  CHECK(rig.status(0).dropped == 4 * 512);
  rig.run(0);
  const auto seen = rig.seen(0);
  REQUIRE(seen.size() == 1 + kRecords / 2);
  CHECK(seen[0].event == RecordEvent::kGap);
  CHECK(seen[0].events_lost == Count(20 * 512));
  CHECK(seen[0].start_time == at_second(0));
  CHECK(seen[0].end_time == at_second(20 * 512));
  CHECK(rig.status(0).dropped == 20 * 512);
}

TEST_CASE("a sink that takes nothing holds everybody up until the stall limit", "[delivery][lagging]") {
  HungSink rig;
  while (rig.producer->has_room()) rig.turn(RecordOutput::kRoom);
  CHECK(rig.captures[kHealthy]->count() == rig.next);
  rig.clock.advance(10s - 1ns);
  CHECK_FALSE(rig.producer->has_room());
  CHECK_FALSE(rig.status(kHung).lagging);
  rig.clock.advance(1ns);
  static_cast<void>(rig.producer->has_room());
  CHECK(rig.status(kHung).lagging);
  CHECK(rig.status(kHung).state == DeliveryState::kFailed);
  CHECK(rig.producer->has_room());
}

TEST_CASE("a sink that takes something within the limit is slow, not lagging", "[delivery][lagging]") {
  MemoryRig rig(sinks({{}, FlakySink::Script(50, Answer::retry_later(1, "slow"))}), {}, kSmall);
  std::uint32_t next = 0;
  const auto fill = [&] {
    for (; rig.producer->has_room(); next += RecordOutput::kRoom) rig.feed(next, next + RecordOutput::kRoom);
  };
  for (int i = 0; i < 50; ++i) {
    fill();
    rig.clock.advance(9s);
    rig.step(1);
  }
  fill();
  CHECK_FALSE(rig.status(1).lagging);
  CHECK(rig.status(1).dropped == 0);
}

TEST_CASE("the healthy sink misses nothing while another lags, and what it misses is counted as it goes",
          "[delivery][lagging]") {
  HungSink rig;
  rig.lag();
  for (int i = 0; i < 100; ++i) rig.turn(4096);
  CHECK(rig.delivered(kHealthy) == numbers(0, rig.next));
  const SinkReport status = rig.status(kHung);
  CHECK(status.dropped > 90 * 4096);
  CHECK(status.dropped + status.waiting == rig.next);
  CHECK(status.waiting <= kRecords);
}

TEST_CASE("a sink that lagged gets one gap record, for exactly what it missed, and goes on behind it",
          "[delivery][lagging]") {
  const bool in_hand = GENERATE(false, true);  // it hung with a batch in its hands
  CAPTURE(in_hand);
  HungSink rig;
  if (in_hand) {
    rig.turn(300);
    rig.flaky[kHung]->on_deliver = [&] {
      rig.flaky[kHung]->on_deliver = {};
      rig.lag();
      for (int i = 0; i < 20; ++i) rig.turn(4096);
      CHECK(rig.status(kHung).waiting + rig.status(kHung).dropped == rig.next);
    };
    rig.step(kHung);
  } else {
    rig.lag();
    for (int i = 0; i < 20; ++i) rig.turn(4096);
  }
  const std::uint32_t first = in_hand ? 300 : 0;
  rig.run(kHung);
  CHECK_FALSE(rig.status(kHung).lagging);
  rig.turn(1);
  rig.run(kHung);

  const auto seen = rig.seen(kHung);
  REQUIRE(seen.size() == first + 1 + kRecords / 2 + 1);
  const SessionRecord& gap = seen[first];
  const std::uint32_t behind = seen[first + 1].seq;
  CHECK(gap.event == RecordEvent::kGap);
  CHECK(gap.reason == RecordReason::kSinkStalled);
  CHECK(gap.origin->instance == "here");
  CHECK(gap.events_lost == Count(behind - first));
  CHECK(gap.start_time == at_second(first));
  CHECK(gap.end_time == at_second(behind));
  CHECK(rig.status(kHung).dropped == behind - first);
  CHECK(rig.status(kHung).waiting == 0);
  CHECK(seen.back().seq == rig.next - 1);
  CHECK(rig.delivered(kHealthy) == numbers(0, rig.next));
}

TEST_CASE("a sink that lags twice gets two gap records, each for its own time", "[delivery][lagging]") {
  HungSink rig;
  std::uint64_t lost = 0;
  for (int time = 0; time < 2; ++time) {
    rig.lag();
    for (int i = 0; i < 10; ++i) rig.turn(1000);
    rig.run(kHung);
  }
  const auto seen = rig.seen(kHung);
  std::uint32_t next = 0;
  int gaps = 0;
  for (const SessionRecord& record : seen) {
    if (record.event == RecordEvent::kGap) {
      CHECK(record.start_time == at_second(next));
      next += static_cast<std::uint32_t>(record.events_lost.value());
      lost += record.events_lost.value();
      ++gaps;
    } else {
      REQUIRE(record.seq == next++);
    }
  }
  CHECK(gaps == 2);
  CHECK(next == rig.next);
  CHECK(rig.status(kHung).dropped == lost);
}

TEST_CASE("a gap record covers the whole time of what was dropped, whatever its order",
          "[delivery][lagging]") {
  HungSink rig;
  SessionRecord record = numbered_record(7);
  record.start_time = at_second(500'000);
  record.end_time = at_second(900'000);
  rig.producer->emit(record);
  rig.lag();
  for (int i = 0; i < 10; ++i) rig.turn(1000);
  rig.run(kHung);
  const SessionRecord gap = rig.seen(kHung)[0];
  CHECK(gap.start_time == at_second(0));
  CHECK(gap.end_time == at_second(900'000));
}

TEST_CASE("a sink that comes back before anything was overwritten has missed nothing",
          "[delivery][lagging]") {
  HungSink rig;
  rig.lag();
  rig.run(kHung);
  CHECK(rig.delivered(kHung) == numbers(0, rig.next));
  CHECK_FALSE(rig.status(kHung).lagging);
}

TEST_CASE("the other threads tell of a sink that lags, and of its return", "[delivery][lagging]") {
  HungSink rig;
  rig.lag();
  const std::uint32_t waiting = rig.next;
  rig.turn(1);
  REQUIRE(rig.report_kinds() == std::vector{RKind::kLagging});
  CHECK(rig.report_sinks[0] == "b");
  CHECK(rig.reports[0].records >= waiting);
  for (int i = 0; i < 20; ++i) rig.turn(1000);
  rig.run(kHung);
  rig.run(kHealthy);
  REQUIRE(rig.report_kinds() == std::vector{RKind::kLagging, RKind::kSkipped, RKind::kLaggingOver});
  CHECK(rig.report_sinks[1] == "b");
  CHECK(rig.reports[1].records == rig.status(kHung).dropped);
}

TEST_CASE("when all sinks are stuck none lags, and the first to recover leaves the others their time",
          "[delivery][lagging]") {
  MemoryRig rig(sinks({{}, {}}), {}, kSmall);
  const std::uint32_t next = rig.fill();
  for (int i = 0; i < 10; ++i) {
    rig.clock.advance(1h);
    CHECK_FALSE(rig.producer->has_room());
  }
  rig.run(0);
  CHECK_FALSE(rig.producer->has_room());
  rig.clock.advance(9s);
  CHECK_FALSE(rig.producer->has_room());
  rig.run(1);
  CHECK(rig.producer->has_room());
  CHECK(rig.delivered(0) == numbers(0, next));
  CHECK(rig.delivered(1) == numbers(0, next));
}

TEST_CASE("once one lags, the last one standing keeps up the pressure", "[delivery][lagging]") {
  HungSink rig;
  rig.lag();
  rig.fill(rig.next);  // the healthy one hangs now, too
  for (int i = 0; i < 10; ++i) {
    rig.clock.advance(1h);
    CHECK_FALSE(rig.producer->has_room());
  }
  CHECK_FALSE(rig.status(kHealthy).lagging);
}

TEST_CASE("at the end a sink that lagged gets its gap record and what memory has", "[delivery][lagging]") {
  HungSink rig;
  rig.lag();
  for (int i = 0; i < 10; ++i) rig.turn(1000);
  rig.stop();
  CHECK(rig.run(kHung).kind == Turn::Kind::kDone);
  CHECK(rig.seen(kHung)[0].event == RecordEvent::kGap);
  CHECK(rig.seen(kHung).back().seq == rig.next - 1);
  CHECK(rig.status(kHung).waiting == 0);
}

TEST_CASE("records that are to be kept together are handed on at once", "[delivery][memory]") {
  MemoryRig rig(sinks({{}}));
  std::vector<Ordinal> ends;
  rig.producer->on_append([&](Ordinal end) { ends.push_back(end); });
  std::uint32_t number = 0;
  const std::uint32_t before = GENERATE(0U, 1U, 505U, 511U, 512U);
  rig.emit(0, before);
  number = before;
  for (int event = 0; event < 300; ++event) {
    rig.producer->keep_together(6);
    rig.emit(number, number + 5);
    number += 5;
  }
  rig.write();
  for (const Ordinal end : ends) CHECK((end <= before || (end - before) % 5 == 0));
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, number));
}
