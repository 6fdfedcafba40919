#include "flow/flow_encoder.h"

#include <catch2/catch.hpp>

#include "flow/flow_entries.h"
#include "flow/flow_fixture.h"

using namespace natsession;
using namespace natsession::testing;

namespace {

FlowIds ids() {
  FlowIds ids;
  ids.account = "1234567890";
  ids.region = "eu-1";
  ids.zone = "eu-1a";
  ids.interfaces = {{"eth1", "eni-inside"}};
  ids.networks = {{*Prefix::parse("172.16.0.0/16"), "vsw-all"}, {*Prefix::parse("172.16.20.0/24"), "vsw-20"}};
  ids.machines = {{*Prefix::parse("172.16.20.21"), "i-21"}};
  return ids;
}

std::vector<std::string> lines(std::string_view form, FlowFormat format, const SessionRecord& record) {
  const auto parsed = FlowForm::parse(form);
  REQUIRE(parsed);
  const FlowEncoder encoder(*parsed, ids(), format);
  std::vector<SessionRecord> entries;
  append_entries(record, entries);
  if (is_status(record)) entries.push_back(record);
  std::vector<std::string> lines;
  for (const SessionRecord& entry : entries) {
    std::string line;
    encoder.append(entry, line);
    CHECK(line.back() == '\n');
    line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

}  // namespace

TEST_CASE("the clouds' records have their fields in their order", "[flow][encoder]") {
  CHECK(lines("aws", FlowFormat::kText, translated())[0] ==
        "2 1234567890 eni-inside 172.16.20.21 106.11.12.203 51514 12180 6 20 2000 1795272600 1795273200 "
        "ACCEPT OK");
  CHECK(lines("tencent", FlowFormat::kText, translated())[1] ==
        "2 1234567890 eth0 172.16.10.13 106.11.12.203 48155 12180 6 20 2000 1795272600 1795273200 ACCEPT OK");
  CHECK(lines("huawei-v1", FlowFormat::kText, translated())[2] ==
        "1 1234567890 eth0 106.11.12.203 172.16.10.13 12180 48155 6 18 9000 1795272600 1795273200 ACCEPT OK");
  CHECK(lines("huawei-v2", FlowFormat::kText, translated())[3] ==
        "2 1234567890 eni-inside 106.11.12.203 172.16.20.21 12180 51514 6 18 9000 1795272600 1795273200 "
        "ACCEPT OK egress "
        "established eu-1 eu-1a vpc-blue vsw-20");
  CHECK(lines("alibaba", FlowFormat::kText, translated())[0] ==
        "1 vsw-20 i-21 vpc-blue 1234567890 eni-inside 172.16.20.21 51514 106.11.12.203 12180 6 in 20 2000 "
        "1795272600 18 "
        "1795273200 OK ACCEPT");
}

TEST_CASE("JSON has the same names", "[flow][encoder]") {
  CHECK(
      lines("huawei-v2", FlowFormat::kJson, refused("eth0", 2))[0] ==
      R"({"version":2,"project-id":"1234567890","interface-id":"eth0","srcaddr":"172.16.20.21",)"
      R"("dstaddr":"106.11.12.203","srcport":51514,"dstport":12180,"protocol":6,"packets":2,"bytes":120,)"
      R"("start":1795272600,"end":1795273200,"action":"REJECT","log-status":"OK","direction":"ingress",)"
      R"("tcp-flag":"established","region-id":"eu-1","az-id":"eu-1a","vpc-id":"vpc-blue","network-id":"vsw-20"})");
}

TEST_CASE("a list of fields has these alone, in its order", "[flow][encoder]") {
  CHECK(lines("dstport,interface,flow-direction,session-id,seq", FlowFormat::kText, translated())[0] ==
        "12180 eth1 ingress 1122334455667788 0");
  CHECK_FALSE(FlowForm::parse(""));
  CHECK_FALSE(FlowForm::parse("srcaddr,"));
  CHECK_FALSE(FlowForm::parse("srcaddr,srcaddr"));
  const auto wrong = FlowForm::parse("srcaddr,sport");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message.find("'sport'") != std::string::npos);
  CHECK(wrong.error().message.find("srcport") != std::string::npos);
}

TEST_CASE("an empty window has its times and its status, and nothing else", "[flow][encoder]") {
  SessionRecord closed = routed();
  const SessionRecord none = status_entry(closed, "eth1", false);
  CHECK(lines("aws", FlowFormat::kText, none)[0] ==
        "2 1234567890 eni-inside - - - - - - - 1795272600 1795273200 - NODATA");
  CHECK(lines("aws", FlowFormat::kText, status_entry(closed, "eth0", true))[0] ==
        "2 1234567890 eth0 - - - - - - - 1795272600 1795273200 - SKIPDATA");
  CHECK(lines("alibaba", FlowFormat::kText, none)[0] ==
        "1 - - - 1234567890 eni-inside - - - - - - - - 1795272600 - 1795273200 NODATA -");
}

TEST_CASE("texts of the configuration do not divide a line, and are valid in JSON", "[flow][encoder]") {
  FlowIds strange;
  strange.account = "a b\"\\\xff";
  const FlowEncoder text(*FlowForm::parse("account-id,version"), strange, FlowFormat::kText);
  const FlowEncoder json(*FlowForm::parse("account-id,version"), strange, FlowFormat::kJson);
  std::string out;
  text.append(translated(), out);
  json.append(translated(), out);
  CHECK(out == "a_b\"\\\xef\xbf\xbd 2\n{\"account-id\":\"a b\\\"\\\\\xef\xbf\xbd\",\"version\":2}\n");
}

TEST_CASE("names and values leave out what does not apply", "[flow][encoder]") {
  const FlowEncoder encoder(*FlowForm::parse("aws"), FlowIds(), FlowFormat::kText);
  std::vector<std::pair<std::string_view, std::string>> pairs;
  encoder.append_pairs(status_entry(routed(), "eth1", false), pairs);
  CHECK(pairs == std::vector<std::pair<std::string_view, std::string>>{{"version", "2"},
                                                                       {"interface-id", "eth1"},
                                                                       {"start", "1795272600"},
                                                                       {"end", "1795273200"},
                                                                       {"log-status", "NODATA"}});
}

namespace {

class OneHost final : public SubscriberLookup {
 public:
  void find(const SessionRecord& record, Subscriber& out) const override {
    out.clear();
    if (record.pri_ip == *IpAddress::parse("172.16.20.21"))
      out.subscriber = "chen with a long name " + std::string(100, 'x');
  }
};

}  // namespace

TEST_CASE("vm-id is the configuration's, else the subscriber's at either end", "[flow][encoder][identity]") {
  FlowIds asked = ids();
  asked.subscribers = std::make_shared<const OneHost>();
  std::vector<SessionRecord> entries;
  append_entries(translated(), entries);
  REQUIRE(entries.size() == 4);
  const auto shown = [&](const SessionRecord& entry) {
    std::string line;
    FlowEncoder(*FlowForm::parse("vm-id"), asked, FlowFormat::kText).append(entry, line);
    return line;
  };
  CHECK(shown(entries[0]) == "i-21\n");
  asked.machines.clear();
  CHECK(shown(entries[0]) == "chen_with_a_long_name_" + std::string(100, 'x') + "\n");
  CHECK(shown(entries[3]) == shown(entries[0]));  // the way back, where it is the destination
  CHECK(shown(entries[1]) == "-\n");              // outside nobody is known
}
