// Sinks that are disabled and enabled at run time.

#include "delivery/delivery_fixture.h"
#include "delivery/sink_state.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;
using Kind = Turn::Kind;

TEST_CASE_OF_BOTH_LOGS("a disabled sink is given nothing, and others go on", "[delivery][enabling]") {
  TestType rig(sinks({{}, {}}));
  rig.feed(0, 10);
  REQUIRE(rig.core->set_enabled("a", false));
  CHECK(rig.status(0).state == DeliveryState::kModifying);
  rig.run(0);
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
  CHECK_FALSE(rig.status(0).enabled);
  rig.write(10, 20);
  CHECK(rig.run(0).depth == Notifier::Sleep::kLight);
  rig.run(1);
  CHECK(rig.delivered(0) == numbers(0, 10));
  CHECK(rig.delivered(1) == numbers(0, 20));
  CHECK(rig.status(1).enabled);
}

TEST_CASE_OF_BOTH_LOGS("a sink is Modifying until a delivery under way has ended", "[delivery][enabling]") {
  TestType rig(sinks({{}}));
  rig.flaky[0]->on_deliver = [&] {
    REQUIRE(rig.core->set_enabled("a", false));
    CHECK(rig.status(0).state == DeliveryState::kModifying);
  };
  rig.write(0, 10);
  rig.step(0);
  CHECK(rig.status(0).state == DeliveryState::kModifying);
  rig.run(0);
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
  CHECK(rig.delivered(0) == numbers(0, 10));
}

TEST_CASE_OF_BOTH_LOGS("what waited is delivered when the sink is enabled again", "[delivery][enabling]") {
  const auto linger = GENERATE(0ms, 1000ms);
  TestType rig(sinks({{}, {}}), batches_of({.records = 100, .linger = linger}));
  rig.write(0, 10);
  rig.run_after(1s);
  rig.run_after(1s);
  REQUIRE(rig.core->set_enabled("a", false));
  rig.run(0);
  rig.feed(10, 500);
  CHECK(rig.status(0).waiting == 490);
  CHECK(rig.status(0).oldest_waiting == to_ms(rig.clock.now()) - testing::at_second(11));
  REQUIRE(rig.core->set_enabled("a", true));
  rig.run(0);
  rig.run_after(1s);
  CHECK(rig.delivered(0) == numbers(0, 500));
  CHECK(rig.status(0).dropped == 0);
}

TEST_CASE("in memory a sink that is enabled again gets a gap record for what was overwritten",
          "[delivery][enabling]") {
  const bool alone = GENERATE(false, true);  // then the last record may be partly out, and is completed first
  MemoryRig rig(alone ? sinks({{Answer::retry_later(3, "busy"), Answer::retry_later(0, "busy")}})
                      : sinks({{Answer::retry_later(3, "busy"), Answer::retry_later(0, "busy")}, {}}),
                {}, {.queue_batches = 32});
  rig.feed(0, 10);
  REQUIRE(rig.core->set_enabled("a", false));
  rig.run(0);
  std::uint32_t next = 10;
  for (; next < 100'000; next += 4096) {
    REQUIRE(rig.producer->has_room());  // it exerts no pressure
    rig.feed(next, next + 4096);
    if (!alone) rig.run(1);
  }
  CHECK_FALSE(rig.status(0).lagging);
  CHECK(rig.status(0).dropped + rig.status(0).waiting == next - 3);
  CHECK(rig.status(0).oldest_waiting == to_ms(rig.clock.now()) - testing::at_second(4));
  REQUIRE(rig.core->set_enabled("a", true));
  rig.run(0);
  const auto seen = rig.seen(0);
  REQUIRE(seen.size() == 10 + 1 + 16 * 512);
  CHECK(seen[3].seq == 3);
  CHECK(seen[10].event == RecordEvent::kGap);
  CHECK(seen[10].reason == RecordReason::kSinkStalled);
  CHECK(seen[10].events_lost == Count(rig.status(0).dropped));
  CHECK(seen[10].start_time == testing::at_second(10));
  CHECK(seen[11].seq == 10 + rig.status(0).dropped);
  CHECK(seen.back().seq == next - 1);
  CHECK(rig.status(0).waiting == 0);
  CHECK(rig.report_kinds().back() == Report::Kind::kSkipped);
}

TEST_CASE_OF_BOTH_LOGS("enabling a suspended sink is a reason to test it at once", "[delivery][enabling]") {
  TestType rig(sinks({{Answer::target_failed(0, TargetCode::kUnauthorized, "401")}}));
  rig.feed(0, 1);
  REQUIRE(rig.core->set_enabled("a", false));
  rig.run(0);
  REQUIRE(rig.core->set_enabled("a", true));
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 1));
}

TEST_CASE_OF_BOTH_LOGS("what is so already is no error, and what is not there is", "[delivery][enabling]") {
  TestType rig(sinks({{}, {}}));
  rig.feed(0, 1);
  CHECK(rig.core->set_enabled("a", true));
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
  const Result<void> unknown = rig.core->set_enabled("c", false);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().kind == ErrorKind::kUsage);
  CHECK(unknown.error().message.find("a, b") != std::string::npos);
}

TEST_CASE_OF_BOTH_LOGS("a disabled sink does not hold up a stop", "[delivery][enabling][stop]") {
  TestType rig(sinks({{}}));
  REQUIRE(rig.core->set_enabled("a", false));
  rig.feed(0, 5);
  rig.stop();
  CHECK(rig.run(0).kind == Kind::kDone);
  CHECK(rig.delivered(0).empty());
  CHECK(rig.core->close().undelivered.empty());
}

