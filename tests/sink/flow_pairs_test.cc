// Entries of flow logs in sinks of names and values: the journal, syslog's structured data, the clouds' log
// groups.
#include <catch2/catch.hpp>

#include "flow/flow_encoder.h"
#include "flow/flow_entries.h"
#include "flow/flow_fixture.h"
#include "sink/local/journald_sink.h"
#include "sink/registry.h"
#include "sink/syslog/syslog_message.h"
#include "sink/syslog_reader.h"
#include "support/fake_journal.h"

#ifdef NATSESSION_TEST_CLOUD
#include "sink/cloud/log_group.h"
#include "sink/log_group_reader.h"
#endif

using namespace natsession;
using namespace natsession::testing;

namespace {

EncoderOptions of_flows(std::string_view form = "aws", FlowFormat format = FlowFormat::kText) {
  FlowIds ids;
  ids.account = "12 34";
  EncoderOptions options;
  options.own = std::make_shared<const FlowEncoder>(*FlowForm::parse(form), ids, format);
  return options;
}

SessionRecord first_entry() {
  std::vector<SessionRecord> entries;
  append_entries(translated(), entries);
  return entries.front();
}

}  // namespace

TEST_CASE("the journal has an entry's line and its names and values", "[sink][flow]") {
  const EncoderOptions options = of_flows();
  std::string bytes;
  append_journal_entry(first_entry(), *make_encoder(options), options, bytes);
  const auto entry = FakeJournal::parse(bytes);
  CHECK(entry.at("MESSAGE") ==
        "2 12_34 eth1 172.16.20.21 106.11.12.203 51514 12180 6 20 2000 1795272600 1795273200 ACCEPT OK");
  CHECK(entry.at("NATSESSION_INTERFACE_ID") == "eth1");
  CHECK(entry.at("NATSESSION_ACCOUNT_ID") == "12 34");
  CHECK(entry.at("NATSESSION_LOG_STATUS") == "OK");
  CHECK_FALSE(entry.contains("NATSESSION_PRI_IP"));
}

TEST_CASE("syslog has an entry's names and values as structured data", "[sink][flow]") {
  std::string text;
  SyslogMessage(SyslogHeader{.process_id = 1}, of_flows("srcaddr,account-id,action,log-status"), false)
      .append(first_entry(), text);
  CHECK(text ==
        "<134>1 2026-11-21T15:00:00.000Z gw-1 natsessiond 1 flow [natsession@32473 srcaddr=\"172.16.20.21\" "
        "account-id=\"12 34\" action=\"ACCEPT\" log-status=\"OK\"] 172.16.20.21 12_34 ACCEPT OK");
}

#ifdef NATSESSION_TEST_CLOUD
TEST_CASE("a cloud's log has an entry's names and values, and no others", "[sink][flow]") {
  std::string text;
  LogEncoder(of_flows("huawei-v2")).append(first_entry(), text);
  const ReadGroup group = read_group(text);
  REQUIRE(group.logs.size() == 1);
  const auto& contents = group.logs.front().contents;
  std::map<std::string, std::string> fields(contents.begin(), contents.end());
  CHECK(fields.at("direction") == "ingress");
  CHECK(fields.at("tcp-flag") == "established");
  CHECK(fields.at("bytes") == "2000");
  CHECK_FALSE(fields.contains("region-id"));
  CHECK_FALSE(fields.contains("pri_ip"));
}
#endif

TEST_CASE("destinations of flow logs are those that write what an encoder gives them", "[sink][flow]") {
  for (const std::string_view url :
       {"stdout", "file:/tmp/x", "journald", "syslog:", "syslog+udp://h", "exec:cat"})
    CHECK(SinkConfig::parse(url)->takes_flows());
  for (const std::string_view url :
       {"ipfix://h", "file:/tmp/x?format=csv", "file:/tmp/x?time_format=unix_ms"})
    CHECK_FALSE(SinkConfig::parse(url)->takes_flows());
}
