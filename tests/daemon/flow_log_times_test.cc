#include "flow_log_times.h"

#include <catch2/catch.hpp>

#include "support/temp_dir.h"

namespace natsession::testing {
namespace {

using namespace std::chrono_literals;
using Times = std::vector<FlowLogTimes>;

UnixMs second(std::int64_t seconds) {
  return UnixMs(std::chrono::seconds(seconds));
}

TEST_CASE("a flow log is off from the start that does not have it to the one that has it again",
          "[daemon][flow_log_times]") {
  Times known = times_after_start({}, {"edge", "all"}, second(100), second(0));
  CHECK(known == Times{{"edge", {}, false}, {"all", {}, false}});
  known = times_after_start(known, {"all"}, second(200), second(0));
  CHECK(known[0] == FlowLogTimes{"edge", {{second(200), second(200)}}, true});
  known = times_after_start(known, {"all"}, second(300), second(0));
  CHECK(known[0].off.size() == 1);
  known = times_after_start(known, {"edge", "all"}, second(400), second(0));
  CHECK(known[0] == FlowLogTimes{"edge", {{second(200), second(400)}}, false});
  CHECK(known[1] == FlowLogTimes{"all", {}, false});
  CHECK(parse_times(text_of_times(known)) == known);
  known = times_after_start(known, {"all"}, second(500), second(0));
  CHECK(known[0].off.size() == 2);
  CHECK(parse_times(text_of_times(known)) == known);
}

TEST_CASE("what is older than the ledger is forgotten, and there is a limit", "[daemon][flow_log_times]") {
  Times known = times_after_start({}, {"edge"}, second(1), second(0));
  for (std::int64_t i = 1; i < 200; ++i) {
    known = times_after_start(known, {}, second(10 * i), second(0));
    known = times_after_start(known, {"edge"}, second(10 * i + 5), second(0));
  }
  CHECK(known[0].off.size() == 64);
  CHECK(known[0].off.front().from == second(10));
  CHECK(known[0].off.back() == TimeOff{second(1990), second(1995)});
  known = times_after_start(known, {"edge"}, second(3000), second(1990));
  CHECK(known[0].off == std::vector<TimeOff>{{second(1990), second(1995)}});
  known = times_after_start(known, {}, second(3000), second(1990));
  CHECK(times_after_start(known, {}, second(5000), second(4000)).empty());
}

TEST_CASE("of a damaged file of times the lines that can be read are taken", "[daemon][flow_log_times]") {
  const std::string text = "edge\t1000\t2000\t3000\t-\nall\n";
  const Times whole = parse_times(text);
  REQUIRE(whole.size() == 2);
  CHECK(text_of_times(whole) == text);
  CHECK(parse_times("edge\t5\nedge\t9\t8\nedge\t1\t-\t2\t3\n\n\t\nx\ty\tz\nall\n") ==
        Times{{"all", {}, false}});
  for (std::size_t cut = 0; cut < text.size(); ++cut) (void)parse_times(text.substr(0, cut));
}

TEST_CASE("times are kept in the ledger's folder from one start to the next", "[daemon][flow_log_times]") {
  const TempDir folder;
  Config config;
  config.ledger = folder.path().string();
  auto log = FlowLogConfig::parse(
      R"({name = "edge", resource = "eth1", record = "aws", destination = "file:/var/log/edge"})");
  REQUIRE(log);
  config.flow_logs = {*log};
  const UnixMs now = second(1'800'000'000);
  REQUIRE(note_flow_logs(config, now));
  config.flow_logs[0].on = false;
  REQUIRE(note_flow_logs(config, now + 1h));
  config.flow_logs[0].on = true;
  const auto known = note_flow_logs(config, now + 3h);
  REQUIRE(known);
  CHECK(*known == Times{{"edge", {{now + 1h, now + 3h}}, false}});
}

}  // namespace
}  // namespace natsession::testing
