// The program runs in the kernel here too: a datagram socket pair takes the same filter and needs no
// privilege.
#include "conntrack/bpf_filter.h"

#include <linux/filter.h>
#include <sys/socket.h>

#include <array>

#include <catch2/catch.hpp>

#include "base/unique_fd.h"
#include "conntrack/decoder_fixture.h"

namespace natsession::testing {
namespace {

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

}  // namespace

TEST_CASE("the filter passes the NAT status that is asked for, and no other", "[conntrack][bpf]") {
  const auto kind = GENERATE(NlMessageBuilder::kNew, NlMessageBuilder::kUpdate, NlMessageBuilder::kDestroy);
  const std::uint32_t others = ~(kStatusSrcNat | kStatusDstNat);
  const auto none = with_status(kind, others);
  const auto snat = with_status(kind, kStatusSrcNat);
  const auto dnat = with_status(kind, kStatusDstNat);
  const auto both = with_status(kind, kStatusSrcNat | kStatusDstNat);
  FilteredPair for_snat(NatSelection::kSnat);
  CHECK_FALSE(for_snat.passes(none));
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

}  // namespace natsession::testing
