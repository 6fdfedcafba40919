// A worker beyond delivering: what it does when idle, when asked to reopen, and at the end.
#include <catch2/catch.hpp>

#include "delivery/delivery_fixture.h"
#include "delivery/sink_worker.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::DeliveryFixture;
using natsession::testing::numbers;
using natsession::testing::sinks;
using Kind = Turn::Kind;
using RKind = Report::Kind;

TEST_CASE("an idle sink is flushed once after a second, and then every ten", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{}}));
  const auto flushes = [&] { return fixture.captures[0]->seen().flushes; };
  CHECK(fixture.run(0).limit == std::chrono::nanoseconds(1s));
  fixture.clock.advance(999ms);
  fixture.run(0);
  CHECK(flushes() == 0);
  fixture.clock.advance(1ms);
  CHECK(fixture.run(0).limit == std::chrono::nanoseconds(10s));
  CHECK(flushes() == 1);
  fixture.clock.advance(9s);
  fixture.run(0);
  CHECK(flushes() == 1);
  fixture.clock.advance(1s);
  fixture.run(0);
  CHECK(flushes() == 2);

  fixture.emit(0, 1);  // busy again: the second begins anew
  fixture.producer->flush();
  CHECK(fixture.run(0).limit == std::chrono::nanoseconds(1s));
}

TEST_CASE("a flush that fails is told when it begins to, not each time", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{}}));
  fixture.flaky[0]->fail_flush = true;
  for (int round = 0; round < 5; ++round) {
    fixture.run(0);
    fixture.clock.advance(10s);
  }
  CHECK(fixture.report_kinds() == std::vector{RKind::kFlushFailed});
  fixture.flaky[0]->fail_flush = false;
  fixture.run(0);
  fixture.clock.advance(10s);
  fixture.flaky[0]->fail_flush = true;
  fixture.run(0);
  CHECK(fixture.reports.size() == 2);
}

TEST_CASE("a sink reopens before the next batch", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{}}));
  fixture.emit(0, 1);
  fixture.producer->flush();
  fixture.state(0).reopen_wanted.store(true);
  fixture.core->worker(0).step();
  CHECK(fixture.captures[0]->seen().reopens == 1);
  fixture.run(0);
  CHECK(fixture.captures[0]->seen().reopens == 1);
  CHECK(fixture.captures[0]->numbers() == numbers(0, 1));
}

TEST_CASE("a sink that waits to try again reopens and tries at once", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{Answer::retry_later(0, "no room")}}));
  fixture.emit(0, 1);
  fixture.producer->flush();
  fixture.run(0);
  CHECK(fixture.captures[0]->count() == 0);
  fixture.state(0).reopen_wanted.store(true);
  fixture.run(0);
  CHECK(fixture.captures[0]->seen().reopens == 1);
  CHECK(fixture.captures[0]->numbers() == numbers(0, 1));
}

TEST_CASE("a reopening that fails is told", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{}}));
  fixture.flaky[0]->fail_reopen = true;
  fixture.state(0).reopen_wanted.store(true);
  fixture.run(0);
  REQUIRE(fixture.report_kinds() == std::vector{RKind::kReopenFailed});
  CHECK(fixture.reports[0].why == "open: no such thing");
}

TEST_CASE("when stopping, a worker delivers what is queued, flushes, and is done", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{}}));
  fixture.emit(0, 1000);
  fixture.producer->finish();
  fixture.core->run().stopping.store(true);
  CHECK(fixture.run(0).kind == Kind::kDone);
  CHECK(fixture.captures[0]->numbers() == numbers(0, 1000));
  CHECK(fixture.captures[0]->seen().flushes == 1);
}

TEST_CASE("when stopping, a sink in trouble is tried at once and then goes on trying", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({testing::FlakySink::Script(6, Answer::retry_later(0, "no"))}));
  fixture.emit(0, 3);
  fixture.producer->flush();
  for (int attempt = 0; attempt < 4; ++attempt) fixture.clock.advance(fixture.run(0).limit.value());
  const auto before = fixture.state(0).retried.value();
  fixture.run(0);
  fixture.producer->finish();
  fixture.core->run().stopping.store(true);
  const Turn next = fixture.run(0);
  CHECK(fixture.state(0).retried.value() == before + 2);
  REQUIRE(next.kind == Kind::kSleep);
  CHECK(*next.limit <= 100ms);
  fixture.clock.advance(*next.limit);
  CHECK(fixture.run(0).kind == Kind::kDone);
  CHECK(fixture.captures[0]->numbers() == numbers(0, 3));
}

TEST_CASE("an abandoned worker is done, whatever waits", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{}}));
  fixture.emit(0, 3);
  fixture.producer->flush();
  fixture.core->run().abandoned.store(true);
  CHECK(fixture.run(0).kind == Kind::kDone);
  CHECK(fixture.state(0).queued() == 3);
}

TEST_CASE("a sink that comes back after it was abandoned is told about no more", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{Answer::retry_later(1, "no room"), Answer::retry_later(0, "no room")}}));
  fixture.emit(0, 3);
  fixture.producer->flush();
  fixture.core->worker(0).step();
  fixture.flaky[0]->on_deliver = [&] { fixture.core->run().abandoned.store(true); };
  CHECK(fixture.run(0).kind == Kind::kDone);
  CHECK(fixture.reports.empty());
  CHECK(fixture.state(0).queued() == 2);
}
