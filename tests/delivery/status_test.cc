#include <catch2/catch.hpp>

#include "delivery/delivery_fixture.h"
#include "delivery/sink_state.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::at_second;
using natsession::testing::LedgerRig;
using natsession::testing::MemoryRig;
using natsession::testing::sinks;

TEMPLATE_TEST_CASE("a sink that nothing happened to is well", "[delivery][status]", MemoryRig, LedgerRig) {
  TestType rig(sinks({{}}));
  const SinkStatus status = rig.status(0);
  CHECK(status.name == "a");
  CHECK(status.enabled);
  CHECK(to_string(status.state) == "Success");
  CHECK(failure_text(status).empty());
  CHECK_FALSE(status.last_failure_at);
  CHECK_FALSE(status.last_delivery);
  CHECK_FALSE(status.oldest_waiting);
  CHECK_FALSE(status.suspended_until);
}

TEMPLATE_TEST_CASE("a passing fault shows as Failed with its message, and stays as the last failure",
                   "[delivery][status]", MemoryRig, LedgerRig) {
  TestType rig(sinks({{Answer::retry_later(0, "connect x: Connection refused")}}));
  rig.write(0, 5);
  rig.run(0);
  CHECK(to_string(rig.status(0).state) == "Failed");
  CHECK(failure_text(rig.status(0)) == "connect x: Connection refused");
  const UnixMs failed = to_ms(rig.clock.now());
  rig.clock.advance(1s);
  rig.run(0);
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
  CHECK(failure_text(rig.status(0)) == "connect x: Connection refused");
  CHECK(rig.status(0).last_failure_at == failed);
  CHECK(rig.status(0).last_delivery == to_ms(rig.clock.now()));
}

TEMPLATE_TEST_CASE("what waits is counted, and the oldest of it has an age", "[delivery][status]", MemoryRig,
                   LedgerRig) {
  TestType rig(sinks({{Answer::retry_later(4, "busy"), Answer::retry_later(0, "busy")}}));
  rig.write(0, 10);
  rig.run(0);
  CHECK(rig.status(0).waiting == 6);
  CHECK(rig.status(0).delivered == 4);
  CHECK(rig.status(0).retried == 1);
  rig.run(0);
  CHECK(rig.status(0).oldest_waiting == to_ms(rig.clock.now()) - at_second(5));
  rig.clock.step_to(UnixNs(0s));
  CHECK(rig.status(0).oldest_waiting == 0ms);  // never negative
}

TEMPLATE_TEST_CASE("a sink in the middle of a delivery that hangs shows how long its records wait",
                   "[delivery][status]", MemoryRig, LedgerRig) {
  TestType rig(sinks({{}}));
  bool looked = false;
  rig.flaky[0]->on_deliver = [&] {
    rig.write(10, 20);
    CHECK(rig.status(0).waiting == 20);
    CHECK(rig.status(0).oldest_waiting == to_ms(rig.clock.now()) - at_second(1));
    looked = true;
    rig.flaky[0]->on_deliver = {};
  };
  rig.write(0, 10);
  rig.run(0);
  CHECK(looked);
}

TEST_CASE("without a ledger there is no status of one", "[delivery][status]") {
  MemoryRig rig(sinks({{}}));
  CHECK_FALSE(rig.core->ledger_status());
}

TEST_CASE("the ledger's status counts what its writer took and holds", "[delivery][status]") {
  LedgerRig rig(sinks({{}}));
  rig.write(0, 10);
  rig.emit(10, 15);
  rig.producer->flush();
  const auto status = rig.core->ledger_status();
  REQUIRE(status);
  CHECK(status->writer.appended == 10);
  CHECK(status->writer.written == 10);
  CHECK(status->queued == 5);
  CHECK(status->failures == 0);
}
