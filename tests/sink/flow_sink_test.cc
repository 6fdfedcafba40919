// What a flow log delivers: entries, and what there is to tell of each window.
#include "sink/flow/flow_sink.h"

#include <array>

#include <catch2/catch.hpp>

#include "flow/flow_entries.h"
#include "flow/flow_fixture.h"
#include "support/capture_sink.h"
#include "support/flaky_sink.h"

using namespace natsession;
using namespace natsession::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t kBegin = 1'795'272'600;  // a window of ten minutes begins

SessionRecord closed(std::int64_t end, std::uint32_t seq = 0, std::uint32_t window = 600) {
  SessionRecord record;
  record.origin = &flow_origin();
  record.event = RecordEvent::kInterim;
  record.start_time = at_unix(end - window);
  record.end_time = at_unix(end);
  record.flow = window;
  record.flow_kind = FlowKind::kWindowClosed;
  record.seq = seq;
  return record;
}

SessionRecord gap(std::int64_t from, std::int64_t until, RecordReason reason = RecordReason::kOverrun) {
  SessionRecord record;
  record.origin = &flow_origin();
  record.event = RecordEvent::kGap;
  record.reason = reason;
  record.start_time = at_unix(from);
  record.end_time = at_unix(until);
  return record;
}

// A session in the second window.
SessionRecord later(SessionRecord record, std::int64_t seconds = 600) {
  record.start_time += std::chrono::seconds(seconds);
  record.end_time += std::chrono::seconds(seconds);
  ++record.seq;
  return record;
}

// NODATA, SKIPDATA, left out.
using Counts = std::array<std::uint64_t, 3>;
Counts counts(const Sink& sink) {
  const FlowCounts& all = *sink.flow_counts();
  return {all.no_data.load(), all.skipped.load(), all.left_out.load()};
}

struct Log {
  explicit Log(FlowSinkSettings wanted = {}, FlakySink::Script script = {})
      : capture(std::make_shared<Capture>()) {
    directory.set("", {{"eth0", {ip("203.0.113.1")}, {}}, {"eth1", {ip("172.16.20.1")}, {"blue"}}});
    wanted.name = "all";
    sink = std::make_unique<FlowSink>(std::make_unique<FlakySink>("file", capture, std::move(script)), wanted,
                                      directory);
  }
  Answer deliver(std::vector<SessionRecord> records) { return sink->deliver(records); }
  // "eth1 in 20", "eth1 NODATA": what came since the last call.
  std::vector<std::string> told() {
    std::vector<std::string> lines;
    const auto all = capture->seen().records;
    for (; looked_at < all.size(); ++looked_at) {
      const SessionRecord& entry = all[looked_at];
      const std::string name = interface_of(entry).empty() ? "-" : std::string(interface_of(entry));
      if (is_status(entry)) {
        lines.push_back(name + (entry.flow_kind == FlowKind::kSkipped ? " SKIPDATA" : " NODATA"));
      } else {
        lines.push_back(name + (is_ingress(entry) ? " in " : " out ") +
                        std::to_string(entry.pkts_from_vpc.value()) + (is_refused(entry) ? " REJECT" : ""));
      }
    }
    return lines;
  }

  InterfaceDirectory directory;
  std::shared_ptr<Capture> capture;
  std::unique_ptr<FlowSink> sink;
  std::size_t looked_at = 0;
};
using Lines = std::vector<std::string>;

FlowSinkSettings of(std::string_view resource, FlowTraffic traffic = FlowTraffic::kAll) {
  FlowSinkSettings settings;
  settings.resource = *FlowResource::parse(resource);
  settings.traffic = traffic;
  settings.shares_session_log = true;
  settings.refused = true;
  return settings;
}

const Lines kFour{"eth1 in 20", "eth0 out 20", "eth0 in 18", "eth1 out 18"};
const Lines kInside{"eth1 in 20", "eth1 out 18"};

}  // namespace

