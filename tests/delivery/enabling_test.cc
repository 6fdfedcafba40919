// Sinks that are disabled and enabled at run time.
#include <catch2/catch.hpp>

#include "delivery/rigs.h"
#include "support/files.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::batches_of;
using natsession::testing::LedgerRig;
using natsession::testing::MemoryRig;
using natsession::testing::numbers;
using natsession::testing::sinks;
using Kind = Turn::Kind;

TEMPLATE_TEST_CASE("a disabled sink is given nothing, and others go on", "[delivery][enabling]", MemoryRig,
                   LedgerRig) {
  TestType rig(sinks({{}, {}}));
  rig.write(0, 10);
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", false));
  CHECK(rig.status(0).state == DeliveryState::kModifying);
  rig.run(0);
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
  CHECK_FALSE(rig.status(0).enabled);
  rig.write(10, 20);
  CHECK(rig.run(0).depth == Doorbell::Sleep::kLight);
  rig.run(1);
  CHECK(rig.delivered(0) == numbers(0, 10));
  CHECK(rig.delivered(1) == numbers(0, 20));
  CHECK(rig.status(1).enabled);
}

TEMPLATE_TEST_CASE("a sink is Modifying until a delivery under way has ended", "[delivery][enabling]",
                   MemoryRig, LedgerRig) {
  TestType rig(sinks({{}}));
  rig.flaky[0]->on_deliver = [&] {
    REQUIRE(rig.core->set_enabled("a", false));
    CHECK(rig.status(0).state == DeliveryState::kModifying);
  };
  rig.write(0, 10);
  static_cast<void>(rig.core->worker(0).step());
  CHECK(rig.status(0).state == DeliveryState::kModifying);
  rig.run(0);
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
  CHECK(rig.delivered(0) == numbers(0, 10));
}

TEST_CASE("with a ledger what waited is delivered when the sink is enabled again", "[delivery][enabling]") {
  LedgerRig rig(sinks({{}}));
  rig.write(0, 10);
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", false));
  rig.run(0);
  rig.write(10, 500);
  rig.run(0);
  CHECK(rig.cursor(0) == 10);
  CHECK(rig.status(0).waiting == 490);
  CHECK(rig.status(0).oldest_waiting == to_ms(rig.clock.now()) - testing::at_second(11));
  REQUIRE(rig.core->set_enabled("a", true));
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 500));
  CHECK(rig.status(0).dropped == 0);
}

TEST_CASE("in memory a sink that is enabled again gets a gap record for what passed it by",
          "[delivery][enabling]") {
  const auto linger = GENERATE(0ms, 1000ms);
  MemoryRig rig(sinks({{}, {}}), batches_of({.records = 100, .linger = linger}));
  rig.write(0, 10);
  rig.clock.advance(1s);
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", false));
  rig.run(0);
  rig.write(10, 2000);
  rig.run(0);
  CHECK(rig.status(0).waiting == 0);
  CHECK(rig.status(0).dropped == (linger == 0ms ? 1990 : 2000));
  REQUIRE(rig.core->set_enabled("a", true));
  rig.write(2000, 2010);
  rig.run(0);
  rig.clock.advance(1s);
  rig.run(0);
  const auto seen = rig.captures[0]->seen().records;
  const std::size_t before = linger == 0ms ? 10 : 0;
  REQUIRE(seen.size() == before + 1 + 10);
  const SessionRecord& gap = seen[before];
  CHECK(gap.event == RecordEvent::kGap);
  CHECK(gap.events_lost == Count(2000 - before));
  CHECK(gap.start_time == testing::at_second(static_cast<std::int64_t>(before)));
  CHECK(gap.end_time == testing::at_second(2000));
  CHECK(seen[before + 1].seq == 2000);
}

TEST_CASE("in memory a sink that missed nothing gets no gap record", "[delivery][enabling]") {
  MemoryRig rig(sinks({{}}));
  rig.write(0, 10);
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", false));
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", true));
  rig.write(10, 20);
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 20));
}

TEST_CASE("in memory a gap record that could not be delivered before the next disabling is not lost",
          "[delivery][enabling]") {
  MemoryRig rig(sinks({{Answer::retry_later(0, "busy")}}));
  REQUIRE(rig.core->set_enabled("a", false));
  rig.write(0, 10);
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", true));
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", false));
  rig.run(0);
  rig.write(10, 15);
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", true));
  rig.run(0);
  std::uint64_t lost = 0;
  for (const SessionRecord& record : rig.captures[0]->seen().records) {
    REQUIRE(record.event == RecordEvent::kGap);
    lost += record.events_lost.value();
  }
  CHECK(lost == 15);
  CHECK(rig.status(0).dropped == 15);
}

