// Where a sink stands in a ledger, and what it gets from there.
#include "delivery/ledger_intake.h"

#include <catch2/catch.hpp>

#include "delivery/rigs.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::batches_of;
using natsession::testing::FakeLedger;
using natsession::testing::LedgerFixture;
using natsession::testing::numbers;
using natsession::testing::sinks;
using Kind = Turn::Kind;
using RKind = Report::Kind;

TEST_CASE("a sink goes on where it stood", "[delivery][ledger]") {
  LedgerFixture fixture(sinks({{}}));
  fixture.write(0, 100);
  fixture.run(0);
  fixture.write(100, 200);
  fixture.restart();
  fixture.write(200, 300);
  fixture.run(0);
  CHECK(fixture.delivered(0) == numbers(0, 300));
  CHECK(fixture.cursor(0) == 300);
  CHECK(fixture.ledger.cursor("a")->delivered_to == testing::at_second(300));
}

TEST_CASE("a new sink begins behind what is there, or at the oldest record if it asks for that",
          "[delivery][ledger]") {
  LedgerFixture fixture(sinks({}));
  fixture.write(0, 50);
  fixture.captures = {std::make_shared<testing::Capture>(), std::make_shared<testing::Capture>()};
  LedgerFixture other(sinks({{}, {}}), [](std::size_t i, SinkSpec& spec) { spec.from_start = i == 1; });
  other.kill();
  other.ledger.with([](FakeLedger::State& state) {
    state = {};
    for (std::uint32_t number = 0; number < 50; ++number)
      state.records.push_back(testing::numbered_record(number));
    state.frame_ends = {20, 50};
    state.oldest = 20;
  });
  other.build({});
  other.write(50, 60);
  other.run(0);
  other.run(1);
  CHECK(other.delivered(0) == numbers(50, 60));
  CHECK(other.delivered(1) == numbers(20, 60));
  CHECK(other.status(1).dropped == 0);
}

TEST_CASE("a new sink's beginning is stored before anything is delivered", "[delivery][ledger]") {
  LedgerFixture fixture(sinks({{}}));
  fixture.write(0, 10);
  fixture.ledger.fall(10);
  fixture.restart();
  fixture.run(0);
  CHECK(fixture.delivered(0) == numbers(0, 10));
}

TEST_CASE("a cursor moves only behind what was delivered or rejected, and after each batch",
          "[delivery][ledger]") {
  LedgerFixture fixture(
      sinks({{Answer::retry_later(3, "busy"), Answer::rejected(1, "odd"), Answer::retry_later(0, "busy")}}),
      batches_of({.records = 10}));
  fixture.write(0, 30);
  static_cast<void>(fixture.core->worker(0).step());
  CHECK(fixture.cursor(0) == 3);
  static_cast<void>(fixture.core->worker(0).step());
  CHECK(fixture.cursor(0) == 5);
  static_cast<void>(fixture.core->worker(0).step());
  CHECK(fixture.cursor(0) == 5);
  fixture.clock.advance(1s);
  static_cast<void>(fixture.core->worker(0).step());
  CHECK(fixture.cursor(0) == 15);
  CHECK(fixture.status(0).waiting == 15);
}

TEST_CASE("after a kill in the middle of a delivery one batch comes twice, with equal names",
          "[delivery][ledger]") {
  LedgerFixture fixture(sinks({{}}), batches_of({.records = 10}));
  fixture.write(0, 100);
  for (int i = 0; i < 3; ++i) static_cast<void>(fixture.core->worker(0).step());
  fixture.ledger.with(
      [](FakeLedger::State& state) { state.cursors["a"].next = 20; });  // killed before the store
  fixture.restart();
  fixture.run(0);
  const auto seen = fixture.captures[0]->seen().records;
  REQUIRE(seen.size() == 110);
  for (std::size_t i = 0; i < 10; ++i) {
    CHECK(seen[20 + i].seq == seen[30 + i].seq);
    CHECK(seen[20 + i].session_id == seen[30 + i].session_id);
  }
}

TEST_CASE("the cursor is flushed to the disk once a second, not with each batch", "[delivery][ledger]") {
  LedgerFixture fixture(sinks({{}}), batches_of({.records = 1}));
  const auto flushes = [&] {
    return fixture.ledger.with([](FakeLedger::State& state) { return state.cursor_flushes["a"]; });
  };
  fixture.clock.advance(1h);
  fixture.run(0);
  const int before = flushes();
  fixture.write(0, 500);
  const Turn turn = fixture.run(0);
  CHECK(flushes() == before + 1);
  REQUIRE(turn.limit.has_value());
  CHECK(*turn.limit <= std::chrono::nanoseconds(1s));
  fixture.clock.advance(1s);
  fixture.run(0);
  CHECK(flushes() == before + 2);
  CHECK(fixture.ledger.with([](FakeLedger::State& state) { return state.flushed_cursors["a"].next; }) == 500);
  fixture.clock.advance(1h);
  fixture.run(0);
  CHECK(flushes() == before + 2);
}