TEST_CASE("a flow log has the entries of its resource", "[sink][flow]") {
  const auto all_of = [](std::string_view resource) {
    Log log(of(resource));
    CHECK(log.deliver({translated(), routed()}).taken == 2);
    return log.told().size();
  };
  CHECK(all_of("nat") == 4);
  CHECK(all_of("eth1") == 4);
  CHECK(all_of("172.16.20.0/24") == 4);
  CHECK(all_of("vpc:blue") == 4);
  CHECK(all_of("0.0.0.0/0") == 8);
  CHECK(all_of("eth7") == 0);
}

TEST_CASE("a subnet covers interfaces that appear later", "[sink][flow]") {
  Log log(of("10.9.0.0/16"));
  SessionRecord record = routed();
  record.iif = "eth9";
  log.deliver({record});
  CHECK(log.told().empty());
  log.directory.set("", {{"eth9", {ip("10.9.0.1")}, {}}});
  log.deliver({later(record)});
  CHECK(log.told() == Lines{"eth9 in 20", "eth9 out 18"});
}

TEST_CASE("a flow log has the records of its window and its traffic", "[sink][flow]") {
  FlowSinkSettings settings = of("0.0.0.0/0");
  settings.shares_session_log = false;
  Log own(settings);
  own.deliver({translated(), routed(60), routed(600)});
  CHECK(own.told() == kFour);

  Log accepted(of("eth1", FlowTraffic::kAccept));
  accepted.deliver({refused("eth1", 3), routed()});
  CHECK(accepted.told() == kInside);

  Log rejected(of("eth1", FlowTraffic::kReject));
  rejected.deliver({translated(), refused("eth1", 3), refused("eth0", 5), routed()});
  CHECK(rejected.told() == Lines{"eth1 in 3 REJECT"});
}

TEST_CASE("a window without traffic is told as NODATA, by interface, when both parts are over",
          "[sink][flow]") {
  Log log(of("0.0.0.0/0"));
  log.deliver({closed(kBegin), closed(kBegin, 1)});
  CHECK(log.told().empty());  // of the first window it is not known what was before
  log.deliver({routed()});
  log.deliver({closed(kBegin + 600)});
  CHECK(log.told() == kFour);
  log.deliver({closed(kBegin + 600, 1)});
  CHECK(log.told().empty());
  SessionRecord one = later(routed());
  one.oif = "lo";
  log.deliver({one, closed(kBegin + 1200, 1), closed(kBegin + 1200)});
  CHECK(log.told() == Lines{"eth1 in 20", "eth1 out 18", "eth0 NODATA"});
}

TEST_CASE("of accepted traffic NODATA is told whatever was refused, and the other way round",
          "[sink][flow]") {
  Log accepted(of("eth1", FlowTraffic::kAccept));
  accepted.deliver({closed(kBegin), refused("eth1", 3), closed(kBegin + 600)});
  CHECK(accepted.told() == Lines{"eth1 NODATA"});
  Log rejected(of("eth1", FlowTraffic::kReject));
  rejected.deliver({closed(kBegin, 1), routed(), closed(kBegin + 600, 1)});
  CHECK(rejected.told() == Lines{"eth1 NODATA"});
}

TEST_CASE("what is missing in a window is told as SKIPDATA beside what there is", "[sink][flow]") {
  Log log(of("eth1", FlowTraffic::kAccept));
  log.deliver({closed(kBegin), routed(), gap(kBegin + 10, kBegin + 20), closed(kBegin + 600)});
  CHECK(log.told() == Lines{"eth1 in 20", "eth1 out 18", "eth1 SKIPDATA"});
  // A gap over a boundary lies in both windows.
  log.deliver({gap(kBegin + 1190, kBegin + 1210), closed(kBegin + 1200), closed(kBegin + 1800)});
  CHECK(log.told() == Lines{"eth1 NODATA", "eth1 SKIPDATA", "eth1 NODATA", "eth1 SKIPDATA"});
  // Windows in which nobody ran.
  log.deliver({gap(kBegin + 1850, kBegin + 3100, RecordReason::kStopped), closed(kBegin + 3600)});
  CHECK(log.told() == Lines{"eth1 NODATA", "eth1 SKIPDATA", "eth1 NODATA", "eth1 SKIPDATA", "eth1 NODATA",
                            "eth1 SKIPDATA"});
}

