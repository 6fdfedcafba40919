#include "sink/ipfix/ipfix_sink.h"

#include <thread>

#include <catch2/catch.hpp>

#include "sink/ipfix_reader.h"
#include "sink/loopback.h"
#include "sink/sink_fixture.h"
#include "support/private_network.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

class IpfixFixture {
 public:
  std::unique_ptr<Sink> open(const std::string& url) {
    auto opened = open_sink(url, {}, clock);
    if (!opened) FAIL(opened.error().message);
    return std::move(*opened);
  }
  // 2026-11-21T14:34:22Z
  ManualClock clock{UnixNs(1'795'271'662s)};
};

// All that has come, by the port it came from.
class UdpCollector {
 public:
  std::size_t longest = 0;  // datagram
  std::vector<IpfixReader> sessions;

  void read(const UdpPeer& peer) {
    for (const Datagram& datagram : peer.take_from()) {
      if (datagram.from != last_) sessions.emplace_back();
      last_ = datagram.from;
      longest = std::max(longest, datagram.bytes.size());
      sessions.back().read(datagram.bytes);
    }
  }

 private:
  std::uint16_t last_ = 0;
};

class IpfixTcpFixture : public IpfixFixture {
 public:
  std::unique_ptr<Sink> open_tcp(const std::string& options = "") {
    return open("ipfix+tcp://" + listener.place() + options);
  }
  IpfixReader read(const UniqueFd& fd) const {
    IpfixReader reader;
    reader.read_stream(read_available(fd.get()));
    return reader;
  }
  Listener listener;
};

// The most that a datagram over a path of this MTU has, for 127.0.0.1.
void set_loopback_mtu(int mtu) {
  const std::string command = "ip link set lo up mtu " + std::to_string(mtu);
  REQUIRE(std::system(command.c_str()) == 0);
}

}  // namespace

TEST_CASE_METHOD(IpfixFixture, "a collector gets records by UDP, in datagrams that fit an Ethernet's path",
                 "[sink][ipfix]") {
  const UdpPeer peer;
  auto sink = open("ipfix://" + peer.place() + "?domain=77");
  CHECK(sink->deliver(numbered_records(0, 500)).kind == Answer::Kind::kDelivered);
  CHECK(sink->deliver(numbered_records(500, 600)).taken == 100);
  UdpCollector collector;
  collector.read(peer);
  REQUIRE(collector.sessions.size() == 1);
  CHECK(numbers_of(collector.sessions[0].records) == numbers(0, 600));
  CHECK(collector.sessions[0].domain == 77);
  CHECK(collector.sessions[0].export_time == 1'795'271'662);
  CHECK(collector.longest <= 1500 - 28);
  CHECK(collector.longest > 1300);
}

TEST_CASE_METHOD(IpfixFixture, "no datagram is longer than the path's MTU, also when that falls meanwhile",
                 "[sink][ipfix]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  set_loopback_mtu(1280);
  const UdpPeer peer;
  auto sink = open("ipfix://" + peer.place() + "?mtu=9000");
  CHECK(sink->deliver(numbered_records(0, 100)).kind == Answer::Kind::kDelivered);
  UdpCollector collector;
  collector.read(peer);
  CHECK(collector.longest <= 1280 - 28);
  CHECK(collector.longest > 1100);
  set_loopback_mtu(700);
  CHECK(sink->deliver(numbered_records(100, 200)).kind == Answer::Kind::kDelivered);
  UdpCollector after = collector;
  after.longest = 0;
  after.read(peer);
  CHECK(after.longest <= 700 - 28);
  REQUIRE(after.sessions.size() == 1);
  CHECK(numbers_of(after.sessions[0].records) == numbers(0, 200));
}

TEST_CASE_METHOD(IpfixFixture, "nor is it by IPv6", "[sink][ipfix]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  set_loopback_mtu(1400);
  const UniqueFd peer(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  socklen_t length = sizeof(address);
  REQUIRE(::bind(peer.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  ::getsockname(peer.get(), reinterpret_cast<sockaddr*>(&address), &length);
  auto sink = open("ipfix://[::1]:" + std::to_string(ntohs(address.sin6_port)) + "?mtu=9000");
  IpfixReader reader;
  for (const auto& [mtu, first] : {std::pair(1400, 0U), std::pair(1300, 100U)}) {
    set_loopback_mtu(mtu);
    CHECK(sink->deliver(numbered_records(first, first + 100)).kind == Answer::Kind::kDelivered);
    std::size_t longest = 0;
    for (const std::string& datagram : read_datagrams(peer.get())) {
      longest = std::max(longest, datagram.size());
      reader.read(datagram);
    }
    CHECK(longest <= static_cast<std::size_t>(mtu) - 48);
    CHECK(longest > static_cast<std::size_t>(mtu) - 200);
  }
  CHECK(numbers_of(reader.records) == numbers(0, 200));
}

TEST_CASE_METHOD(IpfixFixture, "where nobody listens, the batch comes again in another session",
                 "[sink][ipfix]") {
  UdpPeer peer;
  auto sink = open("ipfix://" + peer.place());
  CHECK(sink->deliver(numbered_records(0, 10)).kind == Answer::Kind::kDelivered);
  UdpCollector collector;
  collector.read(peer);
  peer.close();
  const Answer answer = sink->deliver(numbered_records(10, 20));
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(answer.taken == 0);
  CHECK_THAT(answer.why, Contains(peer.place()) && Contains("refused"));
  peer.open_again();
  CHECK(sink->deliver(numbered_records(10, 20)).kind == Answer::Kind::kDelivered);
  collector.read(peer);
  REQUIRE(collector.sessions.size() == 2);  // the second counts from 0, and has its templates
  CHECK(numbers_of(collector.sessions[0].records) == numbers(0, 10));
  CHECK(numbers_of(collector.sessions[1].records) == numbers(10, 20));
}

TEST_CASE_METHOD(IpfixFixture, "what waits goes out no faster than the rate", "[sink][ipfix]") {
  const UdpPeer peer;
  auto sink = open("ipfix://" + peer.place() + "?rate=10000");
  const auto begun = std::chrono::steady_clock::now();
  CHECK(sink->deliver(numbered_records(0, 3000)).kind == Answer::Kind::kDelivered);
  CHECK(std::chrono::steady_clock::now() - begun >= 300ms);
  UdpCollector collector;
  collector.read(peer);
  CHECK(numbers_of(collector.sessions.at(0).records) == numbers(0, 3000));
}

TEST_CASE_METHOD(IpfixFixture, "templates go out anew by time, also when nothing else does",
                 "[sink][ipfix]") {
  const UdpPeer peer;
  auto sink = open("ipfix://" + peer.place() + "?template_refresh=30s&options=no");
  CHECK(sink->deliver(numbered_records(0, 1)).kind == Answer::Kind::kDelivered);
  UdpCollector collector;
  collector.read(peer);
  const std::size_t at_first = collector.sessions.at(0).templates;
  clock.advance(29s);
  CHECK(sink->flush());
  collector.read(peer);
  CHECK(collector.sessions.at(0).templates == at_first);
  clock.advance(1s);
  CHECK(sink->flush());
  collector.read(peer);
  CHECK(collector.sessions.at(0).templates == at_first + 1);
  CHECK(sink->deliver(numbered_records(1, 2)).kind == Answer::Kind::kDelivered);
  collector.read(peer);
  CHECK(collector.sessions.at(0).templates == at_first + 1);
}

TEST_CASE_METHOD(IpfixFixture, "a check sends no record, and hears where nobody listens", "[sink][ipfix]") {
  UdpPeer peer;
  const auto config = SinkConfig::parse("ipfix://" + peer.place());
  REQUIRE(config);
  const auto reached = config->reach();
  REQUIRE(reached);
  CHECK_FALSE(reached->known);
  UdpCollector collector;
  collector.read(peer);
  REQUIRE(collector.sessions.size() == 1);
  CHECK(collector.sessions[0].sequence == 0);
  CHECK(collector.sessions[0].domain == 0);
  CHECK(collector.sessions[0].templates == 0);
  peer.close();
  const auto refused = config->reach();
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Contains(peer.place()) && Contains("refused"));
}

TEST_CASE_METHOD(IpfixFixture, "reopening asks for the address again, in another session", "[sink][ipfix]") {
  const UdpPeer peer;
  auto sink = open("ipfix://" + peer.place());
  CHECK(sink->deliver(numbered_records(0, 1)).taken == 1);
  UdpCollector collector;
  collector.read(peer);
  CHECK(sink->reopen());
  CHECK(sink->deliver(numbered_records(1, 2)).taken == 1);
  collector.read(peer);
  REQUIRE(collector.sessions.size() == 2);
  CHECK(numbers_of(collector.sessions[1].records) == numbers(1, 2));
}

TEST_CASE_METHOD(IpfixTcpFixture, "a collector gets records by TCP, with each template once",
                 "[sink][ipfix]") {
  auto sink = open_tcp();
  CHECK(sink->deliver(numbered_records(0, 300)).kind == Answer::Kind::kDelivered);
  const UniqueFd peer = listener.accept();
  CHECK(sink->deliver(numbered_records(300, 400)).kind == Answer::Kind::kDelivered);
  const IpfixReader reader = read(peer);
  CHECK(numbers_of(reader.records) == numbers(0, 400));
  CHECK(reader.templates == 2);  // of records, and of the name
  REQUIRE(reader.options.size() == 1);
  CHECK(reader.options[0].bytes(300) == "nat-1");
}

TEST_CASE_METHOD(IpfixTcpFixture, "a connection after one in good order counts from 0, with its templates",
                 "[sink][ipfix]") {
  auto sink = open_tcp();
  CHECK(sink->deliver(numbered_records(0, 10)).taken == 10);
  UniqueFd first = listener.accept();
  CHECK(numbers_of(read(first).records) == numbers(0, 10));
  first.reset();
  CHECK(sink->deliver(numbered_records(10, 20)).taken == 10);
  CHECK(numbers_of(read(listener.accept()).records) == numbers(10, 20));
}

TEST_CASE_METHOD(IpfixTcpFixture,
                 "what a collector had not read when it died comes again, as that connection counts",
                 "[sink][ipfix]") {
  auto sink = open_tcp();
  CHECK(sink->deliver(numbered_records(0, 10)).taken == 10);
  UniqueFd first = listener.accept();
  CHECK(numbers_of(read(first).records) == numbers(0, 10));
  CHECK(sink->deliver(numbered_records(10, 20)).taken == 10);
  testing::reset_connection(first);
  clock.advance(5s);
  std::uint32_t last = 20;
  SECTION("with the next batch") {
    CHECK(sink->deliver(numbered_records(20, 30)).taken == 10);
    last = 30;
  }
  SECTION("when nothing comes for a while") {
    CHECK(sink->flush());
  }
  SECTION("also if it dies again, once it has got more") {
    CHECK(sink->deliver(numbered_records(20, 30)).taken == 10);
    UniqueFd second = listener.accept();
    testing::reset_connection(second);
    listener.close();
    CHECK(sink->deliver(numbered_records(30, 40)).taken == 0);
    listener.listen_again();
    CHECK(sink->deliver(numbered_records(30, 40)).taken == 10);
    last = 40;
  }
  CHECK(numbers_of(read(listener.accept()).records) == numbers(0, last));
}

TEST_CASE_METHOD(IpfixTcpFixture, "what comes again has its templates, also if they were told long before",
                 "[sink][ipfix]") {
  constexpr std::uint32_t kCount = 20'000;  // more than the megabyte that is kept
  auto sink = open_tcp();
  UniqueFd first;
  for (std::uint32_t number = 0; number < kCount; number += 500) {
    REQUIRE(sink->deliver(numbered_records(number, number + 500)).taken == 500);
    if (!first) first = listener.accept();
    static_cast<void>(read_available(first.get()));
  }
  testing::reset_connection(first);
  std::string got;
  std::thread collector([&] {
    const UniqueFd peer = listener.accept();
    got = testing::read_to_end(peer.get());
  });
  CHECK(sink->flush());
  sink.reset();
  collector.join();
  IpfixReader reader;
  reader.read_stream(got);
  const auto again = numbers_of(reader.records);
  REQUIRE_FALSE(again.empty());
  CHECK(again.front() > 0);
  CHECK((again == numbers(again.front(), kCount)));
}