TEST_CASE("the cursor of a suspended sink is flushed too", "[delivery][ledger]") {
  LedgerFixture fixture(
      sinks({{Answer::delivered(0), Answer::target_failed(0, TargetCode::kUnauthorized, "401")}}),
      batches_of({.records = 5}));
  fixture.run(0);
  fixture.write(0, 10);
  const Turn turn = fixture.run(0);
  CHECK(turn.depth == Doorbell::Sleep::kDeep);
  REQUIRE(turn.limit.has_value());
  fixture.clock.advance(*turn.limit);
  fixture.run(0);
  CHECK(fixture.ledger.with([](FakeLedger::State& state) { return state.flushed_cursors["a"].next; }) == 5);
}

TEST_CASE("an orderly stop flushes the cursor", "[delivery][ledger][stop]") {
  testing::LedgerRig rig(sinks({{}}));
  rig.write(0, 10);
  rig.stop();
  CHECK(rig.run(0).kind == Kind::kDone);
  rig.ledger.fall(10);
  CHECK(rig.cursor(0) == 10);
}

TEST_CASE("a cursor that cannot be stored is told once, and delivery goes on", "[delivery][ledger]") {
  LedgerFixture fixture(sinks({{}}));
  fixture.ledger.with([](FakeLedger::State& state) { state.cursors_fail = true; });
  fixture.write(0, 10);
  fixture.run(0);
  fixture.write(10, 20);
  fixture.run(0);
  CHECK(fixture.delivered(0) == numbers(0, 20));
  CHECK(fixture.report_kinds() == std::vector{RKind::kCursorTrouble});
  fixture.ledger.with([](FakeLedger::State& state) { state.cursors_fail = false; });
  fixture.clock.advance(1s);
  fixture.run(0);
  CHECK(fixture.report_kinds() == std::vector{RKind::kCursorTrouble, RKind::kCursorTroubleOver});
  CHECK(fixture.cursor(0) == 20);
}

TEST_CASE("records that were deleted unread become a gap record and are counted", "[delivery][ledger][gap]") {
  LedgerFixture fixture(sinks({{Answer::retry_later(0, "busy")}, {}}));
  fixture.write(0, 30);
  fixture.run(1);
  fixture.ledger.with([](FakeLedger::State& state) { state.oldest = 20; });
  fixture.run(0);
  const auto before = fixture.captures[0]->count();
  CHECK(before == 0);
  fixture.clock.advance(1s);
  fixture.run(0);
  const auto seen = fixture.captures[0]->seen().records;
  REQUIRE(seen.size() == 11);
  CHECK(seen[0].event == RecordEvent::kGap);
  CHECK(seen[0].reason == RecordReason::kLedgerFull);
  CHECK(seen[0].events_lost == Count(20));
  CHECK(seen[1].seq == 20);
  CHECK(fixture.status(0).dropped == 20);
  CHECK(fixture.cursor(0) == 30);
  CHECK(fixture.status(1).dropped == 0);
  CHECK(fixture.report_kinds() == std::vector{RKind::kSkipped, RKind::kTrouble, RKind::kTroubleOver});
}

TEST_CASE("what is missing before the first record is missing since the last one was delivered",
          "[delivery][ledger][gap]") {
  const bool new_sink = GENERATE(false, true);
  LedgerFixture fixture(sinks({{}}));
  if (!new_sink) {
    fixture.write(0, 10);
    fixture.run(0);
  }
  fixture.kill();
  fixture.ledger.with([](FakeLedger::State& state) {
    for (std::uint32_t number = 10; number < 40; ++number)
      state.records.push_back(testing::numbered_record(number));
    state.frame_ends.push_back(state.records.size());
    state.oldest = state.records.size() - 10;
  });
  fixture.build({});
  fixture.run(0);
  const auto seen = fixture.captures[0]->seen().records;
  const std::size_t at = new_sink ? 0 : 10;
  REQUIRE(seen.size() == at + 11);
  CHECK(seen[at].event == RecordEvent::kGap);
  // A new sink misses nothing of before it came.
  CHECK(seen[at].start_time == (new_sink ? to_ms(fixture.clock.now()) : testing::at_second(10)));
}

