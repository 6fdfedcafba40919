#include "delivery/sink_worker.h"

#include <catch2/catch.hpp>

#include "delivery/delivery_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::DeliveryFixture;
using natsession::testing::numbers;
using natsession::testing::sinks;
using Kind = Turn::Kind;
using RKind = Report::Kind;

TEST_CASE("a worker delivers what was flushed, in order, and then sleeps until it is time to flush",
          "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{}}));
  fixture.emit(0, 3);
  CHECK(fixture.run(0).kind == Kind::kSleep);
  CHECK(fixture.captures[0]->count() == 0);
  fixture.producer->flush();
  fixture.emit(3, 1000);
  fixture.producer->flush();
  const Turn next = fixture.run(0);
  CHECK(fixture.captures[0]->numbers() == numbers(0, 1000));
  CHECK(next.depth == Doorbell::Sleep::kLight);
  CHECK(next.limit == std::chrono::nanoseconds(1s));
  CHECK(fixture.state(0).delivered.value() == 1000);
  CHECK(fixture.state(0).queued() == 0);
  CHECK(fixture.reports.empty());
}

TEST_CASE("a sink that takes nothing is tried again later and later, and gets the rest in order",
          "[delivery][worker]") {
  DeliveryFixture fixture(
      sinks({{Answer::retry_later(0, "write x: no room"), Answer::retry_later(0, "write x: no room"),
              Answer::retry_later(0, "write x: still none")}}));
  fixture.emit(0, 10);
  fixture.producer->flush();

  std::chrono::nanoseconds step = 100ms;
  std::chrono::nanoseconds total{};
  for (int attempt = 0; attempt < 3; ++attempt) {
    const Turn next = fixture.run(0);
    REQUIRE(next.kind == Kind::kSleep);
    CHECK(next.depth == Doorbell::Sleep::kDeep);
    REQUIRE(next.limit.has_value());
    CHECK(*next.limit >= step / 2);
    CHECK(*next.limit <= step);
    CHECK(fixture.captures[0]->count() == 0);
    CHECK(fixture.state(0).in_trouble.load());
    fixture.clock.advance(*next.limit - 1ns);
    CHECK(fixture.run(0).limit == 1ns);  // not a moment too early
    fixture.clock.advance(1ns);
    total += *next.limit;
    step *= 2;
  }
  fixture.run(0);
  CHECK(fixture.captures[0]->numbers() == numbers(0, 10));
  CHECK(fixture.state(0).retried.value() == 3);
  CHECK_FALSE(fixture.state(0).in_trouble.load());

  REQUIRE(fixture.report_kinds() == std::vector{RKind::kTrouble, RKind::kTroubleOver});
  CHECK(fixture.report_sinks == std::vector<std::string>{"a", "a"});
  CHECK(fixture.reports[0].why == "write x: no room");
  CHECK(fixture.reports[1].lasted == total);
  CHECK(fixture.reports[1].retries == 3);
  CHECK(fixture.status(0).message == "write x: still none");
}

TEST_CASE("the time between tries does not grow beyond its limit", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({testing::FlakySink::Script(20, Answer::retry_later(0, "no"))}));
  fixture.emit(0, 1);
  fixture.producer->flush();
  std::chrono::nanoseconds longest{};
  for (int attempt = 0; attempt < 20; ++attempt) {
    const Turn next = fixture.run(0);
    longest = std::max(longest, *next.limit);
    fixture.clock.advance(*next.limit);
  }
  CHECK(longest <= 5s);
  CHECK(longest > 2500ms);
}

TEST_CASE("a sink that took a part is offered the rest at once, and that is no trouble",
          "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{Answer::retry_later(3, "full"), Answer::retry_later(2, "full")}}));
  fixture.emit(0, 10);
  fixture.producer->flush();
  const Turn next = fixture.run(0);
  CHECK(fixture.captures[0]->numbers() == numbers(0, 10));
  CHECK(fixture.captures[0]->seen().batches == std::vector<std::size_t>{3, 2, 5});
  CHECK(next.depth == Doorbell::Sleep::kLight);
  CHECK(fixture.reports.empty());
}

