// What a worker does: deliver and try again, flush when idle, reopen when asked, and end.

#include "delivery/delivery_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;
using Kind = Turn::Kind;
using RKind = Report::Kind;

TEST_CASE("a worker delivers what was flushed, in order, and then sleeps until it is time to flush",
          "[delivery][worker]") {
  MemoryRig rig(sinks({{}}));
  rig.emit(0, 3);
  CHECK(rig.run(0).kind == Kind::kSleep);
  CHECK(rig.captures[0]->count() == 0);
  rig.producer->flush();
  const Turn next = rig.feed(3, 1000);
  CHECK(rig.delivered(0) == numbers(0, 1000));
  CHECK(next.depth == Notifier::Sleep::kLight);
  CHECK(next.limit == std::chrono::nanoseconds(1s));
  CHECK(rig.status(0).delivered == 1000);
  CHECK(rig.status(0).waiting == 0);
  CHECK(rig.reports.empty());
}

TEST_CASE("a sink that takes nothing is tried again later and later, and gets the rest in order",
          "[delivery][worker]") {
  MemoryRig rig(
      sinks({{Answer::retry_later(0, "write x: no room"), Answer::retry_later(0, "write x: no room"),
              Answer::retry_later(0, "write x: still none")}}));
  rig.write(0, 10);

  std::chrono::nanoseconds step = 100ms;
  std::chrono::nanoseconds total{};
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Turn next = rig.run(0);
    REQUIRE(next.kind == Kind::kSleep);
    CHECK(next.depth == Notifier::Sleep::kDeep);
    REQUIRE(next.limit.has_value());
    CHECK(*next.limit >= step / 2);
    CHECK(*next.limit <= step);
    CHECK(rig.captures[0]->count() == 0);
    CHECK(rig.status(0).in_trouble);
    rig.clock.advance(*next.limit - 1ns);
    CHECK(rig.run(0).limit == 1ns);  // not a moment too early
    rig.clock.advance(1ns);
    total += *next.limit;
    step *= 2;
  }
  rig.run(0);
  CHECK(rig.delivered(0) == numbers(0, 10));
  CHECK(rig.status(0).retried == 3);
  CHECK_FALSE(rig.status(0).in_trouble);

  REQUIRE(rig.report_kinds() == std::vector{RKind::kTrouble, RKind::kTroubleOver});
  CHECK(rig.report_sinks == std::vector<std::string>{"a", "a"});
  CHECK(rig.reports[0].why == "write x: no room");
  CHECK(rig.reports[1].lasted == total);
  CHECK(rig.reports[1].retries == 3);
  CHECK(rig.status(0).message == "write x: still none");
}

TEST_CASE("the time between tries does not grow beyond its limit", "[delivery][worker]") {
  MemoryRig rig(sinks({testing::FlakySink::Script(20, Answer::retry_later(0, "no"))}));
  rig.write(0, 1);
  std::chrono::nanoseconds longest{};
  for (int attempt = 0; attempt < 20; ++attempt) {
    const Turn next = rig.run(0);
    longest = std::max(longest, *next.limit);
    rig.clock.advance(*next.limit);
  }
  CHECK(longest <= 5s);
  CHECK(longest > 2500ms);
}

TEST_CASE("a sink that took a part is offered the rest at once, and that is no trouble",
          "[delivery][worker]") {
  MemoryRig rig(sinks({{Answer::retry_later(3, "full"), Answer::retry_later(2, "full")}}));
  const Turn next = rig.feed(0, 10);
  CHECK(rig.delivered(0) == numbers(0, 10));
  CHECK(rig.captures[0]->seen().batches == std::vector<std::size_t>{3, 2, 5});
  CHECK(next.depth == Notifier::Sleep::kLight);
  CHECK(rig.reports.empty());
}

TEST_CASE("a record that is rejected is counted, told and skipped alone", "[delivery][worker]") {
  MemoryRig rig(sinks({{Answer::rejected(2, "too large"), Answer::rejected(0, "too odd")}}));
  rig.feed(0, 6);
  CHECK(rig.delivered(0) == std::vector<std::uint32_t>{0, 1, 4, 5});
  CHECK(rig.status(0).rejected == 2);
  CHECK(rig.status(0).delivered == 4);
  CHECK(rig.status(0).waiting == 0);
  REQUIRE(rig.report_kinds() == std::vector{RKind::kRejected});
  CHECK(rig.reports[0].why == "too large");
  CHECK(rig.reports[0].records == 1);
  rig.run_after(1s);
  REQUIRE(rig.report_kinds() == std::vector{RKind::kRejected, RKind::kRejected});
  CHECK(rig.reports[1].why == "too odd");
}

TEST_CASE("a notice beside a delivery is told, and the records count as delivered", "[delivery][worker]") {
  Answer answer = Answer::delivered(0);
  answer.why = "rename: Permission denied";
  MemoryRig rig(sinks({{answer}}));
  rig.feed(0, 5);
  CHECK(rig.status(0).delivered == 5);
  REQUIRE(rig.report_kinds() == std::vector{RKind::kNotice});
  CHECK(rig.reports[0].why == "rename: Permission denied");
}