TEST_CASE("with a ledger a disabled sink stays so over a restart, and loses nothing",
          "[delivery][enabling]") {
  LedgerRig rig(sinks({{}, {}}));
  rig.feed(0, 10);
  REQUIRE(rig.core->set_enabled("a", false));
  rig.run(0);
  rig.write(10, 20);
  rig.restart();
  CHECK_FALSE(rig.status(0).enabled);
  CHECK(rig.status(1).enabled);
  rig.feed(20, 30);
  CHECK(rig.delivered(0) == numbers(0, 10));
  REQUIRE(rig.core->set_enabled("a", true));
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 30));
  rig.restart();
  CHECK(rig.status(0).enabled);
}

TEST_CASE("a setting that cannot be stored is refused and changes nothing", "[delivery][enabling]") {
  LedgerRig rig(sinks({{}}));
  {
    const testing::FileSizeLimit limit(0);
    CHECK_FALSE(rig.core->set_enabled("a", false));
  }
  CHECK(rig.status(0).enabled);
  rig.feed(0, 5);
  CHECK(rig.delivered(0) == numbers(0, 5));
}

TEST_CASE_OF_BOTH_LOGS("a sink that was not tried yet is not said to be well", "[delivery][status]") {
  TestType rig(sinks({{}}));
  const SinkReport status = rig.status(0);
  CHECK(status.name == "a");
  CHECK(status.enabled);
  CHECK(to_string(status.state) == "Modifying");
  CHECK((status.code + status.message).empty());
  CHECK_FALSE(status.last_failure_at);
  CHECK_FALSE(status.last_delivery);
  CHECK_FALSE(status.oldest_waiting);
  CHECK_FALSE(status.suspended_until);
}

TEST_CASE_OF_BOTH_LOGS("a passing fault shows as Failed with its message, and stays as the last failure",
                       "[delivery][status]") {
  TestType rig(sinks({{Answer::retry_later(0, "connect x: Connection refused")}}));
  rig.feed(0, 5);
  CHECK(to_string(rig.status(0).state) == "Failed");
  CHECK(rig.status(0).message == "connect x: Connection refused");
  const UnixMs failed = to_ms(rig.clock.now());
  rig.run_after(1s);
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
  CHECK(rig.status(0).message == "connect x: Connection refused");
  CHECK(rig.status(0).last_failure_at == failed);
  CHECK(rig.status(0).last_delivery == to_ms(rig.clock.now()));
}

TEST_CASE_OF_BOTH_LOGS("a sink that refuses all it is offered shows as Failed until it takes something",
                       "[delivery][status]") {
  TestType rig(sinks({{Answer::rejected(2, "400: one of them"), Answer::delivered(0),
                       Answer::rejected(0, "400: all"), Answer::rejected(0, "400: all of them")}}));
  rig.feed(0, 5);
  CHECK(rig.status(0).rejected == 1);
  CHECK(to_string(rig.status(0).state) == "Success");
  CHECK(rig.status(0).message.empty());
  rig.feed(5, 7);
  CHECK(rig.status(0).rejected == 3);
  CHECK(to_string(rig.status(0).state) == "Failed");
  CHECK(rig.status(0).message == "400: all of them");
  CHECK(rig.status(0).last_failure_at == to_ms(rig.clock.now()));
  rig.feed(7, 8);
  CHECK(to_string(rig.status(0).state) == "Success");
  CHECK(rig.status(0).message == "400: all of them");
}

TEST_CASE_OF_BOTH_LOGS("what waits is counted, and the oldest of it has an age", "[delivery][status]") {
  TestType rig(sinks({{Answer::retry_later(4, "busy"), Answer::retry_later(0, "busy")}}));
  rig.feed(0, 10);
  CHECK(rig.status(0).waiting == 6);
  CHECK(rig.status(0).delivered == 4);
  CHECK(rig.status(0).retried == 1);
  rig.run(0);
  CHECK(rig.status(0).oldest_waiting == to_ms(rig.clock.now()) - at_second(5));
  rig.clock.step_to(UnixNs(0s));
  CHECK(rig.status(0).oldest_waiting == 0ms);  // never negative
}

TEST_CASE_OF_BOTH_LOGS("a sink in the middle of a delivery that hangs shows how long its records wait",
                       "[delivery][status]") {
  TestType rig(sinks({{}}));
  bool looked = false;
  rig.flaky[0]->on_deliver = [&] {
    rig.write(10, 20);
    CHECK(rig.status(0).waiting == 20);
    CHECK(rig.status(0).oldest_waiting == to_ms(rig.clock.now()) - at_second(1));
    looked = true;
    rig.flaky[0]->on_deliver = {};
  };
  rig.feed(0, 10);
  CHECK(looked);
}

TEST_CASE("without a ledger there is no status of one", "[delivery][status]") {
  MemoryRig rig(sinks({{}}));
  CHECK_FALSE(rig.core->ledger_report());
}

TEST_CASE("the ledger's status counts what its writer took and holds", "[delivery][status]") {
  LedgerRig rig(sinks({{}}));
  rig.write(0, 10);
  rig.emit(10, 15);
  rig.producer->flush();
  const auto status = rig.core->ledger_report();
  REQUIRE(status);
  CHECK(status->appended == 10);
  CHECK(status->end == 10);
  CHECK(status->pending == 5);
  CHECK(status->append_failures == 0);
}