TEST_CASE("damaged records become a gap record between those around them", "[delivery][ledger][gap]") {
  LedgerFixture fixture(sinks({{}}), batches_of({.records = 1000, .linger = 1s}));
  fixture.write(0, 30);
  fixture.ledger.with([](FakeLedger::State& state) { state.damaged = {10, 20}; });
  fixture.run(0);
  fixture.clock.advance(1s);
  fixture.run(0);
  const auto seen = fixture.captures[0]->seen().records;
  REQUIRE(seen.size() == 21);
  CHECK(seen[9].seq == 9);
  CHECK(seen[10].event == RecordEvent::kGap);
  CHECK(seen[10].reason == RecordReason::kDamaged);
  CHECK(seen[10].origin->instance == "here");
  CHECK(seen[11].seq == 20);
  REQUIRE(fixture.reports.size() == 1);
  CHECK(fixture.reports[0].kind == RKind::kSkipped);
  CHECK(fixture.reports[0].records == 10);
  CHECK(fixture.status(0).dropped == 10);
}

TEST_CASE("a kill right after a gap record does not repeat it, and one before it does",
          "[delivery][ledger][gap]") {
  const bool delivered = GENERATE(false, true);
  LedgerFixture fixture(sinks({{delivered ? Answer::delivered(0) : Answer::retry_later(0, "busy")}}),
                        batches_of({.records = 1}));
  fixture.write(0, 5);
  fixture.ledger.with([](FakeLedger::State& state) { state.oldest = 3; });
  static_cast<void>(fixture.core->worker(0).step());
  fixture.restart();
  fixture.run(0);
  const auto seen = fixture.captures[0]->seen().records;
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].event == RecordEvent::kGap);
  CHECK(seen[1].seq == 3);
}

TEST_CASE("a cursor of records that the machine's fall took is set back to the end", "[delivery][ledger]") {
  LedgerFixture fixture(sinks({{}}));
  fixture.write(0, 100);
  fixture.run(0);
  fixture.clock.advance(1s);
  fixture.run(0);
  fixture.core.reset();
  fixture.ledger.fall(60);
  fixture.build({});
  CHECK(fixture.cursor(0) == 60);
  fixture.write(1000, 1010);  // their ordinals are used again
  fixture.run(0);
  auto expected = numbers(0, 100);
  for (std::uint32_t number = 1000; number < 1010; ++number) expected.push_back(number);
  CHECK(fixture.delivered(0) == expected);
}

TEST_CASE("a ledger that cannot be read is trouble of the sink, and is tried again", "[delivery][ledger]") {
  LedgerFixture fixture(sinks({{}}));
  fixture.write(0, 10);
  fixture.ledger.with([](FakeLedger::State& state) { state.reading_fails = true; });
  CHECK(fixture.run(0).depth == Doorbell::Sleep::kDeep);
  CHECK(fixture.status(0).state == DeliveryState::kFailed);
  CHECK(fixture.status(0).message == "ledger: read: Input/output error");
  fixture.ledger.with([](FakeLedger::State& state) { state.reading_fails = false; });
  fixture.clock.advance(1s);
  fixture.run(0);
  CHECK(fixture.delivered(0) == numbers(0, 10));
  CHECK(fixture.report_kinds() == std::vector{RKind::kTrouble, RKind::kTroubleOver});
}

TEST_CASE("what records point to lives until they are delivered, also over frames", "[delivery][ledger]") {
  LedgerFixture fixture(sinks({{}}), batches_of({.records = 100, .linger = 1h}));
  for (std::uint32_t number = 0; number < 1000; number += 7) {
    fixture.write(number, number + 7);
    fixture.run(0);
  }
  const std::size_t count = fixture.delivered(0).size();
  CHECK(count == 1000);
  CHECK(fixture.captures[0]->seen().batches == std::vector<std::size_t>(10, 100));
}

TEST_CASE("two sinks of one name would share a place in the ledger, and are refused", "[delivery][ledger]") {
  FakeLedger ledger;
  const testing::ManualClock clock{UnixNs(0s)};
  std::vector<SinkSpec> specs;
  for (int i = 0; i < 2; ++i) {
    specs.push_back(
        {.sink = std::make_unique<testing::CaptureSink>("a", std::make_shared<testing::Capture>())});
  }
  DeliveryCore core(std::move(specs), {}, clock, {}, {ledger.port(), "here"});
  const Result<void> opened = core.open();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().kind == ErrorKind::kUsage);
}

TEST_CASE("the keeper knows every sink, so that none is deleted from unread", "[delivery][ledger]") {
  LedgerFixture fixture(sinks({{}, {}}));
  CHECK(fixture.ledger.with([](FakeLedger::State& state) { return state.keeper_sinks; }) ==
        std::vector<std::string>{"a", "b"});
}
