// What delivery promises, whether records come from memory or from a ledger.

#include "delivery/delivery_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;
using Kind = Turn::Kind;

TEST_CASE_OF_BOTH_LOGS("every sink gets every record once and in order", "[delivery][conformance]") {
  TestType rig(sinks({{}, {}}));
  for (std::uint32_t number = 0; number < 5000; number += 250) rig.feed(number, number + 250);
  rig.run(1);
  for (std::size_t sink = 0; sink < 2; ++sink) {
    CHECK(rig.delivered(sink) == numbers(0, 5000));
    CHECK(rig.status(sink).delivered == 5000);
    CHECK(rig.status(sink).waiting == 0);
    CHECK(rig.status(sink).retried == 0);
    CHECK(rig.status(sink).state == DeliveryState::kSuccess);
    CHECK_FALSE(rig.status(sink).oldest_waiting);
  }
  CHECK(rig.reports.empty());
}

TEST_CASE_OF_BOTH_LOGS("faults of all passing kinds leave order and number as they were",
                       "[delivery][conformance]") {
  const auto linger = GENERATE(0ms, 1000ms);
  FlakySink::Script script;
  for (std::size_t i = 0; i < 60; ++i) {
    script.push_back(Answer::retry_later(i % 7, "busy"));
    if (i % 3 == 0) script.push_back(Answer::delivered(0));
    if (i % 5 == 0)
      script.push_back(Answer::throttled(i % 2, TargetCode::kWriteQuotaExceed, "slow down", 2s));
    if (i % 11 == 0) script.push_back(Answer::target_failed(i % 3, TargetCode::kUnauthorized, "401"));
  }
  TestType rig(sinks({std::move(script)}), batches_of({.records = 100, .linger = linger}));
  std::uint32_t next = 0;
  for (int round = 0; round < 300; ++round) {
    rig.write(next, next + 40);
    next += 40;
    rig.run(0);
    rig.clock.advance(round % 10 == 0 ? 6min : 1s);
  }
  rig.clock.advance(6min);
  rig.feed(next, next + 1);
  rig.run_after(2s);
  CHECK(rig.delivered(0) == numbers(0, next + 1));
  CHECK(rig.status(0).delivered == next + 1);
  CHECK(rig.status(0).dropped == 0);
  CHECK(rig.status(0).retried > 0);
}

TEST_CASE_OF_BOTH_LOGS("a batch is sent when it is full", "[delivery][conformance][batch]") {
  TestType rig(sinks({{}}), batches_of({.records = 1000, .linger = 1s}));
  const Turn turn = rig.feed(0, 999);
  CHECK(rig.delivered(0).empty());
  CHECK(turn.kind == Kind::kSleep);
  CHECK(turn.depth == Notifier::Sleep::kLight);
  REQUIRE(turn.limit.has_value());
  CHECK(*turn.limit <= std::chrono::nanoseconds(1s));
  rig.feed(999, 1005);
  CHECK(rig.captures[0]->seen().batches == std::vector<std::size_t>{1000});
  rig.feed(1005, 3100);
  CHECK(rig.captures[0]->seen().batches == std::vector<std::size_t>{1000, 1000, 1000});
  CHECK(rig.delivered(0) == numbers(0, 3000));
}

TEST_CASE_OF_BOTH_LOGS("a batch that is not full is sent when its first record has waited",
                       "[delivery][conformance][batch]") {
  TestType rig(sinks({{}}), batches_of({.records = 1000, .linger = 1s}));
  rig.feed(0, 3);
  rig.clock.advance(600ms);
  rig.write(3, 5);
  CHECK(rig.run(0).limit == std::chrono::nanoseconds(400ms));
  rig.run_after(400ms - 1ns);
  CHECK(rig.delivered(0).empty());
  rig.run_after(1ns);
  CHECK(rig.delivered(0) == numbers(0, 5));
  rig.write(5, 6);
  CHECK(rig.run(0).limit == std::chrono::nanoseconds(1s));
}

