// What flow logs are told of flows, beside the session log.
#include "session/flow_trackers.h"

#include <algorithm>
#include <map>

#include <catch2/catch.hpp>

#include "session/collector_fixture.h"
#include "session/nat_view.h"
#include "session/tcp_seen.h"

using namespace natsession;
using namespace natsession::testing;
using namespace std::chrono_literals;

namespace {

// Inside hosts are at eth1, all else at eth0, and the box itself has 203.0.113.1.
class TwoInterfaces final : public InterfaceFinder {
 public:
  std::string_view towards(const IpAddress& to, const IpAddress&, std::uint32_t) override {
    if (to == ip("203.0.113.1")) return kLoopbackInterface;
    return Prefix::parse("10.0.0.0/8")->contains(to) ? "eth1" : "eth0";
  }
};

struct FlowsFixture {
  explicit FlowsFixture(std::vector<std::chrono::seconds> windows, bool untranslated = true)
      : flows({std::move(windows), untranslated}, settings(), kStatusSrcNat, origin, VpcMap(), output),
        tracker(settings(), origin, VpcMap(), output),
        collector(source, tracker, output, clock, {.window = 10s}, &flows) {
    run();
    output.take();
  }
  TrackerSettings settings() {
    return {.records = RecordMode::kWindow, .window = 10s, .interfaces = &interfaces};
  }
  void run() {
    for (int i = 0; i < 10'000; ++i) {
      const auto pace = collector.turn();
      REQUIRE(pace);
      if (*pace != Collector::Pace::kAtOnce) return;
    }
    FAIL("the collector does not come to rest");
  }
  void event(const ConntrackEvent& event) {
    source.queue.push_back(event);
    run();
  }
  // The clock is moved to the end of its window of 10 s, with `table` in the kernel's.
  void close(std::vector<ConntrackEvent> table, std::chrono::milliseconds window = 10s) {
    source.table = std::move(table);
    const auto into = clock.now().time_since_epoch() % window;
    clock.advance(window - into + 1ms);
    run();
  }
  // What came since, but for windows that were closed.
  std::vector<SessionRecord> take(std::uint32_t flow) {
    std::vector<SessionRecord> taken;
    std::vector<SessionRecord> left;
    for (const SessionRecord& record : output.take()) {
      if (record.flow_kind == FlowKind::kWindowClosed) {
        closed[record.flow].push_back(record);
      } else if (record.flow == flow) {
        taken.push_back(record);
      } else {
        left.push_back(record);
      }
    }
    output.records = left;
    return taken;
  }

  Origin origin{"gw-1", ""};
  TwoInterfaces interfaces;
  RecordList output;
  ManualClock clock{at_ms(1'000'000)};
  ScriptedSource source;
  FlowTrackers flows;
  Tracker tracker;
  Collector collector;
  std::map<std::uint32_t, std::vector<SessionRecord>> closed;
};

Flow plain() {
  return flow().status(0).nat("10.0.0.2", 40000);
}

}  // namespace

TEST_CASE("a flow that is not translated is told to flow logs alone, with its interfaces",
          "[session][flow]") {
  FlowsFixture f({10s});
  f.event(plain().created());
  f.close({plain().traffic({3, 300}, {2, 900}).dumped()});
  f.event(plain().traffic({5, 500}, {4, 1000}).destroyed());
  CHECK(f.take(0).empty());
  const auto records = f.take(10);
  REQUIRE(records.size() == 2);
  for (const SessionRecord& record : records) {
    CHECK(record.flow_kind == FlowKind::kSession);
    CHECK(record.pri_ip == ip("10.0.0.2"));
    CHECK(record.pub_ip == ip("198.51.100.7"));
    CHECK(record.nat_ip == IpAddress());
    CHECK(record.nat_port == record.pri_port);
    CHECK(record.iif == "eth1");
    CHECK(record.oif == "eth0");
  }
  CHECK(records[0].event == RecordEvent::kInterim);
  CHECK(records[0].pkts_from_vpc == Count(3));
  CHECK(records[0].bytes_from_pub == Count(900));
  CHECK(records[1].pkts_from_vpc == Count(2));
  CHECK(records[1].bytes_from_pub == Count(100));
  CHECK(records[1].session_id == records[0].session_id);
  CHECK(records[1].seq == 1);
}

