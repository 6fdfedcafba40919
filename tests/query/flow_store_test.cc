// Questions to what a ledger has of flows.
#include "query/flow_store.h"

#include <map>

#include <catch2/catch.hpp>

#include "query/query_fixture.h"
#include "query/sql_session.h"
#include "query/timeline.h"
#include "query/top.h"

using namespace natsession;
using namespace natsession::testing;
using namespace std::chrono_literals;

namespace {

const Origin& gateway() {
  static const Origin origin{"gw-1", ""};
  return origin;
}

SessionRecord flow_at(std::int64_t minute, std::string_view from, std::string_view to,
                      std::uint64_t packets) {
  SessionRecord record;
  record.origin = &gateway();
  record.protocol = 6;
  record.pri_ip = ip(std::string(from));
  record.pub_ip = ip(std::string(to));
  record.pri_port = record.nat_port = 4000;
  record.pub_port = 443;
  record.pkts_from_vpc = Count(packets);
  record.bytes_from_vpc = Count(100 * packets);
  record.pkts_from_pub = Count(1);
  record.bytes_from_pub = Count(60);
  record.start_time = at_minute(minute);
  record.end_time = at_minute(minute + 1);
  record.session_start = record.start_time;
  record.event = RecordEvent::kEnd;
  record.reason = RecordReason::kDestroyed;
  record.flow = 60;
  record.iif = "eth1";
  record.oif = "eth0";
  record.session_id = derive_session_id(record);
  return record;
}

SessionRecord refused_at(std::int64_t minute, std::string_view from, std::uint64_t packets) {
  SessionRecord record = flow_at(minute, from, "203.0.113.1", packets);
  record.flow_kind = FlowKind::kRefused;
  record.pkts_from_pub = record.bytes_from_pub = Count(0);
  record.iif = "eth0";
  record.oif = {};
  record.reason = RecordReason::kNone;
  return record;
}

struct Flows {
  Flows() {
    ledger.with_flows = false;
    std::vector<SessionRecord> records;
    for (std::int64_t minute = 0; minute < 60; ++minute) {
      records.push_back(flow_at(minute, "10.0.0.2", "198.51.100.7", 10));
      records.push_back(flow_at(minute, "10.0.0.3", "198.51.100.7", 1));
      if (minute >= 30) records.push_back(refused_at(minute, "198.51.100.66", 100));
      // The same traffic once more, in windows of ten minutes, and in the session log alone.
      if (minute % 10 == 9) {
        SessionRecord again = flow_at(minute, "10.0.0.2", "198.51.100.7", 100);
        again.flow = 600;
        records.push_back(again);
      }
      SessionRecord session = flow_at(minute, "10.0.0.2", "198.51.100.7", 10);
      session.flow = 0;
      session.iif = session.oif = {};
      session.nat_ip = ip("203.0.113.1");
      records.push_back(session);
    }
    ledger.fill(records, 40, 2);
    ledger.seal();
    view = ledger.view();
  }
  std::unique_ptr<FlowStore> open(std::optional<std::chrono::seconds> window = {}) {
    auto store = FlowStore::open(*view, window, {});
    REQUIRE(store);
    return std::move(*store);
  }
  QueryLedger ledger;
  std::optional<SegmentList> view;
};

}  // namespace

TEST_CASE("who is refused, at which interface", "[query][flow]") {
  Flows flows;
  const auto store = flows.open();
  CHECK(store->window() == 60s);
  TopQuestion question;
  question.by = {Field::kInterface, Field::kPriIp};
  FieldTest refused(Field::kAction);
  refused.texts = {"REJECT"};
  question.query.where = {refused};
  const auto top = find_top(LogStore(*store), question, {});
  REQUIRE(top);
  REQUIRE(top->groups.size() == 1);
  CHECK(top->groups[0].key == std::vector<GroupValue>{std::string("eth0"), ip("198.51.100.66")});
  CHECK(top->groups[0].sums.pkts_from_vpc == 3000);
  CHECK(top->groups[0].sums.records == 30);
}

