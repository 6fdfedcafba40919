#include "control/status_json.h"

#include <catch2/catch.hpp>

#include "control/golden.h"
#include "control/sample_status.h"

namespace natsession {
namespace {

using namespace testing;  // NOLINT: the tests' own language

TEST_CASE("the status as JSON has every field under its name", "[control][json]") {
  check_golden("status.json", status_json(sample_status()) + "\n");
}

TEST_CASE("sessions as JSON have every field, null where unknown", "[control][json]") {
  const SessionsAnswer answer{
      .sessions = {sample_session(), sample_session6()}, .more = true, .now = at(1'795'263'662'108)};
  check_golden("sessions.json", sessions_json(answer) + "\n");
}

TEST_CASE("what was written is read back the same", "[control][json]") {
  Status status = sample_status();
  CHECK(*read_status_json(status_json(status)) == status);
  status.logging = false;
  status.ledger.reset();
  status.collectors.push_back(sample_collector("blue"));
  status.collectors.back().guard_tripped = true;
  status.sinks[0].state = DeliveryState::kModifying;
  status.sinks[0].enabled = false;
  CHECK(*read_status_json(status_json(status)) == status);
  const SessionsAnswer answer{
      .sessions = {sample_session(), sample_session6()}, .more = true, .now = at(1'795'263'662'108)};
  CHECK(*read_sessions_json(sessions_json(answer)) == answer);
  const PortsAnswer ports{{{"blue", ip("203.0.113.7"), 6, 123'456, 200'000}, {"", ip("fd00::7"), 17, 0, 0}}};
  CHECK(*read_ports_json(ports_json(ports)) == ports);
}

TEST_CASE("the status of another version is read as far as it goes", "[control][json]") {
  const auto status = read_status_json(
      R"({"version": "9", "new": [1], "sinks": [{"name": "a", "state": "Odd"}], "ledger": null})");
  REQUIRE(status);
  CHECK(status->version == "9");
  CHECK(status->sinks[0].name == "a");
  CHECK_FALSE(status->ledger);
}

TEST_CASE("what is no status is refused and never thrown", "[control][json]") {
  for (const char* const text :
       {"", "{", "[]", "3", R"({"sinks": 3})", R"({"sinks": [3]})", R"({"version": 3})",
        R"({"started": "x"})", R"({"collectors": [{"events": []}]})"}) {
    INFO(text);
    const auto status = read_status_json(text);
    REQUIRE_FALSE(status);
    CHECK(status.error().kind == ErrorKind::kMalformed);
  }
  CHECK_FALSE(read_sessions_json(R"({"sessions": [{"pri_ip": "nowhere"}]})"));
  CHECK_FALSE(read_ports_json(R"({"ports": [{"ports": "many"}]})"));
  for (const char* const time : {"1795263662.108", "\"2026-11-21\"", "\"2026-13-01T12:21:02.108Z\"",
                                 "\"2026-11-21T12:21:02.108+01:00\"", "\"2026-11-21T12:21:02.108Z \""})
    CHECK_FALSE(read_status_json(R"({"started": )" + std::string(time) + "}"));
  CHECK(read_status_json(R"({"started": "1969-12-31T23:59:59.999Z"})")->started == at(-1));
  CHECK(read_status_json(R"({"ledger": {"retention_seconds": 1e300}})"));  // cut, not wrapped
}

TEST_CASE("texts that are not UTF-8 do not break the JSON", "[control][json]") {
  Status status;
  status.sinks = {sample_sink()};
  status.sinks[0].message = "bad \xff\xfe bytes \x01";
  const auto back = read_status_json(status_json(status));
  REQUIRE(back);
  CHECK(back->sinks[0].message == "bad \xEF\xBF\xBD\xEF\xBF\xBD bytes \x01");
  CHECK(read_error_json(error_json("no \"way\"\n\xff")) == "no \"way\"\n\xEF\xBF\xBD");
}

}  // namespace
}  // namespace natsession
