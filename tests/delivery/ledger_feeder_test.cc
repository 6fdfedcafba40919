// The ledger's writer: pressure, trouble and the orderly end.
#include "delivery/ledger_feeder.h"

#include <catch2/catch.hpp>

#include "delivery/rigs.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::FakeLedger;
using natsession::testing::LedgerFixture;
using natsession::testing::numbers;
using natsession::testing::sinks;
using Kind = Turn::Kind;
using RKind = Report::Kind;

namespace {

void set_disk_full(LedgerFixture& fixture, bool full) {
  fixture.ledger.with([full](FakeLedger::State& state) { state.disk_full = full; });
}

// Emits while there is room; returns the number after the last.
std::uint32_t fill(LedgerFixture& fixture) {
  std::uint32_t next = 0;
  while (fixture.producer->has_room()) {
    fixture.emit(next, next + RecordOutput::kRoom);
    next += RecordOutput::kRoom;
    fixture.write();
  }
  return next;
}

}  // namespace

TEST_CASE("all collectors' records come into the ledger, each one's in order", "[delivery][feeder]") {
  LedgerFixture fixture(sinks({{}}));
  Producer& other = fixture.core->add_producer();
  fixture.emit(0, 1000);
  for (std::uint32_t number = 5000; number < 6000; ++number) other.emit(testing::numbered_record(number));
  other.flush();
  fixture.write();
  const auto all = fixture.ledger.numbers();
  REQUIRE(all.size() == 2000);
  std::vector<std::uint32_t> mine;
  std::vector<std::uint32_t> others;
  for (const std::uint32_t number : all) (number < 5000 ? mine : others).push_back(number);
  CHECK(mine == numbers(0, 1000));
  CHECK(others == numbers(5000, 6000));
}

TEST_CASE("the writer is called again when the ledger asks for it", "[delivery][feeder]") {
  LedgerFixture fixture(sinks({{}}));
  const Turn turn = fixture.run_feeder();
  CHECK(turn.kind == Kind::kSleep);
  CHECK(turn.depth == Doorbell::Sleep::kLight);
  CHECK(turn.limit == std::chrono::nanoseconds(1s));
}

TEST_CASE("a full disk holds the collectors back, loses nothing, and is over without a restart",
          "[delivery][feeder]") {
  LedgerFixture fixture(sinks({{}}), {}, {.queue_batches = 32});
  set_disk_full(fixture, true);
  const std::uint32_t emitted = fill(fixture);
  CHECK(emitted > 20 * 512);
  for (int hour = 0; hour < 10; ++hour) {
    fixture.clock.advance(1h);
    const Turn turn = fixture.run_feeder();
    CHECK(turn.kind == Kind::kSleep);
    REQUIRE(turn.limit.has_value());
    CHECK(*turn.limit <= std::chrono::nanoseconds(1s));
    CHECK_FALSE(fixture.producer->has_room());
  }
  const auto status = fixture.core->ledger_status();
  CHECK(status->writer.failure == "ledger: No space left on device");
  CHECK(status->writer.pending + status->queued == emitted);
  CHECK(status->dropped == 0);
  CHECK(status->failures == 1);

  set_disk_full(fixture, false);
  fixture.run_feeder();
  CHECK(fixture.producer->has_room());
  fixture.run(0);
  CHECK(fixture.delivered(0) == numbers(0, emitted));
  REQUIRE(fixture.report_kinds() == std::vector{RKind::kLedgerTrouble, RKind::kLedgerTroubleOver});
  CHECK(fixture.reports[0].why == "ledger: No space left on device");
  CHECK(fixture.reports[1].lasted >= std::chrono::nanoseconds(10h));
}

TEST_CASE("a disk that is full while nothing comes is told too", "[delivery][feeder]") {
  LedgerFixture fixture(sinks({{}}));
  fixture.emit(0, 10);
  fixture.producer->flush();
  set_disk_full(fixture, true);
  fixture.run_feeder();
  CHECK(fixture.report_kinds() == std::vector{RKind::kLedgerTrouble});
}

TEST_CASE("a sink that takes nothing does not hold the collectors back", "[delivery][feeder]") {
  LedgerFixture fixture(sinks({testing::FlakySink::Script(1000, Answer::retry_later(0, "no"))}), {},
                        {.queue_batches = 32});
  for (std::uint32_t number = 0; number < 100'000; number += 4096) {
    REQUIRE(fixture.producer->has_room());
    fixture.write(number, number + 4096);
    fixture.run(0);
  }
  CHECK(fixture.status(0).waiting > 90'000);
  CHECK(fixture.status(0).dropped == 0);
}

TEST_CASE("at a stop the writer drains the queue and syncs before the sinks are told that it was all",
          "[delivery][feeder][stop]") {
  LedgerFixture fixture(sinks({{}}));
  fixture.emit(0, 700);
  fixture.producer->finish();
  fixture.core->run().stopping.store(true);
  CHECK(fixture.run(0).kind == Kind::kSleep);  // more is on its way
  CHECK(fixture.run_feeder().kind == Kind::kDone);
  CHECK(fixture.ledger.numbers() == numbers(0, 700));
  CHECK(fixture.run(0).kind == Kind::kDone);
  CHECK(fixture.delivered(0) == numbers(0, 700));
}

TEST_CASE("a disk that is full at the stop is tried again, and what is lost is said",
          "[delivery][feeder][stop]") {
  LedgerFixture fixture(sinks({{}}));
  set_disk_full(fixture, true);
  fixture.emit(0, 700);
  fixture.producer->finish();
  fixture.core->run().stopping.store(true);
  CHECK(fixture.run_feeder().kind == Kind::kSleep);
  SECTION("room comes in time") {
    set_disk_full(fixture, false);
    CHECK(fixture.run_feeder().kind == Kind::kDone);
    CHECK(fixture.ledger.numbers() == numbers(0, 700));
    CHECK(fixture.core->outcome().undelivered.empty());
  }
  SECTION("no room comes") {
    fixture.core->run().abandoned.store(true);
    CHECK(fixture.run_feeder().kind == Kind::kDone);
    CHECK(fixture.run(0).kind == Kind::kDone);
    const Drained drained = fixture.core->outcome();
    REQUIRE(drained.undelivered.size() == 1);
    CHECK(drained.undelivered[0].records == 700);
  }
}

TEST_CASE("a ledger without sinks is written all the same", "[delivery][feeder]") {
  LedgerFixture fixture(sinks({}));
  CHECK(fixture.producer->has_room());
  fixture.write(0, 100);
  CHECK(fixture.ledger.numbers() == numbers(0, 100));
  CHECK(fixture.core->status().empty());
}

TEST_CASE("a collector that never asks for room gets a gap record into the ledger", "[delivery][feeder]") {
  LedgerFixture fixture(sinks({{}}), {}, {.queue_batches = 32});
  fixture.emit(0, 36 * 512);
  fixture.write();
  fixture.producer->flush();
  fixture.write();
  fixture.run(0);
  const auto seen = fixture.captures[0]->seen().records;
  REQUIRE(seen.size() == 32 * 512 + 1);
  CHECK(seen.back().event == RecordEvent::kGap);
  CHECK(seen.back().events_lost == Count(4 * 512));
  CHECK(fixture.core->ledger_status()->dropped == 4 * 512);
}
