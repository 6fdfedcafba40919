// A destination that knows a batch again by its name gets what it did not acknowledge in the same batches.
#include <chrono>

#include "delivery/delivery_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;

namespace {

using Named = FlakySink::Named;

constexpr BatchLimits kHundred{.records = 100, .linger = 10s};

template <typename Rig>
class Knowing : public Rig {
 public:
  explicit Knowing(FlakySink::Script script, const BatchLimits& limits = kHundred)
      : Rig(sinks({std::move(script)}), batches_of(limits)) {
    listen();
  }
  void listen() { this->flaky[0]->names = names_; }
  void live_again(FlakySink::Script script = {}) {
    this->restart({std::move(script)});
    listen();
  }
  const std::vector<Named>& offered() const { return *names_; }

 private:
  std::shared_ptr<std::vector<Named>> names_ = std::make_shared<std::vector<Named>>();
};

Answer lost() {
  return Answer::retry_later(0, "the answer was lost");
}

}  // namespace

TEST_CASE_OF_BOTH_LOGS("a batch that was not acknowledged comes again as it was, though more has come since",
                       "[delivery][batch]") {
  Knowing<TestType> world({lost(), lost()});
  world.feed(0, 30);
  world.run_after(10s);
  REQUIRE(world.offered().size() == 1);
  world.feed(30, 60);
  world.run_after(1s);
  world.run_after(10s);
  REQUIRE(world.offered().size() >= 3);
  CHECK(world.offered()[0] == Named{0, numbers(0, 30)});
  CHECK(world.offered()[1] == world.offered()[0]);
  CHECK(world.offered()[2] == world.offered()[0]);
  world.run_after(10s);
  CHECK(world.offered().back() == Named{30, numbers(30, 60)});
}

TEST_CASE_OF_BOTH_LOGS("what is left of a batch ends where the batch did", "[delivery][batch]") {
  Knowing<TestType> world({Answer::retry_later(10, "busy"), lost()});
  world.feed(0, 30);
  world.run_after(10s);
  world.feed(30, 60);
  world.run_after(10s);
  REQUIRE(world.offered().size() >= 3);
  CHECK(world.offered()[1] == Named{10, numbers(10, 30)});
  CHECK(world.offered()[2] == world.offered()[1]);
}

TEST_CASE_OF_BOTH_LOGS("full batches end at multiples of their size, wherever they begin",
                       "[delivery][batch]") {
  Knowing<TestType> world({});
  world.feed(0, 30);
  world.run_after(10s);
  world.feed(30, 250);
  world.run_after(10s);
  CHECK(world.offered() ==
        std::vector<Named>{
            {0, numbers(0, 30)}, {30, numbers(30, 100)}, {100, numbers(100, 200)}, {200, numbers(200, 250)}});
}

TEST_CASE("after a kill a batch whose answer was lost comes again as it was", "[delivery][batch][kill]") {
  const auto linger = GENERATE(0s, 10s);
  Knowing<LedgerRig> world({Answer::delivered(0), lost()}, {.records = 100, .linger = linger});
  world.feed(0, 20);
  world.run_after(linger);
  world.feed(20, 50);
  world.run_after(linger);
  REQUIRE(world.offered().size() == 2);
  CHECK(world.offered()[1] == Named{20, numbers(20, 50)});
  world.write(50, 300);
  world.live_again();
  world.run(0);
  REQUIRE(world.offered().size() >= 3);
  CHECK(world.offered()[2] == world.offered()[1]);
  CHECK(world.offered()[3] == Named{50, numbers(50, 100)});
  CHECK(world.offered()[4] == Named{100, numbers(100, 200)});
}

TEST_CASE("after a kill a full batch whose answer was lost comes again as it was",
          "[delivery][batch][kill]") {
  Knowing<LedgerRig> world({Answer::delivered(0), lost()});
  world.feed(0, 150);
  REQUIRE(world.offered().size() == 2 - 1);
  world.write(150, 250);
  world.run(0);
  REQUIRE(world.offered().size() == 2);
  CHECK(world.offered()[1] == Named{100, numbers(100, 200)});
  world.live_again();
  world.run(0);
  CHECK(world.offered()[2] == world.offered()[1]);
}

TEST_CASE("a destination that knows no batch gets what there is", "[delivery][batch]") {
  LedgerRig world(sinks({{}}), batches_of(kHundred));
  world.feed(0, 30);
  world.run_after(10s);
  world.feed(30, 140);
  CHECK(world.delivered(0).size() == 130);
}
