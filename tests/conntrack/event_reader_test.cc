#include "conntrack/event_reader.h"

#include <catch2/catch.hpp>

#include "conntrack/decoder_fixture.h"
#include "support/event_list.h"

namespace natsession::testing {
namespace {

NlMessageBuilder::Bytes destroy_with(std::uint32_t status, std::uint32_t id = 1) {
  return NlMessageBuilder::event(NlMessageBuilder::kDestroy)
      .tuple(CTA_TUPLE_ORIG, kOriginal)
      .tuple(CTA_TUPLE_REPLY, kReply)
      .be32(CTA_ID, id)
      .be32(CTA_STATUS, status)
      .build();
}

struct Fixture {
  EventReader reader{kStatusSrcNat};
  EventList list;
  EventCounters counters;
  bool read(const NlMessageBuilder::Bytes& bytes, std::uint32_t port = 0, bool truncated = false) {
    return reader.read({bytes, port, truncated}, list, counters);
  }
};

}  // namespace

TEST_CASE("event reader hands on events with the NAT bits that are asked for", "[conntrack][events]") {
  Fixture fixture;
  CHECK(fixture.read(destroy_with(kStatusSrcNat)));
  CHECK(fixture.read(destroy_with(kStatusDstNat)));
  CHECK(fixture.read(destroy_with(kStatusSrcNat | kStatusDstNat)));
  CHECK(fixture.list.events.size() == 2);
  CHECK(fixture.counters.not_selected == 1);
  CHECK(fixture.counters.decode.destroy_events == 3);
}

TEST_CASE("event reader ignores and counts what another process sent", "[conntrack][events]") {
  Fixture fixture;
  CHECK(fixture.read(destroy_with(kStatusSrcNat), 4711));
  CHECK(fixture.list.events.empty());
  CHECK(fixture.counters.foreign == 1);
  CHECK(fixture.counters.decode == DecodeCounters{});
}

TEST_CASE("event reader takes a truncated message for a lost event", "[conntrack][events]") {
  Fixture fixture;
  CHECK_FALSE(fixture.read(destroy_with(kStatusSrcNat), 0, true));
  CHECK(fixture.list.events.empty());
  CHECK(fixture.counters.truncated == 1);
}

TEST_CASE("event reader reads all messages of a datagram", "[conntrack][events]") {
  Fixture fixture;
  auto bytes = destroy_with(kStatusSrcNat, 1);
  const auto done = NlMessageBuilder::answer(NLMSG_DONE, 0, 0);
  bytes.insert(bytes.end(), done.begin(), done.end());
  const auto second = destroy_with(kStatusSrcNat, 2);
  bytes.insert(bytes.end(), second.begin(), second.end());
  CHECK(fixture.read(bytes));
  REQUIRE(fixture.list.events.size() == 2);
  CHECK(fixture.list.events[1].id == 2);
  CHECK(fixture.counters.decode.skipped == 1);
}

TEST_CASE("event reader stops at a malformed message, and says that an event is lost",
          "[conntrack][events]") {
  Fixture fixture;
  auto bytes = destroy_with(kStatusSrcNat, 1);
  bytes.resize(bytes.size() + 5, std::byte{1});
  CHECK_FALSE(fixture.read(bytes));
  CHECK(fixture.list.events.size() == 1);
  CHECK(fixture.counters.decode.malformed == 1);
}

}  // namespace natsession::testing