TEST_CASE("of the time before a flow log there are no windows to tell of", "[sink][flow]") {
  Log log(of("eth1", FlowTraffic::kAccept));
  SessionRecord started = gap(kBegin, kBegin + 5, RecordReason::kStarted);
  started.start_time = kUnknownStart;
  log.deliver({started, closed(kBegin + 600), closed(kBegin + 1200)});
  CHECK(log.told() == Lines{"eth1 SKIPDATA", "eth1 NODATA"});
}

TEST_CASE("copies of refused packets that were lost are SKIPDATA where refused traffic is asked for",
          "[sink][flow]") {
  const auto told = [](FlowTraffic traffic, std::string_view iif) {
    FlowSinkSettings settings = of("eth1", traffic);
    Log log(settings);
    SessionRecord skipped = closed(kBegin + 600, 1);
    skipped.flow_kind = FlowKind::kSkipped;
    skipped.events_lost = Count(5);
    skipped.iif = iif;
    log.deliver({closed(kBegin), closed(kBegin, 1), skipped, closed(kBegin + 600), closed(kBegin + 600, 1)});
    return log.told();
  };
  CHECK(told(FlowTraffic::kReject, "eth1") == Lines{"eth1 NODATA", "eth1 SKIPDATA"});
  CHECK(told(FlowTraffic::kReject, "") == Lines{"eth1 NODATA", "eth1 SKIPDATA"});
  CHECK(told(FlowTraffic::kReject, "eth0") == Lines{"eth1 NODATA"});
  CHECK(told(FlowTraffic::kAll, "eth1") == Lines{"eth1 NODATA", "eth1 SKIPDATA"});
  CHECK(told(FlowTraffic::kAccept, "eth1") == Lines{"eth1 NODATA"});
}

TEST_CASE("beyond the limit of an interface entries are left out, and that is told", "[sink][flow]") {
  FlowSinkSettings settings = of("0.0.0.0/0", FlowTraffic::kAccept);
  settings.limits.entries = 3;
  Log log(settings);
  log.deliver({closed(kBegin), routed(), routed(), closed(kBegin + 600)});
  CHECK(log.told() == Lines{"eth1 in 20", "eth0 out 20", "eth0 in 18", "eth1 out 18", "eth1 in 20",
                            "eth0 out 20", "eth0 SKIPDATA", "eth1 SKIPDATA"});
  log.deliver({later(routed()), closed(kBegin + 1200)});
  CHECK(log.told() == kFour);
  CHECK(counts(*log.sink) == Counts{0, 2, 2});
}

TEST_CASE("each entry goes out once, however the destination takes them", "[sink][flow]") {
  FlakySink::Script script;
  for (std::size_t i = 0; i < 40; ++i) script.push_back(Answer::retry_later(i % 4, "busy"));
  Log log(of("0.0.0.0/0", FlowTraffic::kAccept), script);
  std::vector<SessionRecord> records{closed(kBegin)};
  Lines expected;
  for (std::uint32_t i = 0; i < 9; ++i) {
    SessionRecord record = routed();
    record.seq = i;
    record.pkts_from_vpc = Count(100 + i);
    record.pkts_from_pub = Count(200 + i);
    records.push_back(record);
    const std::string there = std::to_string(100 + i);
    const std::string back = std::to_string(200 + i);
    for (const std::string& line :
         {"eth1 in " + there, "eth0 out " + there, "eth0 in " + back, "eth1 out " + back})
      expected.push_back(line);
  }
  records.push_back(gap(kBegin + 10, kBegin + 20));
  records.push_back(closed(kBegin + 600));
  expected.insert(expected.end(), {"eth0 SKIPDATA", "eth1 SKIPDATA"});
  for (std::size_t done = 0; done < records.size();)
    done += log.deliver({records.begin() + static_cast<std::ptrdiff_t>(done), records.end()}).taken;
  CHECK(log.told() == expected);
  CHECK(counts(*log.sink) == Counts{0, 2, 0});
}

