#include "control/metrics.h"

#include <catch2/catch.hpp>

#include "control/golden.h"
#include "control/metric_text.h"
#include "control/sample_status.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: the tests' own language

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

IpAddress numbered(std::uint32_t number) {
  return IpAddress::from_v4(__builtin_bswap32(0x0a000000U + number));
}

// promtool finds this text clean: the test "promtool" in CMakeLists.txt asks it.
TEST_CASE("the metrics have every counter under its name", "[control][metrics]") {
  Status status = sample_status();
  status.collectors.push_back(sample_collector("blue"));
  const std::vector<PortUse> ports{
      {"", ip("203.0.113.1"), 17, 801, 802},    {"", ip("203.0.113.1"), 6, 803, 804},
      {"blue", ip("203.0.113.1"), 6, 805, 806}, {"", ip("2001:db8::1"), 58, 807, 808},
      {"", ip("203.0.113.1"), 253, 809, 810},
  };
  check_golden("metrics.txt", metrics_text(status, ports));
}

TEST_CASE("without a ledger there are no metrics of one", "[control][metrics]") {
  Status status = sample_status();
  status.ledger.reset();
  CHECK(metrics_text(status, {}).find("ledger") == std::string::npos);
}

TEST_CASE("label values and help are escaped", "[control][metrics]") {
  MetricText text;
  text.gauge("a", "one\\two\nthree \"four\"");
  text.sample({{"x", "one\\two\nthree \"four\""}, {"y", ""}}, 0.5);
  text.sample({{"y", ""}}, std::uint64_t{18'446'744'073'709'551'615U});
  CHECK(text.take() ==
        "# HELP a one\\\\two\\nthree \"four\"\n# TYPE a gauge\na{x=\"one\\\\two\\nthree \\\"four\\\"\"} 0.5\n"
        "a 18446744073709551615\n");
}

TEST_CASE("numbers that are none are written as Prometheus reads them", "[control][metrics]") {
  MetricText text;
  text.gauge("a", "b");
  text.sample({}, std::numeric_limits<double>::quiet_NaN());
  text.sample({}, std::numeric_limits<double>::infinity());
  text.sample({}, -std::numeric_limits<double>::infinity());
  CHECK(text.take() == "# HELP a b\n# TYPE a gauge\na NaN\na +Inf\na -Inf\n");
}

TEST_CASE("beyond the limit the addresses with fewest ports are summed up", "[control][metrics]") {
  std::vector<PortUse> ports;
  const std::uint32_t all = kMaxNatIpsInMetrics + 100;
  for (std::uint32_t i = 0; i < all; ++i) {
    ports.push_back({"", numbered(i), 6, i + 1, 1});
    ports.push_back({"", numbered(i), 17, 1, 1});
  }
  const std::string text = metrics_text({}, ports);
  CHECK(count(text, "\nnatsession_snat_ports_in_use{") == 2 * (kMaxNatIpsInMetrics + 1));
  CHECK(text.find("natsession_snat_ports_in_use{nat_ip=\"other\",protocol=\"tcp\"} 5050\n") !=
        std::string::npos);  // 1 to 100
  CHECK(text.find("natsession_snat_ports_in_use{nat_ip=\"other\",protocol=\"udp\"} 100\n") !=
        std::string::npos);
  CHECK(text.find("{nat_ip=\"" + numbered(99).to_string() + "\"") == std::string::npos);
  CHECK(text.find("{nat_ip=\"" + numbered(100).to_string() + "\",protocol=\"tcp\"} 101\n") !=
        std::string::npos);
}

TEST_CASE("what is told twice of one address is added up, never repeated", "[control][metrics]") {
  const std::vector<PortUse> ports{{"", numbered(1), 6, 10, 11}, {"", numbered(1), 6, 100, 101}};
  const std::string text = metrics_text({}, ports);
  CHECK(count(text, "natsession_snat_ports_in_use{") == 1);
  CHECK(text.find("natsession_snat_ports_in_use{nat_ip=\"10.0.0.1\",protocol=\"tcp\"} 110\n") !=
        std::string::npos);
}

TEST_CASE("a failure of the ledger shows in its metrics", "[control][metrics]") {
  Status status = sample_status();
  CHECK(metrics_text(status, {}).find("natsession_ledger_writable 1\n") != std::string::npos);
  status.ledger->failure = "no space left";
  CHECK(metrics_text(status, {}).find("natsession_ledger_writable 0\n") != std::string::npos);
}

TEST_CASE("a ledger that cannot be sealed or cut can be written all the same", "[control][metrics]") {
  Status status = sample_status();
  status.ledger->upkeep_failure = "no room to seal";
  const std::string text = metrics_text(status, {});
  CHECK(text.find("natsession_ledger_writable 1\n") != std::string::npos);
  CHECK(text.find("natsession_ledger_upkeep_ok 0\n") != std::string::npos);
}

}  // namespace
}  // namespace natsession
