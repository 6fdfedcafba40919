// A worker whose target fails: the breaker of the specification, with its reports and its status.

#include "delivery/delivery_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;
using Kind = Turn::Kind;
using RKind = Report::Kind;

namespace {

Answer refused(TargetCode code = TargetCode::kUnauthorized, std::string why = "POST: 401") {
  return Answer::target_failed(0, code, std::move(why));
}

// A sink that counts how often it is offered anything.
template <typename Rig>
struct Counted : Rig {
  explicit Counted(FlakySink::Script script, BatchLimits limits = {})
      : Rig(sinks({std::move(script)}), batches_of(limits)) {
    this->flaky[0]->on_deliver = [this] { ++offers; };
  }
  int offers = 0;
};

}  // namespace

TEST_CASE_OF_BOTH_LOGS("after a target failure delivery is suspended for five minutes",
                       "[delivery][suspension]") {
  Counted<TestType> rig({refused()});
  const Turn turn = rig.feed(0, 10);
  CHECK(rig.offers == 1);
  CHECK(turn.kind == Kind::kSleep);
  CHECK(turn.depth == Notifier::Sleep::kDeep);
  rig.write(10, 20);
  rig.run_after(5min - 1ns);
  CHECK(rig.offers == 1);
  rig.run_after(1ns);
  CHECK(rig.offers == 3);
  CHECK(rig.delivered(0) == numbers(0, 20));
}

TEST_CASE_OF_BOTH_LOGS("once the time is over the test waits for new data", "[delivery][suspension]") {
  Counted<TestType> rig({refused()});
  rig.feed(0, 10);
  const Turn turn = rig.run_after(5min);
  CHECK(turn.kind == Kind::kSleep);
  CHECK(turn.depth == Notifier::Sleep::kLight);  // new data wakes it
  rig.run_after(24h);
  CHECK(rig.offers == 1);
  rig.feed(10, 11);
  CHECK(rig.delivered(0) == numbers(0, 11));
}

TEST_CASE_OF_BOTH_LOGS("what came while the batch was failing is new data", "[delivery][suspension]") {
  Counted<TestType> rig({refused()});
  rig.write(0, 10);
  rig.flaky[0]->on_deliver = [&] {
    rig.flaky[0]->on_deliver = {};
    rig.write(10, 11);
  };
  rig.run(0);
  rig.run_after(5min);
  CHECK(rig.delivered(0) == numbers(0, 11));
}

TEST_CASE_OF_BOTH_LOGS("one batch is the test: when it fails nothing more is sent for five minutes",
                       "[delivery][suspension]") {
  const auto second = GENERATE(0, 1, 2);
  FlakySink::Script script{refused()};
  if (second == 0) script.push_back(refused());
  if (second == 1) script.push_back(Answer::retry_later(0, "connect: Connection refused"));
  if (second == 2) script.push_back(Answer::throttled(0, TargetCode::kWriteQuotaExceed, "429", 1s));
  Counted<TestType> rig(std::move(script), {.records = 5});
  rig.feed(0, 100);
  rig.write(100, 200);
  rig.run_after(5min);
  CHECK(rig.offers == 2);
  CHECK(rig.status(0).breaker == Breaker::State::kSuspended);
  CHECK(rig.status(0).code == "UnavailableTarget");
  rig.write(200, 201);
  rig.run_after(5min - 1ns);
  CHECK(rig.offers == 2);
  rig.run_after(1ns);
  CHECK(rig.delivered(0) == numbers(0, 201));
  CHECK(rig.status(0).breaker == Breaker::State::kClosed);
}

TEST_CASE_OF_BOTH_LOGS("the test is one batch, and what follows it goes on in batches",
                       "[delivery][suspension]") {
  Counted<TestType> rig({refused()}, {.records = 50});
  rig.feed(0, 200);
  rig.write(200, 201);
  rig.clock.advance(5min);
  rig.step(0);
  CHECK(rig.delivered(0) == numbers(0, 50));
  CHECK(rig.status(0).breaker == Breaker::State::kClosed);
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 201));
}

TEST_CASE_OF_BOTH_LOGS("a test of which a part is taken, or rejected, shows that the target is well",
                       "[delivery][suspension]") {
  const bool rejected = GENERATE(false, true);
  Counted<TestType> rig({refused(), rejected ? Answer::rejected(0, "odd") : Answer::retry_later(1, "busy")});
  rig.feed(0, 10);
  rig.write(10, 11);
  rig.run_after(5min);
  CHECK(rig.status(0).breaker == Breaker::State::kClosed);
  CHECK(rig.delivered(0) == numbers(rejected ? 1 : 0, 11));
}

TEST_CASE_OF_BOTH_LOGS("a clock that is set neither shortens nor lengthens a suspension",
                       "[delivery][suspension]") {
  Counted<TestType> rig({refused()});
  rig.feed(0, 10);
  rig.write(10, 11);
  const UnixNs before = rig.clock.now();
  rig.clock.step_to(before + 24h);
  rig.run(0);
  CHECK(rig.offers == 1);
  CHECK(rig.status(0).suspended_until == to_ms(before + 24h + 5min));
  rig.clock.step_to(before - 24h);
  rig.run_after(5min);
  CHECK(rig.delivered(0) == numbers(0, 11));
}

