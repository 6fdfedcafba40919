#include "conntrack/decoder.h"

#include <linux/netfilter/nfnetlink.h>

#include <limits>
#include <vector>

#include <catch2/catch.hpp>

#include "conntrack/attribute.h"
#include "conntrack/decoder_fixture.h"

namespace natsession::testing {
namespace {

UnixNs at_ns(std::int64_t ns) {
  return UnixNs(std::chrono::nanoseconds(ns));
}

Tuple to_tuple(const TupleSpec& spec) {
  return {spec.src, spec.dst, spec.src_port, spec.dst_port};
}

NlMessageBuilder with_tuples(NlMessageBuilder::Kind kind = NlMessageBuilder::kNew) {
  return NlMessageBuilder::event(kind).tuple(CTA_TUPLE_ORIG, kOriginal).tuple(CTA_TUPLE_REPLY, kReply);
}

}  // namespace

TEST_CASE("decoder reads every field of a DESTROY", "[conntrack][decoder]") {
  const Decoded decoded = decode_copy(full_destroy().build());
  REQUIRE(decoded.result == DecodeResult::kEvent);
  const ConntrackEvent& event = decoded.event;
  CHECK(event.type == EventType::kDestroy);
  CHECK(event.protocol == IPPROTO_TCP);
  CHECK(event.original == to_tuple(kOriginal));
  CHECK(event.reply == to_tuple(kReply));
  CHECK(event.id == 0x12345678);
  CHECK(event.status == kSnatStatus);
  CHECK(event.timeout_seconds == 119U);
  CHECK(event.mark == 0xdeadbeef);
  CHECK(event.zone == 7);
  CHECK(event.tcp_state == TcpState::kTimeWait);
  CHECK(event.original_counters == Counters{6, 400});
  CHECK(event.reply_counters == Counters{5'000'000'000, 7'000'000'000'000});
  CHECK(event.start == at_ns(1'795'263'662'108'000'001));
  CHECK(event.stop == at_ns(1'795'263'663'000'000'002));
  CHECK(event.event == at_ns(1'795'263'663'000'000'003));
  CHECK(decoded.counters.destroy_events == 1);
  CHECK(decoded.counters.unknown_attributes == 0);
}

TEST_CASE("decoder tells NEW, UPDATE and DESTROY apart", "[conntrack][decoder]") {
  CHECK(decode_copy(with_tuples(NlMessageBuilder::kNew).build()).event.type == EventType::kNew);
  CHECK(decode_copy(with_tuples(NlMessageBuilder::kUpdate).build()).event.type == EventType::kUpdate);
  CHECK(decode_copy(with_tuples(NlMessageBuilder::kDestroy).build()).event.type == EventType::kDestroy);
}

TEST_CASE("decoder takes a dumped entry for an UPDATE", "[conntrack][decoder]") {
  auto entry =
      with_tuples(NlMessageBuilder::kUpdate).add_flags(NLM_F_MULTI | NLM_F_DUMP_FILTERED | NLM_F_DUMP_INTR);
  const Decoded decoded = decode_copy(entry.build());
  CHECK(decoded.event.type == EventType::kUpdate);
  CHECK(decoded.counters.update_events == 1);
}

TEST_CASE("decoder leaves empty what the kernel left out", "[conntrack][decoder]") {
  const Decoded decoded = decode_copy(with_tuples().be32(CTA_STATUS, kSnatStatus).build());
  REQUIRE(decoded.result == DecodeResult::kEvent);
  const ConntrackEvent& event = decoded.event;
  CHECK_FALSE(event.original_counters);
  CHECK_FALSE(event.reply_counters);
  CHECK_FALSE(event.start);
  CHECK_FALSE(event.stop);
  CHECK_FALSE(event.event);
  CHECK_FALSE(event.timeout_seconds);
  CHECK(event.tcp_state == TcpState::kNone);
  CHECK(event.zone == 0);
  CHECK(event.mark == 0);
  CHECK(event.id == 0);
}

TEST_CASE("decoder reads each protocol's tuple", "[conntrack][decoder]") {
  const auto protocol = GENERATE(as<std::uint8_t>(), IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_SCTP,
                                 IPPROTO_DCCP, IPPROTO_GRE, IPPROTO_ICMP, IPPROTO_ICMPV6);
  const auto original = tuple_spec(protocol, "10.0.0.2", 4000, "198.51.100.2", 0x0801);
  const auto reply = tuple_spec(protocol, "198.51.100.2", 0x0002, "203.0.113.1", 0xff00);
  CAPTURE(int(protocol));
  const Decoded decoded = decode_copy(NlMessageBuilder::event(NlMessageBuilder::kNew)
                                          .tuple(CTA_TUPLE_ORIG, original)
                                          .tuple(CTA_TUPLE_REPLY, reply)
                                          .build());
  REQUIRE(decoded.result == DecodeResult::kEvent);
  CHECK(decoded.event.protocol == protocol);
  CHECK(decoded.event.original == to_tuple(original));
  CHECK(decoded.event.reply == to_tuple(reply));
}

TEST_CASE("decoder gives a protocol that it does not know ports of 0", "[conntrack][decoder]") {
  const auto bare = [](std::string_view src, std::string_view dst) {
    return [=](NlMessageBuilder& tuple) {
      tuple.nest(CTA_TUPLE_IP, [&](NlMessageBuilder& ip) { ip.addresses(tcp(src, 0, dst, 0)); });
      tuple.nest(CTA_TUPLE_PROTO, [](NlMessageBuilder& proto) { proto.u8(CTA_PROTO_NUM, 253); });
    };
  };
  const Decoded decoded = decode_copy(NlMessageBuilder::event(NlMessageBuilder::kNew)
                                          .nest(CTA_TUPLE_ORIG, bare("10.0.0.2", "198.51.100.2"))
                                          .nest(CTA_TUPLE_REPLY, bare("198.51.100.2", "203.0.113.1"))
                                          .build());
  REQUIRE(decoded.result == DecodeResult::kEvent);
  CHECK(decoded.event.protocol == 253);
  CHECK(decoded.event.original.src_port == 0);
  CHECK(decoded.event.original.dst_port == 0);
}

TEST_CASE("decoder reads the usual tuple as it would read it attribute by attribute",
          "[conntrack][decoder]") {
  constexpr std::ptrdiff_t kBegin = sizeof(nlmsghdr) + sizeof(nfgenmsg) + sizeof(nlattr);
  const auto message = with_tuples().build();
  std::vector<std::byte> payload(message.begin() + kBegin, message.begin() + kBegin + sizeof(UsualTuple));
  TupleParts usual;
  REQUIRE(load_usual_tuple(payload, usual));
  CHECK(usual.tuple == to_tuple(kOriginal));
  std::size_t taken = 0;
  for (std::size_t i = 0; i < payload.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto changed = payload;
      changed[i] ^= static_cast<std::byte>(1U << bit);
      usual = {};
      if (!load_usual_tuple(changed, usual)) {
        CHECK(usual == TupleParts{});
        continue;
      }
      ++taken;
      TupleParts by_attribute;
      std::uint64_t unknown = 0;
      REQUIRE(load_any_tuple(changed, by_attribute, unknown));
      CHECK(usual == by_attribute);
      CHECK(unknown == 0);
    }
  }
  // Two addresses, two ports and a protocol; what pads them is not looked at.
  CHECK(taken == std::size_t{8} * (2 * 4 + 2 * 2 + 1 + 3 + 2 * 2));
}

TEST_CASE("decoder reads IPv6 tuples", "[conntrack][decoder]") {
  const auto original = tcp("fd00:1::2", 4000, "2001:db8::2", 443);
  const auto reply = tcp("2001:db8::2", 443, "2001:db8::1", 50001);
  const Decoded decoded = decode_copy(NlMessageBuilder::event(NlMessageBuilder::kNew, AF_INET6)
                                          .tuple(CTA_TUPLE_ORIG, original)
                                          .tuple(CTA_TUPLE_REPLY, reply)
                                          .build());
  REQUIRE(decoded.result == DecodeResult::kEvent);
  CHECK(decoded.event.original == to_tuple(original));
  CHECK(decoded.event.reply == to_tuple(reply));
}

TEST_CASE("decoder reads the old 32-bit counters", "[conntrack][decoder]") {
  const auto old_counters = [](NlMessageBuilder& nested) {
    nested.be32(CTA_COUNTERS32_PACKETS, 3).be32(CTA_COUNTERS32_BYTES, 4'000'000'000);
  };
  SECTION("where there are no others") {
    const Decoded decoded = decode_copy(with_tuples().nest(CTA_COUNTERS_ORIG, old_counters).build());
    CHECK(decoded.event.original_counters == Counters{3, 4'000'000'000});
  }
  SECTION("and prefers those of 64 bits") {
    const Decoded decoded =
        decode_copy(with_tuples()
                        .nest(CTA_COUNTERS_ORIG,
                              [&](NlMessageBuilder& nested) {
                                nested.be64(CTA_COUNTERS_PACKETS, 1).be64(CTA_COUNTERS_BYTES, 2);
                                old_counters(nested);
                              })
                        .build());
    CHECK(decoded.event.original_counters == Counters{1, 2});
  }
}

TEST_CASE("decoder reads counters and stamps in any order", "[conntrack][decoder]") {
  const auto pair = [](std::uint16_t one, std::uint64_t its, std::uint16_t other, std::uint64_t others) {
    return [=](NlMessageBuilder& nested) { nested.be64(one, its).be64(other, others); };
  };
  const bool turned = GENERATE(false, true);
  auto message = with_tuples(NlMessageBuilder::kDestroy);
  if (turned) {
    message.nest(CTA_COUNTERS_ORIG, pair(CTA_COUNTERS_BYTES, 2, CTA_COUNTERS_PACKETS, 1))
        .nest(CTA_TIMESTAMP, pair(CTA_TIMESTAMP_STOP, 4, CTA_TIMESTAMP_START, 3));
  } else {
    message.nest(CTA_COUNTERS_ORIG, pair(CTA_COUNTERS_PACKETS, 1, CTA_COUNTERS_BYTES, 2))
        .nest(CTA_TIMESTAMP, pair(CTA_TIMESTAMP_START, 3, CTA_TIMESTAMP_STOP, 4));
  }
  const Decoded decoded = decode_copy(message.build());
  CHECK(decoded.event.original_counters == Counters{1, 2});
  CHECK(decoded.event.start == at_ns(3));
  CHECK(decoded.event.stop == at_ns(4));
}

TEST_CASE("decoder takes counters that are not both there for none", "[conntrack][decoder]") {
  const Decoded decoded = decode_copy(
      with_tuples()
          .nest(CTA_COUNTERS_ORIG, [](NlMessageBuilder& nested) { nested.be64(CTA_COUNTERS_PACKETS, 1); })
          .nest(CTA_COUNTERS_REPLY, [](NlMessageBuilder& nested) { nested.be64(CTA_COUNTERS_BYTES, 1); })
          .build());
  REQUIRE(decoded.result == DecodeResult::kEvent);
  CHECK_FALSE(decoded.event.original_counters);
  CHECK_FALSE(decoded.event.reply_counters);
}

TEST_CASE("decoder takes a stamp of 0, and one beyond every clock, for none", "[conntrack][decoder]") {
  const auto stamp = GENERATE(as<std::uint64_t>(), 0, std::numeric_limits<std::uint64_t>::max());
  const Decoded decoded = decode_copy(
      with_tuples()
          .nest(CTA_TIMESTAMP, [&](NlMessageBuilder& nested) { nested.be64(CTA_TIMESTAMP_START, stamp); })
          .be64(kTimestampEvent, stamp)
          .build());
  REQUIRE(decoded.result == DecodeResult::kEvent);
  CHECK_FALSE(decoded.event.start);
  CHECK_FALSE(decoded.event.event);
}

TEST_CASE("decoder finds the zone where the kernel wrote it", "[conntrack][decoder]") {
  const auto zone = [](std::uint16_t number) {
    return [=](NlMessageBuilder& tuple) { tuple.be16(CTA_TUPLE_ZONE, number); };
  };
  auto message = NlMessageBuilder::event(NlMessageBuilder::kNew);
  SECTION("in the original tuple") {
    message.tuple(CTA_TUPLE_ORIG, kOriginal, zone(5)).tuple(CTA_TUPLE_REPLY, kReply);
    CHECK(decode_copy(message.build()).event.zone == 5);
  }
  SECTION("in the reply tuple") {
    message.tuple(CTA_TUPLE_ORIG, kOriginal).tuple(CTA_TUPLE_REPLY, kReply, zone(6));
    CHECK(decode_copy(message.build()).event.zone == 6);
  }
  SECTION("beside the tuples, which counts more") {
    message.tuple(CTA_TUPLE_ORIG, kOriginal, zone(5)).tuple(CTA_TUPLE_REPLY, kReply).be16(CTA_ZONE, 7);
    CHECK(decode_copy(message.build()).event.zone == 7);
  }
}

TEST_CASE("decoder takes a TCP state that it does not know for none", "[conntrack][decoder]") {
  CHECK(decode_copy(with_tuples().tcp_state(9).build()).event.tcp_state == TcpState::kSynSent2);
  CHECK(decode_copy(with_tuples().tcp_state(10).build()).event.tcp_state == TcpState::kNone);
}

TEST_CASE("decoder does not take another protocol's state for TCP's", "[conntrack][decoder]") {
  const Decoded decoded = decode_copy(with_tuples()
                                          .nest(CTA_PROTOINFO,
                                                [](NlMessageBuilder& info) {
                                                  info.nest(CTA_PROTOINFO_SCTP, [](NlMessageBuilder& sctp) {
                                                    sctp.u8(CTA_PROTOINFO_SCTP_STATE, 3);
                                                  });
                                                })
                                          .build());
  REQUIRE(decoded.result == DecodeResult::kEvent);
  CHECK(decoded.event.tcp_state == TcpState::kNone);
}

TEST_CASE("decoder infers the NAT bits when there is no status", "[conntrack][decoder]") {
  const auto status_of = [](const TupleSpec& original, const TupleSpec& reply) {
    const Decoded decoded = decode_copy(NlMessageBuilder::event(NlMessageBuilder::kDestroy)
                                            .tuple(CTA_TUPLE_ORIG, original)
                                            .tuple(CTA_TUPLE_REPLY, reply)
                                            .build());
    REQUIRE(decoded.result == DecodeResult::kEvent);
    CHECK(decoded.counters.without_status == 1);
    return decoded.event.status;
  };
  const auto plain = udp("10.0.0.2", 4000, "198.51.100.2", 53);
  CHECK(status_of(plain, udp("198.51.100.2", 53, "10.0.0.2", 4000)) == 0);
  CHECK(status_of(plain, udp("198.51.100.2", 53, "203.0.113.1", 4000)) == kStatusSrcNat);
  CHECK(status_of(plain, udp("198.51.100.2", 53, "10.0.0.2", 4001)) == kStatusSrcNat);
  CHECK(status_of(plain, udp("198.51.100.3", 53, "10.0.0.2", 4000)) == kStatusDstNat);
  CHECK(status_of(plain, udp("198.51.100.2", 54, "10.0.0.2", 4000)) == kStatusDstNat);
  CHECK(status_of(plain, udp("198.51.100.3", 53, "203.0.113.1", 4000)) == (kStatusSrcNat | kStatusDstNat));

  // An echo request (8*256) is answered by a reply (0) with the same id.
  const auto echo = tuple_spec(IPPROTO_ICMP, "10.0.0.2", 9, "198.51.100.2", 0x0800);
  CHECK(status_of(echo, tuple_spec(IPPROTO_ICMP, "198.51.100.2", 9, "10.0.0.2", 0)) == 0);
  CHECK(status_of(echo, tuple_spec(IPPROTO_ICMP, "198.51.100.2", 10, "10.0.0.2", 0)) == kStatusSrcNat);
}

TEST_CASE("decoder skips and counts attributes that a newer kernel adds", "[conntrack][decoder]") {
  const auto extra = [](NlMessageBuilder& nested) { nested.be32(90, 1); };
  auto message = full_destroy();
  const auto expected = decode_copy(message.build()).event;
  message.be32(28, 1)
      .nest(60, extra)
      .nest(
          CTA_COUNTERS_ORIG,
          [](NlMessageBuilder& nested) {
            nested.be64(CTA_COUNTERS_PACKETS, 6).be64(CTA_COUNTERS_BYTES, 400).be64(CTA_COUNTERS_MAX + 1, 1);
          })
      .nest(CTA_TIMESTAMP, extra)
      .nest(CTA_PROTOINFO, extra);
  const Decoded decoded = decode_copy(message.build());
  REQUIRE(decoded.result == DecodeResult::kEvent);
  CHECK(decoded.event == expected);
  CHECK(decoded.counters.unknown_attributes == 5);
}

TEST_CASE("decoder does not count attributes that it knows and does not need", "[conntrack][decoder]") {
  const Decoded decoded =
      decode_copy(with_tuples()
                      .be32(CTA_USE, 1)
                      .be32(CTA_SECMARK, 1)
                      .be64(CTA_LABELS, 1)
                      .nest(CTA_HELP, [](NlMessageBuilder& nested) { nested.u8(CTA_HELP_NAME, 'x'); })
                      .build());
  CHECK(decoded.result == DecodeResult::kEvent);
  CHECK(decoded.counters.unknown_attributes == 0);
}

TEST_CASE("decoder takes attributes that have grown", "[conntrack][decoder]") {
  const Decoded decoded = decode_copy(with_tuples().be64(CTA_MARK, 0x0000002a'00000000).build());
  REQUIRE(decoded.result == DecodeResult::kEvent);
  CHECK(decoded.event.mark == 0x2a);
}

TEST_CASE("decoder skips what is no conntrack entry", "[conntrack][decoder]") {
  const auto type = GENERATE(as<std::uint16_t>(), NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN,
                             NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS,
                             NFNL_SUBSYS_CTNETLINK_EXP << 8, NFNL_SUBSYS_NFTABLES << 8, 0xffff);
  const Decoded decoded = decode_copy(NlMessageBuilder(type, 0).build());
  CHECK(decoded.result == DecodeResult::kSkipped);
  CHECK(decoded.counters.skipped == 1);
  CHECK(decoded.event == sentinel());
}

TEST_CASE("decoder skips families that have no NAT", "[conntrack][decoder]") {
  const auto family = GENERATE(as<std::uint8_t>(), AF_UNSPEC, AF_BRIDGE, 255);
  const Decoded decoded = decode_copy(NlMessageBuilder::event(NlMessageBuilder::kNew, family)
                                          .tuple(CTA_TUPLE_ORIG, kOriginal)
                                          .tuple(CTA_TUPLE_REPLY, kReply)
                                          .build());
  CHECK(decoded.result == DecodeResult::kSkipped);
}

}  // namespace natsession::testing
