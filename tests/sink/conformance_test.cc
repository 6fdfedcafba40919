// What every sink promises: records in order, `taken` exact, none lost however often it is tried again; none
// twice, but where the sink's own protocol cannot tell what became of them.
#include <chrono>

#include <catch2/catch.hpp>

#include "sink/rigs.h"

using namespace natsession;
using namespace std::chrono_literals;
using namespace natsession::testing;

namespace {

using SyslogOctetsRig = TcpRig<SyslogStream<SyslogFraming::kOctets>>;
using SyslogNewlineRig = TcpRig<SyslogStream<SyslogFraming::kNewline>>;
using IpfixTcpRig = TcpRig<IpfixStream>;

#ifdef NATSESSION_TEST_TLS
using SyslogTlsRig = TlsRig<SyslogStream<SyslogFraming::kOctets>>;
using IpfixTlsRig = TlsRig<IpfixStream>;
#define TLS_RIGS , SyslogTlsRig, IpfixTlsRig
#else
#define TLS_RIGS
#endif
#ifdef NATSESSION_TEST_HTTP
#define HTTP_RIGS , HttpRig, ClickHouseRig, ElasticsearchRig, LokiRig, OtlpRig
#else
#define HTTP_RIGS
#endif
#ifdef NATSESSION_TEST_CLOUD
using SlsRig = HttpServerRig<SlsPeer>;
using ClsRig = HttpServerRig<ClsPeer>;
using LtsRig = HttpServerRig<LtsPeer>;
#define CLOUD_RIGS , SlsRig, ClsRig, LtsRig
#else
#define CLOUD_RIGS
#endif
#ifdef NATSESSION_TEST_KAFKA
#define KAFKA_RIGS , KafkaRig
#else
#define KAFKA_RIGS
#endif
#define ALL_RIGS                                                                              \
  StdoutRig, FifoRig, LimitedFileRig, FullDiskRig, JournaldRig, SyslogLocalRig, SyslogUdpRig, \
      SyslogOctetsRig, SyslogNewlineRig, IpfixUdpRig, IpfixTcpRig,                            \
      ExecRig TLS_RIGS HTTP_RIGS CLOUD_RIGS KAFKA_RIGS

// How many records have arrived with none missing before them. Whatever comes out of order is an error; what
// comes again is one unless the rig's sink may repeat.
std::size_t arrived_in_order(const std::vector<std::uint32_t>& numbers, bool may_repeat) {
  std::uint32_t next = 0;
  for (const std::uint32_t number : numbers) {
    if (number > next) FAIL("number " << number << " has come before number " << next);
    if (number < next && !may_repeat) FAIL("number " << number << " has come twice");
    if (number == next) ++next;
  }
  return next;
}

template <typename Rig>
std::size_t arrived_in_order(Rig& rig) {
  return arrived_in_order(rig.arrived(), Rig::kRepeats);
}

template <typename Rig>
void check_arrived(Rig& rig, std::size_t taken) {
  const auto enough = [&] { return arrived_in_order(rig) >= taken; };
  if (Rig::kAtOnce ? enough() : eventually(enough)) {
    if (Rig::kAtOnce && !Rig::kRepeats && arrived_in_order(rig) != taken)
      FAIL("more have arrived than were taken");
    return;
  }
  FAIL("taken is " << taken << ", there are " << arrived_in_order(rig));
}

// Delivers as the worker does: what was not taken is offered again, after room was given. Returns how often
// it was refused.
template <typename Rig>
std::size_t deliver_all(Rig& rig, std::span<const SessionRecord> records, std::size_t batch,
                        std::size_t taken = 0) {
  std::size_t refusals = 0;
  while (taken < records.size() && refusals < 2000) {
    const auto offered = records.subspan(taken, std::min(batch, records.size() - taken));
    const Answer answer = rig.sink().deliver(offered);
    taken += answer.taken;
    check_arrived(rig, taken);
    if (answer.kind == Answer::Kind::kDelivered) {
      CHECK(answer.taken == offered.size());
      continue;
    }
    REQUIRE(answer.kind == Answer::Kind::kRetryLater);
    CHECK(answer.taken < offered.size());
    CHECK_FALSE(answer.why.empty());
    ++refusals;
    rig.give_room();
  }
  CHECK(taken == records.size());
  return refusals;
}

}  // namespace

TEMPLATE_TEST_CASE("every sink keeps order, loses nothing and counts exactly", "[sink][conformance]",
                   ALL_RIGS) {
  TestType rig;
  if (!rig.why_not().empty()) {
    if (must_not_skip()) FAIL("cannot be had here: " << rig.why_not());
    WARN("skipped: " << rig.why_not());
    return;
  }
  constexpr std::uint32_t kCount = 600;
  const auto records = numbered_records(0, kCount);
  const std::size_t refusals = deliver_all(rig, records, 250);
  CHECK(arrived_in_order(rig) == kCount);
  CHECK(refusals > 0);
}

TEMPLATE_TEST_CASE("every sink has the name of its URL, and can be flushed and reopened at any time",
                   "[sink][conformance]", ALL_RIGS) {
  TestType rig;
  if (!rig.why_not().empty()) return;
  CHECK_FALSE(rig.sink().name().empty());
  CHECK(rig.sink().flush());
  CHECK(rig.sink().reopen());
  rig.give_room();
  const auto records = numbered_records(0, 2);
  deliver_all(rig, std::span(records).first(1), 1);
  CHECK(rig.sink().deliver({}).kind == Answer::Kind::kDelivered);
  CHECK(rig.sink().reopen());
  CHECK(rig.sink().flush());
  rig.give_room();
  deliver_all(rig, records, 1, /*taken=*/1);
}

TEMPLATE_TEST_CASE("no text makes two records of one, or one of two", "[sink][conformance]", ALL_RIGS) {
  TestType rig;
  if (!rig.why_not().empty()) return;
  auto records = numbered_records(0, 3);
  records[1].origin = &hostile_origin();
  rig.give_room();
  deliver_all(rig, records, 3);
  CHECK(arrived_in_order(rig) == 3);
}

TEST_CASE("a sink whose destination does not answer ends at once", "[sink][conformance]") {
  const Listener listener;
  const std::string options = "?timeout=100ms";
  const std::string place = listener.place() + options;
  const std::string url = [&] {
    switch (GENERATE(range(0, 12))) {
      case 0:
        return "syslog+udp://" + place;
      case 1:
        return "syslog+tcp://" + place;
      case 2:
        return "syslog+tcp://192.0.2.1" + options;
      case 3:
        return "syslog+tls://" + place + "&verify=off";
      case 4:
        return "http://" + place;
      case 5:
        return "ipfix://" + place;
      case 6:
        return "ipfix+tcp://" + place;
      case 7:
        return "ipfix+tls://" + place + "&verify=off";
      case 8:
        return "sls://" + listener.place() + "/p/l" + options +
               "&tls=off&region=r&role=auto&metadata=http://" + listener.place();
      case 9:
        return "clickhouse://" + listener.place() + "/d/t" + options;
      case 10:
        return "kafka://" + listener.place() + "/nat" + options;
      default:
        return "https://" + place + "&verify=off";
    }
  }();
  if (!check_sink_url(url)) return;  // built without it
  CAPTURE(url);
  const ManualClock clock{UnixNs(0s)};
  const auto begun = std::chrono::steady_clock::now();
  {
    auto sink = std::move(*open_sink(url, {}, clock));
    static_cast<void>(sink->deliver(numbered_records(0, 2000)));
    static_cast<void>(sink->flush());
  }
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
}
