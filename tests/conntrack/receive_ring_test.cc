// The ring over a datagram socket pair, which needs no privilege. Its peer has no port, so senders read as 0.
#include "conntrack/receive_ring.h"

#include <linux/filter.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <catch2/catch.hpp>
#include <fcntl.h>

#include "base/unique_fd.h"
#include "conntrack/decoder_fixture.h"
#include "conntrack/netlink_socket.h"

namespace natsession::testing {
namespace {

struct RingFixture {
  UniqueFd in;
  UniqueFd out;
  std::vector<std::byte> region = std::vector<std::byte>(ReceiveRing::kRegionBytes);
  std::atomic<std::uint64_t> rounds{0};
  ReceiveRing ring{region, rounds};

  RingFixture() {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    in.reset(fds[0]);
    out.reset(fds[1]);
    REQUIRE(::fcntl(in.get(), F_SETFL, O_NONBLOCK) == 0);
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

TEST_CASE("ring takes what is queued, in order", "[conntrack][ring]") {
  RingFixture fixture;
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
  RingFixture fixture;
  const auto round = fixture.ring.receive(fixture.out.get());
  CHECK(round.count == 0);
  CHECK(round.error_number == EAGAIN);
}

TEST_CASE("ring takes at most its slots in a round and the rest in the next", "[conntrack][ring]") {
  RingFixture fixture;
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
  RingFixture fixture;
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
  RingFixture fixture;
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

// The program runs in the kernel here too: a datagram socket pair takes the same filter and needs no
// privilege.

class FilteredPair {
 public:
  explicit FilteredPair(NatSelection selection) {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds.data()) == 0);
    in_.reset(fds[0]);
    out_.reset(fds[1]);
    BpfProgram program = nat_event_filter(selection);
    const sock_fprog description{static_cast<unsigned short>(program.size()), program.data()};
    REQUIRE(::setsockopt(out_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &description, sizeof(description)) == 0);
  }

  bool passes(const NlMessageBuilder::Bytes& message) {
    REQUIRE(::send(in_.get(), message.data(), message.size(), 0) == static_cast<ssize_t>(message.size()));
    std::array<std::byte, 4096> buffer{};
    const ssize_t length = ::recv(out_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (length >= 0) CHECK(length == static_cast<ssize_t>(message.size()));  // passed whole
    return length >= 0;
  }

 private:
  UniqueFd in_;
  UniqueFd out_;
};

NlMessageBuilder::Bytes with_status(NlMessageBuilder::Kind kind, std::uint32_t status) {
  return NlMessageBuilder::event(kind)
      .tuple(CTA_TUPLE_ORIG, kOriginal)
      .tuple(CTA_TUPLE_REPLY, kReply)
      .be32(CTA_ID, 0xffffffff)  // a filter that looked at the wrong word would pass on this
      .be32(CTA_STATUS, status)
      .be32(CTA_MARK, 0xffffffff)
      .build();
}

TEST_CASE("the filter passes the NAT status that is asked for, and no other", "[conntrack][bpf]") {
  const auto kind = GENERATE(NlMessageBuilder::kNew, NlMessageBuilder::kUpdate, NlMessageBuilder::kDestroy);
  const std::uint32_t others = ~(kStatusSrcNat | kStatusDstNat);
  const auto none = with_status(kind, others);
  const auto snat = with_status(kind, kStatusSrcNat);
  const auto dnat = with_status(kind, kStatusDstNat);
  const auto both = with_status(kind, kStatusSrcNat | kStatusDstNat);
  FilteredPair for_snat(NatSelection::kSnat);
  CHECK_FALSE(for_snat.passes(none));
  CHECK(FilteredPair(NatSelection::kAll).passes(none));
  CHECK(FilteredPair(NatSelection::kAll).passes(both));
  CHECK(for_snat.passes(snat));
  CHECK_FALSE(for_snat.passes(dnat));
  CHECK(for_snat.passes(both));
  FilteredPair for_dnat(NatSelection::kDnat);
  CHECK_FALSE(for_dnat.passes(none));
  CHECK_FALSE(for_dnat.passes(snat));
  CHECK(for_dnat.passes(dnat));
  CHECK(for_dnat.passes(both));
  FilteredPair for_any(NatSelection::kAny);
  CHECK_FALSE(for_any.passes(none));
  CHECK(for_any.passes(snat));
  CHECK(for_any.passes(dnat));
  CHECK(for_any.passes(both));
}

TEST_CASE("the filter leaves an event without a status to user space", "[conntrack][bpf]") {
  FilteredPair pair(NatSelection::kSnat);
  CHECK(pair.passes(NlMessageBuilder::event(NlMessageBuilder::kDestroy)
                        .tuple(CTA_TUPLE_ORIG, kOriginal)
                        .tuple(CTA_TUPLE_REPLY, kReply)
                        .build()));
}

TEST_CASE("the filter drops everything that is no conntrack event", "[conntrack][bpf]") {
  FilteredPair pair(NatSelection::kAny);
  CHECK_FALSE(pair.passes(NlMessageBuilder::answer(NLMSG_ERROR, -1, 1)));
  CHECK_FALSE(pair.passes(NlMessageBuilder::answer(NLMSG_DONE, 0, 1)));
  CHECK_FALSE(pair.passes(NlMessageBuilder::answer(NLMSG_OVERRUN, 0, 1)));
  for (const int type : {NFNL_SUBSYS_CTNETLINK_EXP << 8, NFNL_SUBSYS_NFTABLES << 8,
                         NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
                         NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS}) {
    CAPTURE(type);
    CHECK_FALSE(pair.passes(
        NlMessageBuilder(static_cast<std::uint16_t>(type), 0).be32(CTA_STATUS, 0xffffffff).build()));
  }
  CHECK_FALSE(pair.passes(NlMessageBuilder::Bytes(3)));
}

}  // namespace
}  // namespace natsession::testing