TEST_CASE_OF_BOTH_LOGS("a batch ends where its bytes do", "[delivery][conformance][batch]") {
  const std::uint64_t one = 600;
  TestType rig(sinks({{}}), batches_of({.records = 1000, .bytes = {10 * one}, .linger = 1s}));
  rig.feed(0, 40);
  const auto batches = rig.captures[0]->seen().batches;
  REQUIRE(batches.size() >= 3);
  for (const std::size_t count : batches) CHECK((count >= 9 && count <= 11));
}

TEST_CASE_OF_BOTH_LOGS("with no linger a record is delivered at once", "[delivery][conformance][batch]") {
  TestType rig(sinks({{}}));
  for (std::uint32_t number = 0; number < 100; ++number) {
    rig.feed(number, number + 1);
    REQUIRE(rig.delivered(0) == numbers(0, number + 1));
  }
}

TEST_CASE_OF_BOTH_LOGS("what came while a sink was busy has waited already",
                       "[delivery][conformance][batch]") {
  TestType rig(sinks({{}}), batches_of({.records = 10, .linger = 1s}));
  rig.flaky[0]->on_deliver = [&] { rig.clock.advance(3s); };
  rig.write(0, 10);
  rig.step(0);
  rig.flaky[0]->on_deliver = {};
  rig.feed(10, 13);
  CHECK(rig.delivered(0) == numbers(0, 13));
}

TEST_CASE_OF_BOTH_LOGS("what is owed does not linger", "[delivery][conformance][batch]") {
  TestType rig(sinks({{Answer::retry_later(8, "busy")}}), batches_of({.records = 10, .linger = 1h}));
  rig.feed(0, 10);
  CHECK(rig.delivered(0) == numbers(0, 10));
}

TEST_CASE_OF_BOTH_LOGS("an orderly stop delivers what lingers", "[delivery][conformance][stop]") {
  TestType rig(sinks({{}}), batches_of({.records = 1000, .linger = 1h}));
  rig.feed(0, 30);
  rig.emit(30, 50);
  rig.stop();
  CHECK(rig.run(0).kind == Kind::kDone);
  CHECK(rig.delivered(0) == numbers(0, 50));
  CHECK(rig.captures[0]->seen().flushes > 0);
  const Drained drained = rig.core->close();
  CHECK(drained.undelivered.empty());
  CHECK(drained.kept.empty());
}

TEST_CASE_OF_BOTH_LOGS("a stop waits for a fault that came with it", "[delivery][conformance][stop]") {
  TestType rig(sinks({{Answer::retry_later(0, "busy"), Answer::retry_later(0, "busy")}}));
  rig.write(0, 30);
  rig.stop();
  Turn turn = rig.run(0);
  for (int i = 0; i < 10 && turn.kind == Kind::kSleep; ++i) turn = rig.run_after(5s);
  CHECK(turn.kind == Kind::kDone);
  CHECK(rig.delivered(0) == numbers(0, 30));
}

TEST_CASE_OF_BOTH_LOGS("a throttled sink is left alone for as long as it asks, and its code is shown",
                       "[delivery][conformance]") {
  TestType rig(sinks({{Answer::throttled(0, TargetCode::kShardWriteQuotaExceed, "PUT: 429", 30s)}}));
  const Turn turn = rig.feed(0, 3);
  CHECK(turn.depth == Notifier::Sleep::kDeep);
  const SinkReport status = rig.status(0);
  CHECK(status.state == DeliveryState::kFailed);
  CHECK(status.code + ": " + status.message == "ShardWriteQuotaExceed: PUT: 429");
  CHECK(status.breaker == Breaker::State::kClosed);
  CHECK_FALSE(status.suspended_until);
  rig.run_after(30s - 1ns);
  CHECK(rig.delivered(0).empty());
  rig.run_after(1ns);
  CHECK(rig.delivered(0) == numbers(0, 3));
  CHECK(rig.status(0).state == DeliveryState::kSuccess);
}

