// The gap record that a sink gets in place of what it missed.
#include <catch2/catch.hpp>

#include "delivery/hung_sink_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::HungSinkFixture;
using natsession::testing::kHung;

TEST_CASE("a sink that is left behind twice gets two gap records, each for its own time",
          "[delivery][left_behind]") {
  HungSinkFixture fixture;
  std::vector<std::uint32_t> firsts;
  for (int time = 0; time < 2; ++time) {
    fixture.leave_behind();
    firsts.push_back(fixture.next);
    fixture.turn(100 + static_cast<std::uint32_t>(time));
    fixture.run(kHung);
    fixture.producer->flush();
    fixture.run(kHung);
    const SessionRecord gap = fixture.captures[kHung]->seen().records.back();
    CHECK(gap.event == RecordEvent::kGap);
    CHECK(gap.events_lost == Count(100 + static_cast<std::uint64_t>(time)));
    CHECK(gap.start_time == testing::at_second(firsts.back()));
  }
}

TEST_CASE("a gap record covers the whole time of what was dropped, whatever its order",
          "[delivery][left_behind]") {
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

TEST_CASE("at the end a sink that was left behind gets its gap record, however full its queue",
          "[delivery][left_behind]") {
  HungSinkFixture fixture;
  fixture.leave_behind();
  fixture.turn(100);
  fixture.producer->finish();
  fixture.core->run().stopping.store(true);
  CHECK(fixture.run(kHung).kind == Turn::Kind::kDone);
  const auto seen = fixture.captures[kHung]->seen().records;
  REQUIRE(seen.size() == fixture.in_queue + 1);
  CHECK(seen.back().event == RecordEvent::kGap);
  CHECK(seen.back().events_lost == Count(100));
}