TEST_CASE("a packet counts once at each interface and direction, in one length of window", "[query][flow]") {
  Flows flows;
  for (const auto& [window, packets, entries] :
       {std::tuple(60s, 60 * (10 + 1), 120), std::tuple(600s, 6 * 100, 6)}) {
    const auto store = flows.open(window);
    TopQuestion question;
    question.by = {Field::kInterface, Field::kDirection};
    FieldTest accepted(Field::kAction);
    accepted.texts = {"ACCEPT"};
    question.query.where = {accepted};
    const auto top = find_top(LogStore(*store), question, {});
    REQUIRE(top);
    REQUIRE(top->groups.size() == 4);
    for (const TopGroup& group : top->groups) {
      const bool there = group.key == std::vector<GroupValue>{std::string("eth1"), std::string("ingress")} ||
                         group.key == std::vector<GroupValue>{std::string("eth0"), std::string("egress")};
      CHECK(group.sums.pkts_from_vpc == static_cast<std::uint64_t>(there ? packets : entries));
      CHECK(group.sums.records == static_cast<std::uint64_t>(entries));
    }
  }
}

TEST_CASE("since when, by time", "[query][flow]") {
  Flows flows;
  const auto store = flows.open();
  TimelineQuestion question;
  question.from = at_minute(0);
  question.until = at_minute(61);
  question.bucket = 60s;
  question.by = Field::kAction;
  question.sum = SumField::kPktsFromVpc;
  const auto timeline = find_timeline(LogStore(*store), question, {});
  REQUIRE(timeline);
  for (const TimelineSeries& series : timeline->series) {
    if (series.key != GroupValue(std::string("REJECT"))) continue;
    for (std::size_t minute = 0; minute < 60; ++minute)
      CHECK(series.buckets[minute].pkts_from_vpc == (minute >= 30 ? 100U : 0U));
  }
  CHECK(timeline->series.size() == 2);
}

TEST_CASE("SQL has flows in a table of their own", "[query][flow][sql]") {
  Flows flows;
  const auto ask = [&](std::string_view sql) {
    auto session = SqlSession::open(flows.ledger.view(), {});
    REQUIRE(session);
    std::string all;
    const auto result =
        (*session)->run(sql, {{}, [&](std::span<const SqlValue> row) {
                                for (const SqlValue& value : row) {
                                  if (const auto* const n = std::get_if<std::int64_t>(&value))
                                    all += std::to_string(*n) + " ";
                                  else if (const auto* const t = std::get_if<std::string_view>(&value))
                                    all += std::string(*t) + " ";
                                  else
                                    all += "- ";
                                }
                                return true;
                              }});
    REQUIRE(result);
    return all;
  };
  CHECK(ask("SELECT interface, direction, sum(packets) FROM flow WHERE action = 'REJECT' GROUP BY 1, 2") ==
        "eth0 ingress 3000 ");
  CHECK(ask("SELECT count(*) FROM flow") == "510 ");
  CHECK(ask("SELECT count(*) FROM flow WHERE srcaddr = '10.0.0.3' AND dstport = 443") == "120 ");
  CHECK(ask("SELECT count(*) FROM flow WHERE in_prefix(srcaddr, '10.0.0.0/8') AND interface = 'eth1'") ==
        "120 ");
  CHECK(ask("SELECT count(*), min(protocol), max(tcp_flags) FROM flow WHERE srcaddr = '198.51.100.66'") ==
        "30 6 0 ");
  CHECK(ask("SELECT count(*) FROM log") == "60 ");
  CHECK(ask("SELECT count(*) FROM log JOIN flow ON log.pri_ip = flow.srcaddr AND log.end_time = "
            "flow.end_time") == "120 ");
}

TEST_CASE("a ledger without flow logs says so", "[query][flow]") {
  TrafficDice dice(3);
  QueryLedger ledger;
  ledger.with_flows = false;
  ledger.fill(dice.traffic(100, at_minute(0), at_minute(60)), 50, 2);
  const SegmentList view = ledger.view();
  const auto store = FlowStore::open(view, {}, {});
  REQUIRE_FALSE(store);
  CHECK(store.error().kind == ErrorKind::kUnavailable);
  CHECK(store.error().message.find("flow log") != std::string::npos);
}