TEST_CASE("the rest of one producer's batch goes before the other producer's records", "[delivery][worker]") {
  testing::FlakySink::Script script{Answer::retry_later(1, "full")};
  const bool in_trouble = GENERATE(false, true);
  if (in_trouble) script.push_back(Answer::retry_later(0, "full"));
  DeliveryFixture fixture(sinks({script}));
  Producer& other = fixture.core->add_producer();
  fixture.emit(0, 3);
  fixture.producer->flush();
  other.emit(testing::numbered_record(100));
  other.flush();
  fixture.run(0);
  fixture.clock.advance(1s);
  fixture.run(0);
  CHECK(fixture.captures[0]->numbers() == std::vector<std::uint32_t>{0, 1, 2, 100});
}

TEST_CASE("producers are served in turn", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{}}));
  Producer& other = fixture.core->add_producer();
  fixture.emit(0, 1024);
  for (std::uint32_t number = 5000; number < 6024; ++number) other.emit(testing::numbered_record(number));
  fixture.run(0);
  const auto got = fixture.captures[0]->numbers();
  REQUIRE(got.size() == 2048);
  CHECK(got[0] == 0);
  CHECK(got[512] == 5000);
  CHECK(got[1024] == 512);
  CHECK(got[1536] == 5512);
}

TEST_CASE("a record that is rejected is counted, told and skipped alone", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{Answer::rejected(2, "too large"), Answer::rejected(0, "too odd")}}));
  fixture.emit(0, 6);
  fixture.producer->flush();
  fixture.run(0);
  CHECK(fixture.captures[0]->numbers() == std::vector<std::uint32_t>{0, 1, 4, 5});
  CHECK(fixture.state(0).rejected.value() == 2);
  CHECK(fixture.state(0).delivered.value() == 4);
  CHECK(fixture.state(0).queued() == 0);
  REQUIRE(fixture.report_kinds() == std::vector{RKind::kRejected});
  CHECK(fixture.reports[0].why == "too large");
  CHECK(fixture.reports[0].records == 1);
  fixture.clock.advance(1s);
  fixture.run(0);
  REQUIRE(fixture.report_kinds() == std::vector{RKind::kRejected, RKind::kRejected});
  CHECK(fixture.reports[1].why == "too odd");
}

TEST_CASE("a closed sink is told once, and what comes for it is counted as dropped", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{Answer::closed(2, "write stdout: Broken pipe")}, {}}));
  fixture.emit(0, 600);
  fixture.producer->flush();
  fixture.run(0);
  CHECK(fixture.closings == std::vector<std::string>{"a: write stdout: Broken pipe"});
  CHECK(fixture.captures[0]->numbers() == numbers(0, 2));
  fixture.emit(600, 2000);
  fixture.producer->flush();
  fixture.run(0);
  fixture.run(1);
  CHECK(fixture.closings.size() == 1);
  CHECK(fixture.state(0).queued() == 0);
  CHECK(fixture.state(0).dropped() == 1998);
  CHECK(fixture.captures[1]->numbers() == numbers(0, 2000));
  CHECK(fixture.producer->has_room());
}

TEST_CASE("there is no room once every sink is closed", "[delivery][worker]") {
  DeliveryFixture fixture(sinks({{Answer::closed(0, "gone")}}));
  fixture.emit(0, 1);
  fixture.producer->flush();
  fixture.run(0);
  CHECK_FALSE(fixture.producer->has_room());
}

TEST_CASE("a notice beside a delivery is told, and the records count as delivered", "[delivery][worker]") {
  Answer answer = Answer::delivered(0);
  answer.why = "rename: Permission denied";
  DeliveryFixture fixture(sinks({{answer}}));
  fixture.emit(0, 5);
  fixture.producer->flush();
  fixture.run(0);
  CHECK(fixture.state(0).delivered.value() == 5);
  REQUIRE(fixture.report_kinds() == std::vector{RKind::kNotice});
  CHECK(fixture.reports[0].why == "rename: Permission denied");
}
