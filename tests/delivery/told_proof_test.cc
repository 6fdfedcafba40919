// A destination that keeps what is proved of its records is told that, never ahead of these.
#include <chrono>

#include "delivery/delivery_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;

namespace {

Coverage covered(UnixMs from, UnixMs until, const std::string& netns = {}) {
  return {netns, from, until, false, {7, 0, 0, 10min}};
}

// One sink, from the start of the ledger unless told otherwise.
class Proving : public LedgerRig {
 public:
  explicit Proving(FlakySink::Script script = {}, bool from_start = true)
      : LedgerRig(sinks({std::move(script)}), [from_start](std::size_t, SinkSpec& spec) {
          spec.batch = {.records = 10};
          spec.from_start = from_start;
        }) {
    listen();
  }
  void listen() { flaky[0]->proofs = proofs_; }
  void live_again() {
    restart();
    listen();
  }
  // Of all that was written so far.
  void prove(const Coverage& coverage) {
    producer->prove(coverage);
    core->want_proof();
    run_writer();
  }
  FlakySink::Proofs& proofs() { return *proofs_; }
  const std::vector<std::vector<Coverage>>& told() const { return proofs_->told; }

 private:
  std::shared_ptr<FlakySink::Proofs> proofs_ = std::make_shared<FlakySink::Proofs>();
};

}  // namespace

TEST_CASE("what is proved is told once the records that it rests on were delivered", "[delivery][proof]") {
  Proving world({Answer::retry_later(0, "away")});
  world.write(0, 5);
  world.prove(covered(at_second(0), at_second(100)));
  world.run(0);
  CHECK(world.delivered(0).empty());
  CHECK(world.told().empty());
  world.run_after(1s);
  CHECK(world.delivered(0) == numbers(0, 5));
  REQUIRE(world.told().size() == 1);
  CHECK(world.told()[0] == std::vector{covered(at_second(0), at_second(100))});
  CHECK(world.proofs().instance == "here");
  CHECK(world.proofs().stream != 0);
}

TEST_CASE("what is proved of records that a sink has not got waits, while others come", "[delivery][proof]") {
  Proving world;
  world.write(0, 5);
  world.run(0);
  world.write(5, 7);
  world.prove(covered(at_second(0), at_second(100)));
  world.write(7, 9);
  // Only a part of what is there.
  world.flaky[0]->on_deliver = [&] { CHECK(world.told().empty()); };
  world.run(0);
  world.flaky[0]->on_deliver = {};
  CHECK(world.delivered(0) == numbers(0, 9));
  REQUIRE(world.told().size() == 1);
}

TEST_CASE("nothing is told twice, and what goes on is told again", "[delivery][proof]") {
  Proving world;
  world.proofs().interval = 10s;
  world.write(0, 5);
  world.prove(covered(at_second(0), at_second(100)));
  world.run(0);
  world.run_after(2s);  // it looked before there was something
  REQUIRE(world.told().size() == 1);
  world.run_after(60s);
  CHECK(world.told().size() == 1);
  world.prove(covered(at_second(0), at_second(200)));
  world.run_after(2s);
  REQUIRE(world.told().size() == 2);
  CHECK(world.told()[1] == std::vector{covered(at_second(0), at_second(200))});
  SECTION("but not too often") {
    world.prove(covered(at_second(0), at_second(300)));
    world.run_after(9s);
    CHECK(world.told().size() == 2);
    world.run_after(1s);
    CHECK(world.told().size() == 3);
  }
  SECTION("and at a stop at once") {
    world.prove(covered(at_second(0), at_second(300)));
    world.stop();
    world.run(0);
    REQUIRE(world.told().size() == 3);
    CHECK(world.told()[2][0].until == at_second(300));
  }
}

TEST_CASE("behind a record that was rejected what is proved begins anew", "[delivery][proof]") {
  Proving world({{}, Answer::rejected(1, "bad")});
  world.write(0, 5);
  world.prove(covered(at_second(0), at_second(4)));
  world.run(0);
  world.write(5, 9);
  world.prove(covered(at_second(0), at_second(100)));
  world.run(0);
  CHECK(world.delivered(0).size() == 8);  // but for number 6, which ended at the second 7
  REQUIRE(world.told().size() == 2);
  CHECK(world.told()[0] == std::vector{covered(at_second(0), at_second(4))});
  const std::vector expected{covered(at_second(7) + 1ms, at_second(100))};
  CHECK(world.told()[1] == expected);
  SECTION("also after a kill") {
    world.live_again();
    world.run(0);
    REQUIRE(world.told().size() == 3);
    CHECK(world.told()[2] == expected);
  }
}

TEST_CASE("what a destination refused without saying which is not proved", "[delivery][proof]") {
  Answer partly = Answer::delivered(5);
  partly.lost = 1;
  Proving world({partly});
  world.write(0, 5);
  world.prove(covered(at_second(0), at_second(100)));
  world.run(0);
  REQUIRE(world.told().size() == 1);
  CHECK(world.told()[0][0].from == at_second(5) + 1ms);
}

TEST_CASE("a sink that is new proves nothing of the time before it", "[delivery][proof]") {
  Proving world({}, /*from_start=*/false);
  const UnixMs begun = to_ms(world.clock.now());
  world.write(0, 5);
  world.prove(covered(at_second(0), begun + 60s));
  world.run(0);
  REQUIRE(world.told().size() == 1);
  CHECK(world.told()[0] == std::vector{covered(begun, begun + 60s)});
  // Before it, there is nothing to tell.
  world.prove(covered(at_second(0), begun - 1s, "blue"));
  world.run_after(1s);
  CHECK(world.told().size() == 1);
}

TEST_CASE("what a run before proved is told by the next one, in the same stream", "[delivery][proof]") {
  Proving world({Answer::retry_later(0, "away")});
  world.write(0, 5);
  world.prove(covered(at_second(0), at_second(100)));
  world.run(0);
  const std::uint64_t stream = world.open_cursor(0).state()->stream;
  CHECK(stream != 0);
  world.live_again();
  world.run(0);
  REQUIRE(world.told().size() == 1);
  CHECK(world.told()[0] == std::vector{covered(at_second(0), at_second(100))});
  CHECK(world.proofs().stream == stream);
}

TEST_CASE("what cannot be kept is told of once, and tried again", "[delivery][proof]") {
  Proving world;
  world.proofs().refused = true;
  world.proofs().interval = 1s;
  world.write(0, 5);
  world.prove(covered(at_second(0), at_second(100)));
  for (int i = 0; i < 3; ++i) world.run_after(1s);
  CHECK(std::count(world.report_sinks.begin(), world.report_sinks.end(), "a") == 1);
  CHECK(world.delivered(0) == numbers(0, 5));
  world.proofs().refused = false;
  world.run_after(1s);
  CHECK(world.told().size() == 1);
}