TEST_CASE("the session log's own record tells a flow log with its window of what is translated",
          "[session][flow]") {
  FlowsFixture f({10s});
  f.event(flow().created());
  f.event(flow().traffic({5, 500}, {4, 1000}).destroyed());
  CHECK(f.take(10).empty());
  const auto records = f.take(0);
  REQUIRE(records.size() == 1);
  CHECK(records[0].iif == "eth1");
  CHECK(records[0].oif == "eth0");
  CHECK(records[0].nat_ip == ip("203.0.113.1"));
}

TEST_CASE("what is not translated is not followed where no flow log wants it", "[session][flow]") {
  FlowsFixture f({10s}, false);
  f.event(plain().created());
  f.event(plain().traffic({5, 500}, {4, 1000}).destroyed());
  CHECK(f.output.take().empty());
  // Destination NAT is translated, and not the session log's here.
  const Flow dnat = flow()
                        .status(kStatusDstNat)
                        .from("198.51.100.9", 5000)
                        .to("203.0.113.1", 80)
                        .reached("10.0.0.80", 8080)
                        .nat("198.51.100.9", 5000);
  f.event(dnat.created());
  f.event(Flow(dnat).traffic({5, 500}, {4, 1000}).destroyed());
  const auto records = f.take(10);
  REQUIRE(records.size() == 1);
  CHECK(records[0].pri_ip == ip("198.51.100.9"));
  CHECK(records[0].orig_dst_ip == ip("203.0.113.1"));
  CHECK(records[0].orig_dst_port == 80);
  CHECK(records[0].pub_ip == ip("10.0.0.80"));
  CHECK(records[0].pub_port == 8080);
  CHECK(records[0].nat_ip == IpAddress());
  CHECK(records[0].pkts_from_vpc == Count(5));
  CHECK(records[0].iif == "eth0");
  CHECK(records[0].oif == "eth1");
}

TEST_CASE("each window's length has records of its own, and each series adds up to the kernel's counters",
          "[session][flow]") {
  FlowsFixture f({5s, 10s, 20s});
  std::map<std::uint32_t, std::uint64_t> bytes;
  std::map<std::uint32_t, int> ends;
  const auto add = [&](std::uint32_t flow) {
    for (const SessionRecord& record : f.take(flow)) {
      bytes[flow] += record.bytes_from_vpc.value();
      ends[flow] += record.event == RecordEvent::kEnd ? 1 : 0;
      CHECK(record.end_time - record.start_time <= std::chrono::seconds(flow == 0 ? 10 : flow));
    }
  };
  f.event(flow().created());
  for (std::uint64_t i = 1; i <= 9; ++i) f.close({flow().traffic({i, i * 100}, {i, i}).dumped()}, 5s);
  f.event(flow().traffic({20, 2000}, {10, 10}).destroyed());
  for (const std::uint32_t flow : {0U, 5U, 10U, 20U}) add(flow);
  CHECK(bytes == std::map<std::uint32_t, std::uint64_t>{{0, 2000}, {5, 2000}, {20, 2000}});
  CHECK(ends == std::map<std::uint32_t, int>{{0, 1}, {5, 1}, {20, 1}});
  CHECK(f.closed[5].size() == 9);
  CHECK(f.closed[10].size() == 4);
  CHECK(f.closed[20].size() == 2);
}

TEST_CASE("a window is told to be closed behind all that ended in it", "[session][flow]") {
  FlowsFixture f({10s});
  f.event(plain().created());
  f.source.table = {plain().traffic({3, 300}, {2, 900}).dumped()};
  f.clock.advance(10s);
  f.run();
  auto records = f.output.take();
  REQUIRE(records.size() ==
          1);  // the window is over, and it is not known yet that nothing more will come of it
  CHECK(records[0].flow_kind == FlowKind::kSession);
  const UnixMs boundary = records[0].end_time;
  f.run();
  records = f.output.take();
  REQUIRE(records.size() == 1);
  CHECK(records[0].flow_kind == FlowKind::kWindowClosed);
  CHECK(records[0].flow == 10);
  CHECK(records[0].end_time == boundary);
  CHECK(records[0].start_time == boundary - 10s);
}

