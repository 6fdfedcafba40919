// The dashboard and the alerts speak of metrics that there are. What promtool can judge, promtool.sh asks it.
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "control/golden.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: the tests' own language

std::string packaged(const std::string& name) {
  std::ifstream file(std::string(NATSESSION_PACKAGING) + "/" + name);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::set<std::string> all_matches(const std::string& text, const std::string& pattern) {
  const std::regex expression(pattern);
  std::set<std::string> found;
  for (auto match = std::sregex_iterator(text.begin(), text.end(), expression);
       match != std::sregex_iterator(); ++match) {
    found.insert((*match)[1]);
  }
  return found;
}

// Of the golden file, which the metrics are compared with.
std::set<std::string> metric_names() {
  return all_matches(golden("metrics.txt"), "# TYPE (natsession_[a-z0-9_]+) ");
}

TEST_CASE("every metric in the dashboard and in the alerts exists", "[control][packaging]") {
  const std::set<std::string> known = metric_names();
  REQUIRE(known.size() > 40);
  for (const char* const name : {"grafana/natsessiond.json", "prometheus/natsessiond.rules.yml"}) {
    const std::set<std::string> used = all_matches(packaged(name), "(natsession_[a-z0-9_]+)");
    CHECK(used.size() > 10);
    for (const std::string& metric : used) {
      INFO(name << ": " << metric);
      CHECK(known.contains(metric));
    }
  }
}

TEST_CASE("the dashboard has what Grafana needs of each panel", "[control][packaging]") {
  const auto dashboard = nlohmann::json::parse(packaged("grafana/natsessiond.json"));
  CHECK(dashboard["title"] == "natsessiond");
  CHECK(dashboard["uid"] == "natsessiond");
  CHECK(dashboard["schemaVersion"] >= 36);
  CHECK(dashboard["id"].is_null());  // a new one for each Grafana
  std::set<int> ids;
  std::set<std::pair<int, int>> cells;
  for (const auto& panel : dashboard["panels"]) {
    INFO(panel["title"]);
    CHECK(ids.insert(panel["id"].get<int>()).second);
    const auto& place = panel["gridPos"];
    const int x = place["x"], y = place["y"], width = place["w"], height = place["h"];
    CHECK(x + width <= 24);
    for (int row = y; row < y + height; ++row) {
      for (int column = x; column < x + width; ++column)
        CHECK(cells.emplace(row, column).second);  // none overlaps
    }
    if (panel["type"] == "row") continue;
    CHECK(panel["datasource"]["uid"] == "${datasource}");
    REQUIRE_FALSE(panel["targets"].empty());
    std::set<std::string> references;
    for (const auto& target : panel["targets"]) {
      CHECK(references.insert(target["refId"].get<std::string>()).second);
      CHECK(target["expr"].get<std::string>().find("instance=~\"$instance\"") != std::string::npos);
    }
  }
  for (const char* const subject :
       {"natsession_events_total", "natsession_events_lost_total", "natsession_events_delayed_total",
        "natsession_live_sessions", "natsession_snat_ports_in_use", "natsession_sink_up",
        "natsession_ledger_bytes", " / 64512"}) {
    INFO(subject);
    CHECK(dashboard["panels"].dump().find(subject) != std::string::npos);
  }
}

}  // namespace
}  // namespace natsession
