#include <cerrno>

#include <catch2/catch.hpp>

#include "conntrack/conntrack_source.h"
#include "conntrack/decoder_fixture.h"
#include "conntrack/table_dump.h"
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
  EventReader::Messages ends;  // of DESTROY
  bool read(const NlMessageBuilder::Bytes& bytes, std::uint32_t port = 0, bool truncated = false) {
    return reader.read({bytes, port, truncated}, list, counters, ends);
  }
};

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

constexpr std::uint32_t kSequence = 5;

NlMessageBuilder::Bytes entry(std::uint32_t status, std::uint32_t sequence = kSequence,
                              std::uint16_t flags = 0) {
  return NlMessageBuilder::event(NlMessageBuilder::kUpdate)
      .tuple(CTA_TUPLE_ORIG, kOriginal)
      .tuple(CTA_TUPLE_REPLY, kReply)
      .be32(CTA_STATUS, status)
      .sequence(sequence)
      .add_flags(static_cast<std::uint16_t>(NLM_F_MULTI | flags))
      .build();
}

NlMessageBuilder::Bytes joined(std::initializer_list<NlMessageBuilder::Bytes> messages) {
  NlMessageBuilder::Bytes all;
  for (const auto& message : messages) all.insert(all.end(), message.begin(), message.end());
  return all;
}

struct DumpFixture {
  DumpReader reader{kSequence, kStatusSrcNat};
  EventList list;
  DumpCounters counters;
  Result<DumpReader::State> read(const NlMessageBuilder::Bytes& bytes) {
    return reader.read(bytes, list, counters);
  }
};

const auto kDone = NlMessageBuilder::answer(NLMSG_DONE, 0, kSequence);

TEST_CASE("dump reader hands on selected entries as updates, until the end", "[conntrack][dump]") {
  DumpFixture fixture;
  REQUIRE(*fixture.read(joined({entry(kSnatStatus), entry(kSnatStatus)})) == DumpReader::State::kMore);
  REQUIRE(*fixture.read(joined({entry(kSnatStatus), kDone})) == DumpReader::State::kDone);
  REQUIRE(fixture.list.events.size() == 3);
  CHECK(fixture.list.events[0].type == EventType::kUpdate);
  CHECK_FALSE(fixture.reader.interrupted());
}

TEST_CASE("dump reader checks the status itself, and leaves out dying entries", "[conntrack][dump]") {
  DumpFixture fixture;
  REQUIRE(fixture.read(
      joined({entry(0), entry(kStatusDstNat), entry(kSnatStatus | kStatusDying), entry(kSnatStatus)})));
  CHECK(fixture.list.events.size() == 1);
  CHECK(fixture.counters.not_selected == 2);
  CHECK(fixture.counters.dying == 1);
}

TEST_CASE("dump reader tells an interrupted dump from a whole one", "[conntrack][dump]") {
  SECTION("marked in an entry") {
    DumpFixture fixture;
    REQUIRE(fixture.read(entry(kSnatStatus, kSequence, NLM_F_DUMP_INTR)));
    REQUIRE(*fixture.read(kDone) == DumpReader::State::kDone);
    CHECK(fixture.reader.interrupted());
    CHECK(fixture.list.events.size() == 1);
  }
  SECTION("marked at the end") {
    DumpFixture fixture;
    REQUIRE(*fixture.read(NlMessageBuilder::answer(NLMSG_DONE, 0, kSequence, NLM_F_DUMP_INTR)) ==
            DumpReader::State::kDone);
    CHECK(fixture.reader.interrupted());
  }
}

TEST_CASE("dump reader ignores the rest of an earlier dump", "[conntrack][dump]") {
  DumpFixture fixture;
  const auto earlier = joined({entry(kSnatStatus, kSequence - 1, NLM_F_DUMP_INTR),
                               NlMessageBuilder::answer(NLMSG_DONE, 0, kSequence - 1),
                               NlMessageBuilder::answer(NLMSG_ERROR, -EIO, kSequence - 1)});
  REQUIRE(*fixture.read(earlier) == DumpReader::State::kMore);
  CHECK(fixture.list.events.empty());
  CHECK(fixture.counters.stale == 3);
  CHECK_FALSE(fixture.reader.interrupted());
}

TEST_CASE("dump reader reports an error before the first entry as a refusal", "[conntrack][dump]") {
  DumpFixture fixture;
  REQUIRE(*fixture.read(NlMessageBuilder::answer(NLMSG_ERROR, -EOPNOTSUPP, kSequence)) ==
          DumpReader::State::kRefused);
  CHECK(fixture.reader.error_number() == EOPNOTSUPP);
}

TEST_CASE("dump reader reports an error behind the first entry as a failure", "[conntrack][dump]") {
  const auto type = GENERATE(as<std::uint16_t>(), NLMSG_ERROR, NLMSG_DONE);
  DumpFixture fixture;
  REQUIRE(fixture.read(entry(kSnatStatus)));
  const auto failed = fixture.read(NlMessageBuilder::answer(type, -EIO, kSequence));
  REQUIRE_FALSE(failed);
  CHECK(failed.error().kind == ErrorKind::kIo);
  CHECK_THAT(failed.error().message, Catch::Contains("Input/output error"));
}

TEST_CASE("dump reader survives an error code that is none", "[conntrack][dump]") {
  const int code = GENERATE(std::numeric_limits<int>::min(), 1, -4096);
  DumpFixture fixture;
  REQUIRE(*fixture.read(NlMessageBuilder::answer(NLMSG_ERROR, code, kSequence)) ==
          DumpReader::State::kRefused);
  CHECK(fixture.reader.error_number() == EPROTO);
}

TEST_CASE("dump reader goes on behind an acknowledgement", "[conntrack][dump]") {
  DumpFixture fixture;
  REQUIRE(*fixture.read(joined({NlMessageBuilder::answer(NLMSG_ERROR, 0, kSequence), kDone})) ==
          DumpReader::State::kDone);
}

TEST_CASE("dump reader counts a malformed entry and goes on with the next", "[conntrack][dump]") {
  DumpFixture fixture;
  const auto bad = NlMessageBuilder::event(NlMessageBuilder::kUpdate).sequence(kSequence).build();
  REQUIRE(*fixture.read(joined({bad, entry(kSnatStatus)})) == DumpReader::State::kMore);
  CHECK(fixture.counters.decode.malformed == 1);
  CHECK(fixture.list.events.size() == 1);
}

TEST_CASE("dump reader rejects a message whose length does not fit", "[conntrack][dump]") {
  const auto whole = joined({entry(kSnatStatus), kDone});
  // Cut within either message.
  for (std::size_t length = 1; length < whole.size(); ++length) {
    if (length == entry(kSnatStatus).size()) continue;
    CAPTURE(length);
    DumpFixture fixture;
    const auto read = fixture.read({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)});
    REQUIRE_FALSE(read);
    CHECK(read.error().kind == ErrorKind::kMalformed);
  }
}

}  // namespace
}  // namespace natsession::testing