TEST_CASE_OF_BOTH_LOGS("no pause that a destination asks for is longer than a suspension",
                       "[delivery][conformance]") {
  TestType rig(sinks({{Answer::throttled(0, TargetCode::kWriteQuotaExceed, "429", 24h)}}));
  rig.feed(0, 3);
  rig.run_after(5min);
  CHECK(rig.delivered(0) == numbers(0, 3));
}

TEST_CASE_OF_BOTH_LOGS("one sink's trouble does not delay another", "[delivery][conformance]") {
  TestType rig(
      sinks({FlakySink::Script(50, Answer::target_failed(0, TargetCode::kProjectForbidden, "403")), {}}));
  for (std::uint32_t number = 0; number < 2000; number += 100) {
    rig.feed(number, number + 100);
    rig.run(1);
    CHECK(rig.delivered(1) == numbers(0, number + 100));
  }
  CHECK(rig.delivered(0).empty());
  CHECK(rig.status(0).waiting == 2000);
  CHECK(rig.status(1).state == DeliveryState::kSuccess);
}

TEST_CASE_OF_BOTH_LOGS("a closed sink is told once and does not hold up a stop", "[delivery][conformance]") {
  TestType rig(sinks({{Answer::closed(1, "write stdout: Broken pipe")}}));
  rig.feed(0, 10);
  rig.feed(10, 20);
  CHECK(rig.closings == std::vector<std::string>{"a: write stdout: Broken pipe"});
  CHECK(rig.status(0).closed);
  CHECK(rig.status(0).state == DeliveryState::kFailed);
  CHECK(rig.status(0).message == "write stdout: Broken pipe");
  CHECK(rig.status(0).waiting == 19);
  CHECK(rig.status(0).dropped == 0);
  rig.stop();
  CHECK(rig.run(0).kind == Kind::kDone);
}

TEST_CASE_OF_BOTH_LOGS("a sink of the session log passes over what is a flow log's, and one of all does not",
                       "[delivery]") {
  TestType rig(sinks({{}, {}}), [](std::size_t sink, SinkSpec& spec) {
    if (sink == 1) spec.takes = Takes::kAll;
  });
  const auto emit = [&](std::uint32_t number, std::uint32_t flow) {
    SessionRecord record = numbered_record(number);
    record.flow = flow;
    rig.producer->emit(record);
  };
  for (std::uint32_t number = 0; number < 3000; ++number) emit(number, number % 3 == 0 ? 0 : 60);
  rig.write();
  rig.run(0);
  rig.run(1);
  std::vector<std::uint32_t> every_third;
  for (std::uint32_t number = 0; number < 3000; number += 3) every_third.push_back(number);
  CHECK(rig.delivered(0) == every_third);
  CHECK(rig.delivered(1) == numbers(0, 3000));
  CHECK(rig.status(0).waiting == 0);

  // Where nothing is for it nothing waits, and its place moves all the same.
  for (std::uint32_t number = 3000; number < 5000; ++number) emit(number, 60);
  rig.write();
  rig.run(0);
  CHECK(rig.status(0).waiting == 0);
  CHECK(rig.delivered(0) == every_third);
  rig.run_after(2s);
  if (TestType::kKeeps) CHECK(rig.cursor(0) == 5000);
}

TEST_CASE("after a kill a sink of the session log goes on behind what it passed over", "[delivery]") {
  LedgerRig rig(sinks({{}}));
  for (std::uint32_t number = 0; number < 100; ++number) {
    SessionRecord record = numbered_record(number);
    record.flow = number % 2 == 0 ? 0 : 600;
    rig.producer->emit(record);
  }
  rig.write();
  rig.run(0);
  rig.restart();
  rig.feed(100, 110);
  std::vector<std::uint32_t> expected;
  for (std::uint32_t number = 0; number < 100; number += 2) expected.push_back(number);
  for (std::uint32_t number = 100; number < 110; ++number) expected.push_back(number);
  CHECK(rig.delivered(0) == expected);
}
