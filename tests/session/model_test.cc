// A model of the kernel makes random flows, traffic, ends and dumps; whatever the order, each session ends
// once, its records add up to its counters, and it has one a day.
#include <map>
#include <random>

#include <catch2/catch.hpp>

#include "session/collector.h"
#include "support/manual_clock.h"
#include "support/scripted_source.h"
#include "support/tracker_fixture.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: a test's language
using namespace std::chrono_literals;

struct ModelFlow {
  Flow flow;
  UnixMs start;
  Counters original;
  Counters reply;
};

class KernelModel {
 public:
  // `longest` passes between two things that happen, at most.
  KernelModel(ScriptedSource& source, ManualClock& clock, std::uint32_t seed,
              std::chrono::milliseconds longest)
      : source_(source), clock_(clock), random_(seed), longest_(longest) {
    source_.live_dumps = true;
    source_.table.resize(kBusy + kQuiet);
    source_.on_dump_part = [this](std::size_t) { act(); };
  }

  // One thing happens: a flow begins, moves traffic or ends. Ports come from a small range, so keys are
  // reused; some of them sleep most of the time.
  void act() {
    clock_.advance(std::chrono::milliseconds(random_() % static_cast<std::uint32_t>(longest_.count()) + 1));
    const auto port =
        static_cast<std::uint16_t>(random_() % 50 == 0 ? kBusy + random_() % kQuiet : random_() % kBusy);
    const auto found = live_.find(port);
    if (found == live_.end()) {
      begin(port);
    } else if (random_() % 3 == 0) {
      end(port);
    } else {
      found->second.original.packets += 1;
      found->second.original.bytes += random_() % 1500;
      found->second.reply.packets += 2;
      found->second.reply.bytes += random_() % 3000;
      show(port);
    }
  }

  // From here on nothing happens by itself.
  void end_all() {
    source_.on_dump_part = {};
    while (!live_.empty()) end(live_.begin()->first);
  }

  // By session_start and port: what the kernel counted.
  std::map<std::pair<UnixMs, std::uint16_t>, std::pair<Counters, Counters>> ended;

 private:
  static constexpr std::uint16_t kBusy = 24;
  static constexpr std::uint16_t kQuiet = 8;

  ConntrackEvent stamped(const ModelFlow& one, EventType type) {
    Flow copy = one.flow;
    copy.traffic(one.original, one.reply).stamped(UnixNs(one.start.time_since_epoch()));
    return type == EventType::kDestroy ? copy.destroyed(clock_.now()) : copy.dumped();
  }

  void begin(std::uint16_t port) {
    ModelFlow one{
        flow().from("10.0.0.2", port).nat("203.0.113.1", port), to_ms(clock_.now()), {1, 60}, {0, 0}};
    source_.queue.push_back(one.flow.created());
    live_.emplace(port, one);
    show(port);
  }

  void end(std::uint16_t port) {
    const ModelFlow& one = live_.at(port);
    source_.queue.push_back(stamped(one, EventType::kDestroy));
    ended[{one.start, port}] = {one.original, one.reply};
    live_.erase(port);
    source_.table[port] = {};
  }

  void show(std::uint16_t port) { source_.table[port] = stamped(live_.at(port), EventType::kUpdate); }

  ScriptedSource& source_;
  ManualClock& clock_;
  std::mt19937 random_;
  std::chrono::milliseconds longest_;
  std::map<std::uint16_t, ModelFlow> live_;
};

TEST_CASE("whatever the order of events, traffic and dumps, each session ends once and its records add up",
          "[session][model]") {
  const auto seed = GENERATE(range(1U, 41U));
  INFO("seed " << seed);
  const std::chrono::milliseconds window = GENERATE(1000ms, 18000000ms);
  TrackerFixture f(RecordMode::kWindow, 1000, window);
  ManualClock clock(at_ms(1'000'000));
  ScriptedSource source;
  Collector collector(source, f.tracker, f.output, clock, {.window = window});
  KernelModel kernel(source, clock, seed, window / 20);

  const auto run = [&] {
    for (int i = 0; i < 100'000; ++i) {
      const auto pace = collector.turn();
      REQUIRE(pace);
      if (*pace != Collector::Pace::kAtOnce) return;
    }
  };
  for (int step = 0; step < 2'000; ++step) {
    kernel.act();
    if (step % 3 == 0) run();
  }
  kernel.end_all();
  for (int i = 0; i < 4; ++i) run();

  struct Sums {
    std::uint64_t vpc_bytes = 0, vpc_packets = 0, pub_bytes = 0, pub_packets = 0;
    int ends = 0;
    std::uint32_t next_seq = 0;
    UnixMs last_end{};
  };
  std::map<std::pair<UnixMs, std::uint16_t>, Sums> logged;
  int idle = 0;
  for (const SessionRecord& r : f.take()) {
    REQUIRE(r.session_start.has_value());
    Sums& sums = logged[{*r.session_start, r.pri_port}];
    CHECK(r.seq == sums.next_seq++);
    CHECK(r.start_time <= r.end_time);
    CHECK(r.start_time >= window_of(r.end_time, window));
    CHECK(r.start_time >= sums.last_end);
    CHECK(r.end_time - std::max(sums.last_end, *r.session_start) <= std::chrono::hours(24));
    idle += r.event == RecordEvent::kInterim && r.pkts_from_vpc == Count(0) ? 1 : 0;
    CHECK(r.reason != RecordReason::kVanished);
    sums.last_end = r.end_time;
    sums.vpc_bytes += r.bytes_from_vpc.value();
    sums.vpc_packets += r.pkts_from_vpc.value();
    sums.pub_bytes += r.bytes_from_pub.value();
    sums.pub_packets += r.pkts_from_pub.value();
    if (r.event == RecordEvent::kEnd) ++sums.ends;
  }
  REQUIRE(logged.size() == kernel.ended.size());
  for (const auto& [key, counters] : kernel.ended) {
    const Sums& sums = logged[key];
    CHECK(sums.ends == 1);
    CHECK(sums.vpc_bytes == counters.first.bytes);
    CHECK(sums.vpc_packets == counters.first.packets);
    CHECK(sums.pub_bytes == counters.second.bytes);
    CHECK(sums.pub_packets == counters.second.packets);
  }
  CHECK(f.tracker.live() == 0);
  CHECK((idle > 0) == (window > std::chrono::hours(1)));
}

}  // namespace
}  // namespace natsession