TEST_CASE("no window is told to be closed while events are delayed or a loss is not told",
          "[session][flow]") {
  FlowsFixture f({10s});
  f.clock.advance(9s);
  f.source.drop(1);  // reliable: it comes again, soon
  f.run();
  f.close({});
  f.run();
  CHECK(f.output.take().empty());
  f.clock.advance(6s);
  f.run();
  f.run();
  const auto records = f.output.take();
  REQUIRE(records.size() == 1);
  CHECK(records[0].flow_kind == FlowKind::kWindowClosed);
}

TEST_CASE("flags of TCP are those of the slice in which the state moved", "[session][flow]") {
  FlowsFixture f({10s});
  const auto in = [&](TcpState state) { return plain().tcp_state(state); };
  f.event(in(TcpState::kSynSent).created());
  f.close({in(TcpState::kSynSent).traffic({1, 60}, {0, 0}).dumped()});
  f.event(in(TcpState::kEstablished).updated());
  f.close({in(TcpState::kEstablished).traffic({9, 900}, {9, 900}).dumped()});
  f.close({in(TcpState::kEstablished).traffic({19, 1900}, {9, 900}).dumped()});
  f.event(in(TcpState::kFinWait).updated());
  f.close({in(TcpState::kFinWait).traffic({29, 2900}, {9, 900}).dumped()});
  f.close({in(TcpState::kFinWait).traffic({29, 2900}, {19, 1900}).dumped()});
  f.event(in(TcpState::kTimeWait).updated());
  f.event(in(TcpState::kTimeWait).traffic({30, 3000}, {20, 2000}).destroyed());
  std::vector<int> flags;
  for (const SessionRecord& record : f.take(10)) flags.push_back(record.tcp_flags);
  CHECK(flags == std::vector<int>{2, 18, 0, 1, 0, 1});
}

TEST_CASE("flags of a slice by what was seen", "[session][flow]") {
  CHECK(flags_of_slice(seen_by(TcpState::kClose), 0, true, false) == (tcp_flag::kSyn | tcp_flag::kRst));
  CHECK(flags_of_slice(seen_by(TcpState::kTimeWait), 0, true, false) == (18 | tcp_flag::kFin));
  // A connection that was there before anybody looked: nothing is said of how it began.
  CHECK(flags_of_slice(seen_by(TcpState::kEstablished), 0, false, false) == 0);
  CHECK(flags_of_slice(seen_by(TcpState::kClose), seen_by(TcpState::kEstablished), false, true) ==
        tcp_flag::kRst);
  CHECK(flags_of_slice(seen_by(TcpState::kClose) | seen_by(TcpState::kFinWait), seen_by(TcpState::kFinWait),
                       false, true) == 0);
}

TEST_CASE("flow logs' flows go on after a restart as sessions do", "[session][flow]") {
  std::vector<SessionRecord> log;
  {
    FlowsFixture f({10s});
    f.event(plain().stamped(at_ms(999'000)).created());
    f.close({plain().stamped(at_ms(999'000)).traffic({3, 300}, {2, 900}).dumped()});
    log = f.take(10);
    REQUIRE(log.size() == 1);
  }
  OpenSessions open;
  for (const SessionRecord& record : log) open.add(record);
  FlowsFixture f({10s});
  FlowTrackers::Open by_window;
  by_window.emplace(10, std::move(open));
  f.flows.restore(std::move(by_window), {}, {});
  f.event(plain().stamped(at_ms(999'000)).traffic({5, 500}, {4, 1000}).destroyed());
  const auto records = f.take(10);
  REQUIRE(records.size() == 1);
  CHECK(records[0].session_id == log[0].session_id);
  CHECK(records[0].seq == 1);
  CHECK(records[0].pkts_from_vpc == Count(2));
}
