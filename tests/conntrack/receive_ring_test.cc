// The ring over a datagram socket pair, which needs no privilege. Its peer has no port, so senders read as 0.
#include "conntrack/receive_ring.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <catch2/catch.hpp>
#include <fcntl.h>

#include "base/unique_fd.h"

namespace natsession::testing {
namespace {

struct Fixture {
  UniqueFd in;
  UniqueFd out;
  std::span<std::byte> region;
  ReceiveRing ring = make_ring();

  Fixture() {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    in.reset(fds[0]);
    out.reset(fds[1]);
    REQUIRE(::fcntl(in.get(), F_SETFL, O_NONBLOCK) == 0);
  }
  ReceiveRing make_ring() {
    auto memory = MemoryRegion::anonymous(ReceiveRing::kRegionBytes);
    REQUIRE(memory);
    region = memory->bytes();
    return ReceiveRing(*std::move(memory));
  }
  bool send(std::byte fill, std::size_t size) {
    const std::vector<std::byte> message(size, fill);
    return ::send(in.get(), message.data(), size, 0) == static_cast<ssize_t>(size);
  }
  // How many slots a successor would find to be still to handle.
  [[nodiscard]] std::size_t unhandled() const {
    std::size_t count = 0;
    for (std::size_t slot = 0; slot < ReceiveRing::kSlots; ++slot) {
      std::uint32_t length = 0;
      std::memcpy(&length, region.data() + slot * ReceiveRing::kSlotBytes + ReceiveRing::kSenderBytes,
                  sizeof(length));
      count += length != 0 ? 1 : 0;
    }
    return count;
  }
};

}  // namespace

TEST_CASE("ring takes what is queued, in order", "[conntrack][ring]") {
  Fixture fixture;
  REQUIRE(fixture.send(std::byte{1}, 100));
  REQUIRE(fixture.send(std::byte{2}, 200));
  const auto round = fixture.ring.receive(fixture.out.get());
  REQUIRE(round.count == 2);
  CHECK(fixture.ring.datagram(0).bytes.size() == 100);
  CHECK(fixture.ring.datagram(1).bytes.size() == 200);
  CHECK(fixture.ring.datagram(1).bytes[199] == std::byte{2});
  CHECK(fixture.ring.datagram(0).sender_port == 0);
  CHECK_FALSE(fixture.ring.datagram(0).truncated);
}

TEST_CASE("ring says EAGAIN when nothing is queued", "[conntrack][ring]") {
  Fixture fixture;
  const auto round = fixture.ring.receive(fixture.out.get());
  CHECK(round.count == 0);
  CHECK(round.error_number == EAGAIN);
}

TEST_CASE("ring takes at most its slots in a round and the rest in the next", "[conntrack][ring]") {
  Fixture fixture;
  std::size_t sent = 0;
  std::size_t received = 0;
  // A socket pair queues only a few; the ring is filled over as many rounds as it takes.
  constexpr std::size_t kAll = 3 * ReceiveRing::kSlots;
  while (received < kAll) {
    while (sent < kAll && fixture.send(std::byte(sent), 16)) ++sent;
    const auto round = fixture.ring.receive(fixture.out.get());
    REQUIRE(round.error_number == 0);
    REQUIRE(round.count <= ReceiveRing::kSlots);
    for (std::size_t slot = 0; slot < round.count; ++slot) {
      CHECK(fixture.ring.datagram(slot).bytes[0] == std::byte(received++));
    }
  }
  CHECK(received == kAll);
}

TEST_CASE("ring detects a message that is longer than a slot", "[conntrack][ring]") {
  Fixture fixture;
  REQUIRE(fixture.send(std::byte{1}, ReceiveRing::kPayloadBytes));
  REQUIRE(fixture.send(std::byte{2}, ReceiveRing::kPayloadBytes + 1));
  REQUIRE(fixture.send(std::byte{3}, 8));
  REQUIRE(fixture.ring.receive(fixture.out.get()).count == 3);
  CHECK_FALSE(fixture.ring.datagram(0).truncated);
  CHECK(fixture.ring.datagram(1).truncated);
  CHECK(fixture.ring.datagram(1).bytes.size() == ReceiveRing::kPayloadBytes);
  CHECK(fixture.ring.datagram(2).bytes[0] == std::byte{3});  // not overrun by its neighbour
  // A truncated message does not mark the slot for the next.
  REQUIRE(fixture.send(std::byte{4}, 8));
  REQUIRE(fixture.send(std::byte{5}, 8));
  REQUIRE(fixture.ring.receive(fixture.out.get()).count == 2);
  CHECK_FALSE(fixture.ring.datagram(1).truncated);
}

TEST_CASE("ring's memory shows what was received and not yet handled", "[conntrack][ring]") {
  Fixture fixture;
  CHECK(fixture.unhandled() == 0);
  for (int message = 0; message < 5; ++message) REQUIRE(fixture.send(std::byte{7}, 64));
  REQUIRE(fixture.ring.receive(fixture.out.get()).count == 5);
  CHECK(fixture.unhandled() == 5);
  fixture.ring.mark_handled(0);
  fixture.ring.mark_handled(1);
  CHECK(fixture.unhandled() == 3);
  // Posted again: what was left is gone before the kernel may write.
  CHECK(fixture.ring.receive(fixture.out.get()).count == 0);
  CHECK(fixture.unhandled() == 0);
}

TEST_CASE("ring's slots do not share a set of the first-level cache", "[conntrack][ring]") {
  constexpr std::size_t kLine = 64;
  CHECK(ReceiveRing::kSlotBytes % kLine == 0);
  CHECK(ReceiveRing::kSlotBytes / kLine % 2 == 1);
}

}  // namespace natsession::testing
