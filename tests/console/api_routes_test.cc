#include "api/api_routes.h"

#include <fstream>
#include <set>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace natsession::console {
namespace {

using Words = std::vector<std::string>;
using Json = nlohmann::json;

const ApiRoute& route(std::string_view method, std::string_view path) {
  std::string_view other;
  const ApiRoute* const found = find_route(method, path, other);
  REQUIRE(found != nullptr);
  return *found;
}

TEST_CASE("parameters become options of natsessionctl, whatever they have", "[console][routes]") {
  const auto words = command_words(route("GET", "/top"), {{"by", "pri_ip"},
                                                          {"by", "pub_ip"},
                                                          {"since", "--help"},
                                                          {"from_records", "yes"},
                                                          {"until", ""},
                                                          {"box", "gate"}});
  REQUIRE(words);
  CHECK(*words == Words{"top", "--by=pri_ip", "--by=pub_ip", "--since=--help", "--from-records"});
}

TEST_CASE("what stands without a name stands behind the options, and is none", "[console][routes]") {
  CHECK(*command_words(route("GET", "/trace"), {{"address", "203.0.113.7:1"}, {"at", "now"}}) ==
        Words{"trace", "--at=now", "203.0.113.7:1"});
  CHECK(command_words(route("GET", "/trace"), {{"address", "--file=/etc/passwd"}}).error().message ==
        "parameter 'address' begins with a dash");
  CHECK(command_words(route("POST", "/disable"), {{"sink", "-x"}}).error().kind == ErrorKind::kUsage);
}

TEST_CASE("what is unknown or given twice is refused by its name", "[console][routes]") {
  CHECK(command_words(route("GET", "/gaps"), {{"output", "/tmp/x"}}).error().message ==
        "unknown parameter 'output'; there are: since, until, box, tz, format, reason, question");
  CHECK(command_words(route("GET", "/gaps"), {{"since", "1"}, {"since", "2"}}).error().message ==
        "parameter 'since' is given twice");
  CHECK(command_words(route("GET", "/top"), {{"from_records", "maybe"}}).error().message ==
        "parameter 'from_records' is neither yes nor no");
}

TEST_CASE("no route lets a question write a file or read one", "[console][routes]") {
  for (const ApiRoute& one : api_routes()) {
    for (const ApiParameter& parameter : one.parameters) {
      for (const std::string_view forbidden :
           {"output", "file", "svg", "config", "ledger", "control", "store", "memory", "time-limit"})
        CHECK(parameter.option != forbidden);
    }
  }
}

TEST_CASE("who only looks sees sums that name nobody", "[console][routes]") {
  const ApiRoute& timeline = route("GET", "/timeline");
  CHECK(may_ask(Role::kLook, timeline, {{"since", "-1h"}, {"sum", "bytes"}, {"tz", "UTC"}}));
  for (const char* const naming : {"by", "where", "pri", "nat", "pub", "protocol", "log"})
    CHECK_FALSE(may_ask(Role::kLook, timeline, {{naming, "pri_ip"}}));
  CHECK(may_ask(Role::kAsk, timeline, {{"by", "pri_ip"}}));
  for (const ApiRoute& one : api_routes()) {
    const bool harmless = one.command == "status" || one.command == "gaps" ||
                          one.command == "flow-log list --by-daemon" || one.command == "timeline";
    CHECK(may_ask(Role::kLook, one, {}) == harmless);
  }
}

TEST_CASE("changes take the role steer, and are POST", "[console][routes]") {
  for (const ApiRoute& one : api_routes()) {
    const bool changes = one.command == "enable" || one.command == "disable" ||
                         (one.command.starts_with("flow-log ") && one.command != "flow-log list --by-daemon");
    CHECK((one.role == Role::kSteer) == changes);
    if (changes) CHECK(one.method == "POST");
    if (changes) CHECK(one.audited);
  }
}

TEST_CASE("every question that names hosts is written to the audit log", "[console][routes]") {
  for (const ApiRoute& one : api_routes()) {
    if (one.role == Role::kAsk) CHECK(one.audited);
  }
}

TEST_CASE("the OpenAPI file describes each route with its parameters, and no other",
          "[console][routes][openapi]") {
  const Json file = Json::parse(std::ifstream(NATSESSION_OPENAPI));
  std::set<std::string> described;
  for (const auto& [path, methods] : file.at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::string name = method + " " + path;
      for (char& c : name)
        c = c >= 'a' && c <= 'z' && &c < &name[method.size()] ? static_cast<char>(c - 32) : c;
      described.insert(name);
    }
  }
  // Those that are no command of natsessionctl.
  std::set<std::string> known{
      "GET /me",          "POST /login", "POST /logout", "GET /questions", "DELETE /questions/{id}",
      "GET /openapi.json"};
  for (const ApiRoute& one : api_routes()) {
    const std::string name = std::string(one.method) + " " + std::string(one.path);
    known.insert(name);
    INFO(name);
    REQUIRE(described.count(name) == 1);
    const Json& operation = file["paths"][std::string(one.path)][one.method == "GET" ? "get" : "post"];
    std::set<std::string> parameters;
    for (const Json& parameter : operation.at("parameters")) {
      const std::string to = parameter.value("$ref", "");
      parameters.insert(to.empty() ? parameter.at("name").get<std::string>() : to.substr(to.rfind('/') + 1));
      if (to.empty()) CHECK_FALSE(parameter.value("description", "").empty());
    }
    std::set<std::string> wanted;
    for (const ApiParameter& parameter : one.parameters) wanted.insert(std::string(parameter.name));
    for (const std::string_view common : common_parameters()) wanted.insert(std::string(common));
    CHECK(parameters == wanted);
    CHECK(operation.contains("requestBody") == one.takes_body);
  }
  CHECK(described == known);
}

}  // namespace
}  // namespace natsession::console