TEST_CASE("an idle sink is flushed once after a second, and then every ten", "[delivery][worker]") {
  MemoryRig rig(sinks({{}}));
  const auto flushes = [&] { return rig.captures[0]->seen().flushes; };
  CHECK(rig.run(0).limit == std::chrono::nanoseconds(1s));
  rig.run_after(999ms);
  CHECK(flushes() == 0);
  rig.clock.advance(1ms);
  CHECK(rig.run(0).limit == std::chrono::nanoseconds(10s));
  CHECK(flushes() == 1);
  rig.run_after(9s);
  CHECK(flushes() == 1);
  rig.run_after(1s);
  CHECK(flushes() == 2);

  rig.emit(0, 1);  // busy again: the second begins anew
  rig.producer->flush();
  CHECK(rig.run(0).limit == std::chrono::nanoseconds(1s));
}

TEST_CASE("a flush that fails is told when it begins to, not each time", "[delivery][worker]") {
  MemoryRig rig(sinks({{}}));
  rig.flaky[0]->fail_flush = true;
  for (int round = 0; round < 5; ++round) {
    rig.run(0);
    rig.clock.advance(10s);
  }
  CHECK(rig.report_kinds() == std::vector{RKind::kFlushFailed});
  rig.flaky[0]->fail_flush = false;
  rig.run(0);
  rig.clock.advance(10s);
  rig.flaky[0]->fail_flush = true;
  rig.run(0);
  CHECK(rig.reports.size() == 2);
}

TEST_CASE("a sink reopens before the next batch", "[delivery][worker]") {
  MemoryRig rig(sinks({{}}));
  rig.write(0, 1);
  rig.core->request_reopen();
  rig.step(0);
  CHECK(rig.captures[0]->seen().reopens == 1);
  rig.run(0);
  CHECK(rig.captures[0]->seen().reopens == 1);
  CHECK(rig.delivered(0) == numbers(0, 1));
}

TEST_CASE("a sink that waits to try again reopens and tries at once", "[delivery][worker]") {
  MemoryRig rig(sinks({{Answer::retry_later(0, "no room")}}));
  rig.feed(0, 1);
  CHECK(rig.captures[0]->count() == 0);
  rig.core->request_reopen();
  rig.run(0);
  CHECK(rig.captures[0]->seen().reopens == 1);
  CHECK(rig.delivered(0) == numbers(0, 1));
}

TEST_CASE("a reopening that fails is told", "[delivery][worker]") {
  MemoryRig rig(sinks({{}}));
  rig.flaky[0]->fail_reopen = true;
  rig.core->request_reopen();
  rig.run(0);
  REQUIRE(rig.report_kinds() == std::vector{RKind::kReopenFailed});
  CHECK(rig.reports[0].why == "open: no such thing");
}

TEST_CASE("when stopping, a worker delivers what is queued, flushes, and is done", "[delivery][worker]") {
  MemoryRig rig(sinks({{}}));
  rig.emit(0, 1000);
  rig.stop();
  CHECK(rig.run(0).kind == Kind::kDone);
  CHECK(rig.delivered(0) == numbers(0, 1000));
  CHECK(rig.captures[0]->seen().flushes == 1);
}

TEST_CASE("when stopping, a sink in trouble is tried at once and then goes on trying", "[delivery][worker]") {
  MemoryRig rig(sinks({testing::FlakySink::Script(6, Answer::retry_later(0, "no"))}));
  rig.write(0, 3);
  for (int attempt = 0; attempt < 4; ++attempt) rig.clock.advance(rig.run(0).limit.value());
  const auto before = rig.status(0).retried;
  rig.run(0);
  rig.stop();
  const Turn next = rig.run(0);
  CHECK(rig.status(0).retried == before + 2);
  REQUIRE(next.kind == Kind::kSleep);
  CHECK(*next.limit <= 100ms);
  rig.clock.advance(*next.limit);
  CHECK(rig.run(0).kind == Kind::kDone);
  CHECK(rig.delivered(0) == numbers(0, 3));
}

TEST_CASE("an abandoned worker is done, whatever waits", "[delivery][worker]") {
  MemoryRig rig(sinks({{}}));
  rig.write(0, 3);
  rig.core->abandon();
  CHECK(rig.run(0).kind == Kind::kDone);
  CHECK(rig.status(0).waiting == 3);
}

TEST_CASE("a sink that comes back after it was abandoned is told about no more", "[delivery][worker]") {
  MemoryRig rig(sinks({{Answer::retry_later(1, "no room"), Answer::retry_later(0, "no room")}}));
  rig.write(0, 3);
  rig.step(0);
  rig.flaky[0]->on_deliver = [&] { rig.core->abandon(); };
  CHECK(rig.run(0).kind == Kind::kDone);
  CHECK(rig.reports.empty());
  CHECK(rig.status(0).waiting == 2);
}