TEST_CASE("in memory a record that may be partly out is completed before the gap", "[delivery][enabling]") {
  const auto linger = GENERATE(0ms, 1000ms);
  MemoryRig rig(sinks({{Answer::retry_later(3, "busy"), Answer::retry_later(0, "busy")}}),
                batches_of({.records = 10, .linger = linger}));
  rig.write(0, 10);
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", false));
  rig.run(0);
  rig.write(10, 20);
  rig.run(0);
  CHECK(rig.status(0).waiting == 1);
  REQUIRE(rig.core->set_enabled("a", true));
  rig.run(0);
  const auto seen = rig.captures[0]->seen().records;
  REQUIRE(seen.size() == 5);
  CHECK(seen[3].seq == 3);
  CHECK(seen[4].event == RecordEvent::kGap);
  CHECK(seen[4].events_lost == Count(16));
  CHECK(rig.status(0).waiting == 0);
}

TEST_CASE("a disabled sink exerts no pressure in memory", "[delivery][enabling]") {
  MemoryRig rig(sinks({{}}), {}, {.queue_batches = 32});
  REQUIRE(rig.core->set_enabled("a", false));
  for (std::uint32_t number = 0; number < 100'000; number += 4096) {
    REQUIRE(rig.producer->has_room());
    rig.write(number, number + 4096);
    rig.run(0);
  }
}

TEMPLATE_TEST_CASE("enabling a suspended sink is a reason to test it at once", "[delivery][enabling]",
                   MemoryRig, LedgerRig) {
  TestType rig(sinks({{Answer::target_failed(0, TargetCode::kUnauthorized, "401")}}));
  rig.write(0, 1);
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", false));
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", true));
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 1));
}

TEMPLATE_TEST_CASE("what is so already is no error, and what is not there is", "[delivery][enabling]",
                   MemoryRig, LedgerRig) {
  TestType rig(sinks({{}, {}}));
  CHECK(rig.core->set_enabled("a", true));
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
  const Result<void> unknown = rig.core->set_enabled("c", false);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().kind == ErrorKind::kUsage);
  CHECK(unknown.error().message.find("a, b") != std::string::npos);
}

TEMPLATE_TEST_CASE("a sink that is configured as disabled begins so", "[delivery][enabling]", MemoryRig,
                   LedgerRig) {
  TestType rig(sinks({{}}), [](std::size_t, SinkSpec& spec) { spec.enabled = false; });
  CHECK_FALSE(rig.status(0).enabled);
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
  rig.write(0, 5);
  rig.run(0);
  CHECK(rig.delivered(0).empty());
}

TEMPLATE_TEST_CASE("a disabled sink does not hold up a stop", "[delivery][enabling][stop]", MemoryRig,
                   LedgerRig) {
  TestType rig(sinks({{}}));
  REQUIRE(rig.core->set_enabled("a", false));
  rig.write(0, 5);
  rig.run(0);
  rig.stop();
  CHECK(rig.run(0).kind == Kind::kDone);
  CHECK(rig.delivered(0).empty());
  CHECK(rig.core->outcome());
}

TEST_CASE("with a ledger a disabled sink stays so over a restart, and loses nothing",
          "[delivery][enabling]") {
  LedgerRig rig(sinks({{}, {}}));
  rig.write(0, 10);
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", false));
  rig.run(0);
  rig.write(10, 20);
  rig.restart();
  CHECK_FALSE(rig.status(0).enabled);
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
  CHECK(rig.status(1).enabled);
  rig.write(20, 30);
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 10));
  REQUIRE(rig.core->set_enabled("a", true));
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 30));
  rig.restart();
  CHECK(rig.status(0).enabled);
}

TEST_CASE("a setting that cannot be stored is refused and changes nothing", "[delivery][enabling]") {
  LedgerRig rig(sinks({{}}));
  const testing::FileSizeLimit limit(0);
  CHECK_FALSE(rig.core->set_enabled("a", false));
  CHECK(rig.status(0).enabled);
  rig.write(0, 5);
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 5));
}