TEST_CASE("what was told of windows is known again after a restart", "[sink][flow]") {
  const std::vector<SessionRecord> records{
      closed(kBegin),          closed(kBegin, 1),       refused("eth1", 2),   gap(kBegin, kBegin),
      closed(kBegin + 600, 1), later(routed()),         closed(kBegin + 600), gap(kBegin + 700, kBegin + 800),
      closed(kBegin + 1200),   closed(kBegin + 1200, 1)};
  FlowSinkSettings settings = of("0.0.0.0/0");
  Log whole(settings);
  whole.deliver(records);
  const Lines expected = whole.told();
  CHECK(expected.size() > 6);
  for (std::size_t cut = 1; cut < records.size(); ++cut) {
    Log before(settings);
    before.deliver({records.begin(), records.begin() + static_cast<std::ptrdiff_t>(cut)});
    Log after(settings);
    after.sink->remember(before.sink->memory());
    after.deliver({records.begin() + static_cast<std::ptrdiff_t>(cut), records.end()});
    Lines told = before.told();
    const Lines rest = after.told();
    told.insert(told.end(), rest.begin(), rest.end());
    CHECK(told == expected);
  }
}

TEST_CASE("of the time that a flow log was off nothing is told, and its ends say SKIPDATA", "[sink][flow]") {
  FlowSinkSettings settings = of("eth1", FlowTraffic::kAccept);
  Log before(settings);
  before.deliver({closed(kBegin), routed(), closed(kBegin + 600)});
  CHECK(before.told() == kInside);
  settings.off = {{at_unix(kBegin + 700), at_unix(kBegin + 2000)}};
  Log after(settings);
  after.sink->remember(before.sink->memory());
  SessionRecord on = later(routed());
  on.start_time = at_unix(kBegin + 610);
  on.end_time = at_unix(kBegin + 700);
  SessionRecord off = later(routed());
  off.start_time = at_unix(kBegin + 700);
  off.end_time = at_unix(kBegin + 1150);
  SessionRecord on_again = later(routed(), 1200);
  on_again.start_time = at_unix(kBegin + 1900);
  on_again.end_time = at_unix(kBegin + 2001);
  // It was not there before, was off, and is there again: gaps of the time that it was off are not its own.
  after.deliver({on, off, closed(kBegin + 1200), gap(kBegin + 1300, kBegin + 1400), closed(kBegin + 1800),
                 gap(kBegin + 1900, kBegin + 2000), on_again, closed(kBegin + 2400), closed(kBegin + 3000)});
  CHECK(after.told() == Lines{"eth1 in 20", "eth1 out 18", "eth1 in 20", "eth1 out 18", "eth1 SKIPDATA",
                              "eth1 SKIPDATA", "eth1 NODATA"});
}

TEST_CASE("a memory that is damaged is no harm", "[sink][flow]") {
  FlowSinkSettings settings = of("0.0.0.0/0");
  Log log(settings);
  log.deliver({closed(kBegin), closed(kBegin, 1), routed()});
  const std::string memory = log.sink->memory();
  for (std::size_t at = 0; at < memory.size(); ++at) {
    for (const char c : {'\0', '\n', '\t', '9', '-'}) {
      std::string damaged = memory;
      damaged[at] = c;
      Log again(settings);
      again.sink->remember(damaged);
      again.deliver({routed(), gap(kBegin, kBegin + 1), closed(kBegin + 600), closed(kBegin + 600, 1)});
    }
  }
}

TEST_CASE("a part of the log that is off is not waited for beyond a window", "[sink][flow]") {
  Log log(of("eth1"));
  log.deliver({closed(kBegin), closed(kBegin, 1), closed(kBegin + 600), closed(kBegin + 1200)});
  CHECK(log.told().empty());
  log.deliver({closed(kBegin + 1800)});
  CHECK(log.told() == Lines{"eth1 NODATA"});
  CHECK(counts(*log.sink) == Counts{1, 0, 0});
}
