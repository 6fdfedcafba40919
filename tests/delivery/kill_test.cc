// Delivery through a ledger is killed at any step, again and again, and nothing that the ledger holds is
// missing anywhere.
#include <map>
#include <random>

#include "delivery/delivery_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;

namespace {

constexpr std::size_t kBatch = 20;

class Chance {
 public:
  explicit Chance(std::uint32_t seed) : random_(seed) {}
  std::uint32_t below(std::uint32_t limit) {
    return std::uniform_int_distribution<std::uint32_t>(0, limit - 1)(random_);
  }

 private:
  std::mt19937 random_;
};

FlakySink::Script random_script(Chance& chance) {
  FlakySink::Script script;
  for (int i = 0; i < 30; ++i) {
    const std::size_t part = chance.below(3);
    switch (chance.below(8)) {
      case 0:
        script.push_back(Answer::retry_later(part, "busy"));
        break;
      case 1:
        script.push_back(Answer::throttled(part, TargetCode::kWriteQuotaExceed, "429", 1s));
        break;
      case 2:
        script.push_back(Answer::target_failed(part, TargetCode::kProjectForbidden, "403"));
        break;
      default:
        script.push_back(Answer::delivered(0));
    }
  }
  return script;
}

}  // namespace

TEST_CASE("killed at any step: all that is in the ledger is delivered, in order, and little twice",
          "[delivery][kill]") {
  const auto seed = GENERATE(range(1U, 41U));
  CAPTURE(seed);
  Chance chance(seed);
  const BatchLimits limits{.records = kBatch, .linger = seed % 2 == 0 ? 0ms : 500ms};
  LedgerRig fixture(sinks({random_script(chance), random_script(chance)}), testing::batches_of(limits));
  fixture.kill();
  fixture.ledger_settings.sync_interval = 1s;  // so that records are in memory when it is killed
  fixture.build({random_script(chance), random_script(chance)});
  std::uint32_t next = 0;
  std::vector<std::size_t> starts[2] = {{0}, {0}};  // where each life begins in what was delivered
  for (int step = 0; step < 600; ++step) {
    switch (chance.below(12)) {
      case 0:
      case 1:
      case 2: {
        const std::uint32_t count = 1 + chance.below(30);
        fixture.emit(next, next + count);
        next += count;
        fixture.producer->flush();
        break;
      }
      case 3:
        fixture.step(2);
        break;
      case 4:
        fixture.clock.advance(chance.below(10) == 0 ? 6min : 300ms);
        break;
      case 5:
        if (chance.below(4) != 0) break;
        fixture.restart({random_script(chance), random_script(chance)});
        for (std::size_t sink = 0; sink < 2; ++sink) starts[sink].push_back(fixture.captures[sink]->count());
        break;
      case 6:
        if (chance.below(10) == 0) REQUIRE(fixture.core->set_enabled("a", chance.below(2) == 0));
        break;
      default:
        fixture.step(chance.below(2));
    }
  }
  fixture.restart();
  for (std::size_t sink = 0; sink < 2; ++sink) starts[sink].push_back(fixture.captures[sink]->count());
  fixture.run_writer();
  REQUIRE(fixture.core->set_enabled("a", true));
  for (int i = 0; i < 3; ++i) {
    fixture.run(0);
    fixture.run(1);
    fixture.clock.advance(1s);
  }

  // What was only in memory is lost with the process; the ledger decides what there is.
  const std::vector<std::uint32_t> all = fixture.numbers_in_ledger();
  REQUIRE_FALSE(all.empty());
  std::map<std::uint32_t, std::size_t> place;
  for (std::size_t i = 0; i < all.size(); ++i) place[all[i]] = i;
  for (std::size_t sink = 0; sink < 2; ++sink) {
    const auto delivered = fixture.delivered(sink);
    std::size_t expected = 0;
    std::size_t life = 1;
    for (std::size_t i = 0; i < delivered.size(); ++i) {
      while (life < starts[sink].size() && starts[sink][life] == i) {
        const std::size_t at = place.at(delivered[i]);
        REQUIRE(at <= expected);
        REQUIRE(expected - at <= kBatch);
        expected = at;
        ++life;
      }
      CAPTURE(i, sink, life, starts[sink], expected, delivered.size());
      REQUIRE(delivered[i] == all.at(expected));
      ++expected;
    }
    CHECK(expected == all.size());
    CHECK(fixture.cursor(sink) == all.size());
  }
}
