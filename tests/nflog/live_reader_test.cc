// RefusedReader against the kernel: rules of nft that log and drop, and datagrams over lo.
#include <arpa/inet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <optional>

#include <catch2/catch.hpp>
#include <poll.h>

#include "base/unique_fd.h"
#include "nflog/refused_reader.h"
#include "support/private_network.h"

namespace natsession::testing {
namespace {

void run(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(("PATH=\"$PATH:/usr/sbin:/sbin\" " + command).c_str()) == 0);
}

// lo is up, and packets to port 7 are logged and dropped on their way in, to port 9 on their way out.
void refuse() {
  run("ip link set lo up");
  run("nft -f - <<'RULES'\ntable inet t {\n chain i { type filter hook input priority 0\n"
      "  udp dport 7 log group 100 drop\n }\n chain o { type filter hook output priority 0\n"
      "  udp dport 9 log group 101 drop\n }\n}\nRULES\n");
}

class Sender {
 public:
  explicit Sender(int family) : v4_(family == AF_INET), fd_(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    REQUIRE(fd_);
  }
  // A datagram over lo; one that is dropped on its way out fails with EPERM.
  void send(std::uint16_t port, std::size_t bytes) {
    const std::string data(bytes, 'x');
    if (v4_) {
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(port);
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      (void)::sendto(fd_.get(), data.data(), data.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
    } else {
      sockaddr_in6 to{};
      to.sin6_family = AF_INET6;
      to.sin6_port = htons(port);
      to.sin6_addr = in6addr_loopback;
      (void)::sendto(fd_.get(), data.data(), data.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
    }
  }

 private:
  bool v4_;
  UniqueFd fd_;
};

RefusedReader open_reader(const SystemClock& clock, std::vector<std::uint16_t> groups,
                          ByteCount buffer = NflogOptions().receive_buffer) {
  auto reader = RefusedReader::open({std::move(groups), buffer}, clock);
  if (!reader) FAIL(reader.error().message);
  return *std::move(reader);
}

// Until so many copies came or were lost. The kernel hands on what it has after a tenth of a second.
void read_until(RefusedReader& reader, RefusedTable& table, std::uint64_t count) {
  for (int turn = 0; reader.counters().packets + reader.counters().lost < count; ++turn) {
    REQUIRE(turn < 1000);
    pollfd waiting{reader.fd(), POLLIN, 0};
    REQUIRE(::poll(&waiting, 1, 10'000) == 1);
    const auto more = reader.on_readable(table);
    if (!more) FAIL(more.error().message);
  }
}

std::vector<RefusedFlow> flows_of(RefusedTable& table) {
  REQUIRE(table.close_window());
  std::vector<RefusedFlow> flows;
  table.take(1'000'000, [&](const RefusedFlow& flow) { flows.push_back(flow); });
  return flows;
}

}  // namespace

TEST_CASE("what rules refuse is read with interface, direction, tuple, length and time", "[nflog][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  refuse();
  const SystemClock clock;
  RefusedReader reader = open_reader(clock, {100, 101});
  RefusedTable table(100);
  const UnixMs before = to_ms(clock.now());
  Sender v4(AF_INET);
  Sender v6(AF_INET6);
  for (int i = 0; i < 3; ++i) v4.send(7, 100);
  v6.send(7, 10);
  v4.send(9, 1);
  v6.send(9, 2);
  v4.send(8, 1);  // which no rule refuses
  read_until(reader, table, 6);
  const auto flows = flows_of(table);
  REQUIRE(flows.size() == 4);
  std::map<std::string, std::string> told;
  for (const RefusedFlow& flow : flows) {
    CHECK(flow.interface == ::if_nametoindex("lo"));
    CHECK(flow.protocol == 17);
    CHECK(flow.src == flow.dst);
    CHECK(flow.first >= before);
    CHECK(flow.last <= to_ms(clock.now()));
    told[flow.dst.to_string() + " " + std::to_string(flow.dst_port)] =
        (flow.egress ? "egress " : "ingress ") + std::to_string(flow.packets) + " " +
        std::to_string(flow.bytes);
  }
  CHECK(told == std::map<std::string, std::string>{{"127.0.0.1 7", "ingress 3 384"},
                                                   {"::1 7", "ingress 1 58"},
                                                   {"127.0.0.1 9", "egress 1 29"},
                                                   {"::1 9", "egress 1 50"}});
  CHECK(reader.counters() == RefusedCounters{6, 384 + 58 + 29 + 50, 0, 0, 0, 0, 0});
  CHECK(reader.groups()[0].copies == 4);
  CHECK(reader.groups()[1].copies == 2);
}

TEST_CASE("copies that a small buffer had no room for are counted exactly", "[nflog][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  refuse();
  const SystemClock clock;
  RefusedReader reader = open_reader(clock, {100, 101}, ByteCount{1});
  RefusedTable table(100);
  Sender sender(AF_INET);
  constexpr std::uint64_t kMany = 5000;
  for (std::uint64_t i = 0; i < kMany; ++i) sender.send(7, 20);
  while (*reader.on_readable(table)) {
  }
  CHECK(reader.counters().dropped_messages > 0);  // it is known that there was a loss, before how much
  read_until(reader, table, 1);
  // What shows how many: one copy more, which the kernel hands on with what it had begun to gather.
  sender.send(7, 20);
  read_until(reader, table, kMany + 1);
  CHECK(reader.counters().lost > 0);
  CHECK(reader.counters().packets + reader.counters().lost == kMany + 1);
  CHECK(reader.groups()[0].lost == reader.counters().lost);
  std::uint64_t told = 0;
  for (const RefusedFlow& flow : flows_of(table)) told += flow.packets;
  CHECK(told == reader.counters().packets);
}

TEST_CASE("copies that come while other groups are still being bound are not lost", "[nflog][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  run("ip link set lo up");
  run("nft 'add table inet t; add chain inet t i { type filter hook input priority 0 ; };"
      " add rule inet t i udp dport 7 log group 100 queue-threshold 1 drop'");
  const pid_t sender = ::fork();
  if (sender == 0) {
    for (Sender endless(AF_INET);;) endless.send(7, 20);
  }
  REQUIRE(sender > 0);
  const SystemClock clock;
  RefusedTable table(100);
  for (int time = 0; time < 20; ++time) {
    RefusedReader reader = open_reader(clock, {100, 101, 102, 103, 104, 105, 106, 107, 108, 109});
    read_until(reader, table, 100);
    CHECK(reader.counters().lost == 0);
    CHECK(reader.counters().strange_messages == 0);
  }
  ::kill(sender, SIGKILL);
  ::waitpid(sender, nullptr, 0);
}

TEST_CASE("a group that another socket has is refused, and is told with its owner", "[nflog][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  const SystemClock clock;
  {
    const RefusedReader first = open_reader(clock, {100});
    const auto second = RefusedReader::open({{101, 100}, ByteCount{4096}}, clock);
    REQUIRE_FALSE(second);
    CHECK(second.error().kind == ErrorKind::kUnavailable);
    CHECK_THAT(second.error().message,
               Catch::Contains("group 100") && Catch::Contains("process " + std::to_string(::getpid())));
    CHECK(owner_of_group(100).find(std::to_string(::getpid())) != std::string::npos);
  }
  CHECK(owner_of_group(100).empty());
  (void)open_reader(clock, {100, 101});  // both are free again
}

TEST_CASE("groups that are none, and a missing privilege, are told", "[nflog][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  const SystemClock clock;
  for (const std::vector<std::uint16_t>& groups :
       {std::vector<std::uint16_t>{}, {0}, {7, 7}, std::vector<std::uint16_t>(17, 1)}) {
    const auto reader = RefusedReader::open({groups, ByteCount{4096}}, clock);
    REQUIRE_FALSE(reader);
    CHECK(reader.error().kind == ErrorKind::kUsage);
  }
  CHECK(as_nobody([&] {
          const auto reader = RefusedReader::open({{100}, ByteCount{4096}}, clock);
          return !reader && reader.error().kind == ErrorKind::kPermission ? 0 : 1;
        }) == 0);
}

TEST_CASE("a socket that another process opened is read on, and what it knew not is not claimed",
          "[nflog][lab]") {
  const PrivateNetwork network;
  if (!network.entered()) return;
  refuse();
  const SystemClock clock;
  std::optional<RefusedReader> first = open_reader(clock, {100});
  RefusedTable table(100);
  Sender sender(AF_INET);
  for (int i = 0; i < 3; ++i) sender.send(7, 1);
  read_until(*first, table, 3);
  UniqueFd kept(::dup(first->fd()));
  first.reset();
  sender.send(7, 1);  // while nobody reads
  using From = CopySequence::From;
  UniqueFd again(::dup(kept.get()));
  auto second = RefusedReader::adopt(std::move(kept), {100}, clock, From::kFirst);
  REQUIRE(second);
  read_until(*second, table, 1);
  CHECK(second->counters().lost == 0);
  sender.send(7, 1);
  auto third = RefusedReader::adopt(std::move(again), {100}, clock, From::kZero);
  REQUIRE(third);
  read_until(*third, table, 5);
  CHECK(third->counters().lost == 4);
  CHECK(third->receive_buffer() > ByteCount{4096});
  CHECK_FALSE(RefusedReader::adopt(UniqueFd(::open("/dev/null", O_RDONLY)), {100}, clock, From::kZero));
}

TEST_CASE("sequence numbers tell what is missing, also where they wrap", "[nflog]") {
  CopySequence sequence;
  CHECK(sequence.lost_before(0) == 0);
  CHECK(sequence.lost_before(1) == 0);
  CHECK(sequence.lost_before(10) == 8);
  CHECK(CopySequence().lost_before(5) == 5);
  CHECK(sequence.lost_before(0xffff'fffe) == 0xffff'fff3);
  CHECK(sequence.lost_before(2) == 3);
}

}  // namespace natsession::testing