TEST_CASE_OF_BOTH_LOGS("each code is shown while its failure lasts, and stays as the last failure",
                       "[delivery][suspension][status]") {
  const auto code =
      GENERATE(TargetCode::kProjectNotExist, TargetCode::kLogStoreNotExist, TargetCode::kProjectForbidden,
               TargetCode::kInvalidAccessKeyId, TargetCode::kUnauthorized);
  Counted<TestType> rig({refused(code, "PUT /x: no")});
  const std::string name(to_string(code));
  rig.feed(0, 10);
  SinkReport status = rig.status(0);
  CHECK(status.state == DeliveryState::kFailed);
  CHECK(status.code == "UnavailableTarget");
  CHECK(status.message == "delivery is suspended after " + name + ": PUT /x: no");
  CHECK(status.last_failure_code == name);
  CHECK(status.last_failure == "PUT /x: no");
  CHECK(status.last_failure_at == to_ms(rig.clock.now()));
  CHECK(status.suspended_until == to_ms(rig.clock.now() + 5min));
  CHECK(status.waiting == 10);
  CHECK(status.oldest_waiting == to_ms(rig.clock.now()) - natsession::testing::at_second(1));

  rig.write(10, 11);
  rig.run_after(5min);
  status = rig.status(0);
  CHECK(status.state == DeliveryState::kSuccess);
  CHECK(status.code + ": " + status.message == name + ": PUT /x: no");
  CHECK_FALSE(status.suspended_until);
  CHECK(status.last_delivery == to_ms(rig.clock.now()));
}

TEST_CASE_OF_BOTH_LOGS("a suspension, its tests and its end are told", "[delivery][suspension]") {
  Counted<TestType> rig({refused(), refused(TargetCode::kProjectForbidden, "403")});
  rig.write(0, 10);
  for (std::uint32_t round = 0; round < 3; ++round) {
    rig.run(0);
    rig.write(10 + round, 11 + round);
    rig.clock.advance(5min);
  }
  REQUIRE(rig.report_kinds() == std::vector{RKind::kSuspended, RKind::kTestBatch, RKind::kSuspended,
                                            RKind::kTestBatch, RKind::kResumed});
  CHECK(rig.reports[0].code == "Unauthorized");
  CHECK(rig.reports[0].why == "POST: 401");
  CHECK(rig.reports[0].lasted == std::chrono::nanoseconds(5min));
  CHECK(rig.reports[1].code == "Unauthorized");
  CHECK(rig.reports[2].code == "ProjectForbidden");
  CHECK(rig.reports[4].code == "ProjectForbidden");
  CHECK(rig.reports[4].lasted == std::chrono::nanoseconds(10min));
  CHECK(rig.reports[4].retries == 2);
}

TEST_CASE_OF_BOTH_LOGS("a reopened sink is tested at once", "[delivery][suspension]") {
  Counted<TestType> rig({refused()});
  rig.feed(0, 10);
  rig.core->request_reopen();
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 10));
}

TEST_CASE("at a stop a suspended sink gets one last try in memory", "[delivery][suspension][stop]") {
  const bool well = GENERATE(false, true);
  FlakySink::Script script{refused()};
  if (!well) script.push_back(refused());
  Counted<MemoryRig> rig(std::move(script));
  rig.feed(0, 10);
  rig.stop();
  CHECK(rig.run(0).kind == Kind::kDone);
  CHECK(rig.offers == 2);
  CHECK(rig.delivered(0) == (well ? numbers(0, 10) : numbers(0, 0)));
  CHECK(rig.core->close().undelivered.size() == (well ? 0 : 1));
}

TEST_CASE("at a stop a suspended sink is not tried, because the ledger keeps what waits",
          "[delivery][suspension][stop]") {
  Counted<LedgerRig> rig({refused()});
  rig.feed(0, 10);
  rig.stop();
  CHECK(rig.run(0).kind == Kind::kDone);
  CHECK(rig.offers == 1);
  const Drained drained = rig.core->close();
  CHECK(drained);
  REQUIRE(drained.kept.size() == 1);
  CHECK(drained.kept[0].sink == "a");
  CHECK(drained.kept[0].records == 10);
}

TEST_CASE("at a stop a sink in lasting trouble gets one try, and what it leaves is kept",
          "[delivery][suspension][stop]") {
  Counted<LedgerRig> rig(FlakySink::Script(100, Answer::retry_later(0, "connect: Connection refused")));
  rig.feed(0, 10);
  rig.clock.advance(5s);
  rig.stop();
  CHECK(rig.run(0).kind == Kind::kDone);
  CHECK(rig.offers == 2);
  CHECK(rig.core->close().kept.size() == 1);
}
