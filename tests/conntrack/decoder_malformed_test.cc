#include <algorithm>
#include <functional>
#include <vector>

#include <catch2/catch.hpp>

#include "conntrack/decoder_fixture.h"

namespace natsession::testing {
namespace {

using Bytes = NlMessageBuilder::Bytes;

void set_length(Bytes& message, std::size_t length) {
  const auto value = static_cast<std::uint32_t>(length);
  std::memcpy(message.data(), &value, sizeof(value));
}

void check_malformed(const Bytes& message) {
  const Decoded decoded = decode_copy(message);
  CHECK(decoded.result == DecodeResult::kMalformed);
  CHECK(decoded.counters.malformed == 1);
  CHECK(decoded.event == sentinel());
}

NlMessageBuilder new_flow() {
  return NlMessageBuilder::event(NlMessageBuilder::kNew);
}
NlMessageBuilder message_with(const TupleSpec& original = kOriginal, const TupleSpec& reply = kReply) {
  return new_flow().tuple(CTA_TUPLE_ORIG, original).tuple(CTA_TUPLE_REPLY, reply);
}

struct Extent {
  std::size_t begin = 0;
  std::size_t end = 0;   // without padding
  std::size_t next = 0;  // with it
};

// The attributes of a message that is as it should be.
std::vector<Extent> attributes_of(const Bytes& message) {
  std::vector<Extent> extents;
  std::size_t at = sizeof(nlmsghdr) + sizeof(nfgenmsg);
  while (at < message.size()) {
    nlattr header{};
    std::memcpy(&header, message.data() + at, sizeof(header));
    extents.push_back({at, at + header.nla_len, at + NLMSG_ALIGN(header.nla_len)});
    at = extents.back().next;
  }
  return extents;
}

}  // namespace

TEST_CASE("decoder rejects a message that ends before its header says", "[conntrack][decoder]") {
  const Bytes whole = full_destroy().build();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    check_malformed(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
  }
}

TEST_CASE("decoder rejects a message cut at any byte but between attributes", "[conntrack][decoder]") {
  const Bytes whole = full_destroy().build();
  const auto attributes = attributes_of(whole);
  const std::size_t both_tuples = attributes.at(1).end;
  for (std::size_t length = sizeof(nlmsghdr); length < whole.size(); ++length) {
    CAPTURE(length);
    Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    set_length(cut, length);
    // The padding of the last attribute may be missing.
    const bool between = std::any_of(attributes.begin(), attributes.end(), [&](const Extent& attribute) {
      return length >= attribute.end && length <= attribute.next;
    });
    const Decoded decoded = decode_copy(cut);
    CHECK((decoded.result == DecodeResult::kEvent) == (between && length >= both_tuples));
    if (decoded.result != DecodeResult::kEvent) CHECK(decoded.event == sentinel());
  }
}

TEST_CASE("decoder rejects header lengths that cannot be", "[conntrack][decoder]") {
  Bytes message = full_destroy().build();
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, sizeof(nlmsghdr) - 1, sizeof(nlmsghdr),
        sizeof(nlmsghdr) + sizeof(nfgenmsg) - 1, message.size() + 1, std::size_t{0xffffffff}}) {
    CAPTURE(length);
    set_length(message, length);
    check_malformed(message);
  }
}

TEST_CASE("decoder does not look behind the message's own length", "[conntrack][decoder]") {
  Bytes message = full_destroy().build();
  const Decoded expected = decode_copy(message);
  message.insert(message.end(), 7, std::byte{0xff});
  CHECK(decode_copy(message).event == expected.event);
}

TEST_CASE("decoder rejects every attribute length that cannot be", "[conntrack][decoder]") {
  const Bytes whole = full_destroy().build();
  for (const Extent& attribute : attributes_of(whole)) {
    for (const std::uint16_t length : {std::uint16_t{0}, std::uint16_t{3}, std::uint16_t{0xffff}}) {
      CAPTURE(attribute.begin, length);
      Bytes message = whole;
      std::memcpy(message.data() + attribute.begin, &length, sizeof(length));
      check_malformed(message);
    }
  }
}

TEST_CASE("decoder rejects a nested attribute that overruns its parent", "[conntrack][decoder]") {
  const auto lying = [](int lie) {
    return [lie](NlMessageBuilder& parent) {
      parent.nest(
          CTA_TUPLE_IP, [](NlMessageBuilder& ip) { ip.addresses(kOriginal); }, lie);
    };
  };
  SECTION("the tuple's addresses overrun the tuple") {
    auto message = new_flow();
    message.nest(CTA_TUPLE_ORIG, lying(+4)).tuple(CTA_TUPLE_REPLY, kReply);
    check_malformed(message.build());
  }
  SECTION("the tuple overruns the message") {
    auto message = new_flow().tuple(CTA_TUPLE_ORIG, kOriginal);
    message.nest(
        CTA_TUPLE_REPLY,
        [](NlMessageBuilder& tuple) {
          tuple.nest(CTA_TUPLE_IP, [](NlMessageBuilder& ip) { ip.addresses(kReply); });
          tuple.nest(CTA_TUPLE_PROTO, [](NlMessageBuilder& proto) { proto.ports(kReply); });
        },
        +1);
    check_malformed(message.build());
  }
  SECTION("a tuple is shorter than what is in it") {
    auto message = new_flow();
    message.nest(
        CTA_TUPLE_ORIG,
        [](NlMessageBuilder& tuple) {
          tuple.nest(CTA_TUPLE_IP, [](NlMessageBuilder& ip) { ip.addresses(kOriginal); });
        },
        -8);
    message.tuple(CTA_TUPLE_REPLY, kReply);
    check_malformed(message.build());
  }
  SECTION("counters, stamps and protocol state") {
    const NlMessageBuilder::Fill counter = [](NlMessageBuilder& nested) {
      nested.be64(CTA_COUNTERS_PACKETS, 1);
    };
    for (const std::uint16_t type : {CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY, CTA_TIMESTAMP, CTA_PROTOINFO}) {
      CAPTURE(type);
      // The nest ends in the middle of the attribute in it.
      check_malformed(message_with().nest(type, counter, -4).build());
    }
  }
}

TEST_CASE("decoder rejects attributes that are shorter than their type", "[conntrack][decoder]") {
  const std::vector<std::byte> three(3);
  const std::vector<std::byte> seven(7);
  const std::vector<std::byte> one(1);
  for (const std::uint16_t type : {CTA_STATUS, CTA_TIMEOUT, CTA_MARK, CTA_ID}) {
    CAPTURE(type);
    check_malformed(message_with().attribute(type, three).build());
  }
  check_malformed(message_with().attribute(CTA_ZONE, one).build());
  check_malformed(message_with().attribute(kTimestampEvent, seven).build());
  const auto nested = [](std::uint16_t type, const std::vector<std::byte>& payload) {
    return [=](NlMessageBuilder& parent) { parent.attribute(type, payload); };
  };
  check_malformed(message_with().nest(CTA_COUNTERS_ORIG, nested(CTA_COUNTERS_BYTES, seven)).build());
  check_malformed(message_with().nest(CTA_COUNTERS_REPLY, nested(CTA_COUNTERS32_BYTES, three)).build());
  check_malformed(message_with().nest(CTA_TIMESTAMP, nested(CTA_TIMESTAMP_STOP, seven)).build());
  check_malformed(message_with()
                      .nest(CTA_PROTOINFO,
                            [](NlMessageBuilder& info) {
                              info.nest(CTA_PROTOINFO_TCP, [](NlMessageBuilder& state) {
                                state.attribute(CTA_PROTOINFO_TCP_STATE, {});
                              });
                            })
                      .build());
}

TEST_CASE("decoder rejects tuples that make no flow", "[conntrack][decoder]") {
  const auto six = tcp("fd00::2", 1, "fd00::3", 2);
  const auto tuple_of = [](const NlMessageBuilder::Fill& ip, const NlMessageBuilder::Fill& proto) {
    return [=](NlMessageBuilder& tuple) {
      if (ip) tuple.nest(CTA_TUPLE_IP, ip);
      if (proto) tuple.nest(CTA_TUPLE_PROTO, proto);
    };
  };
  const NlMessageBuilder::Fill ip = [](NlMessageBuilder& nested) { nested.addresses(kOriginal); };
  const NlMessageBuilder::Fill proto = [](NlMessageBuilder& nested) { nested.ports(kOriginal); };
  // Either direction, beside one that is as it should be.
  const auto check = [](const NlMessageBuilder::Fill& broken) {
    check_malformed(new_flow().nest(CTA_TUPLE_ORIG, broken).tuple(CTA_TUPLE_REPLY, kReply).build());
    check_malformed(new_flow().tuple(CTA_TUPLE_ORIG, kOriginal).nest(CTA_TUPLE_REPLY, broken).build());
  };
  using Nested = NlMessageBuilder;
  const std::vector<std::pair<const char*, NlMessageBuilder::Fill>> tuples{
      {"no addresses", tuple_of({}, proto)},
      {"no protocol nest", tuple_of(ip, {})},
      {"no protocol number", tuple_of(ip, [](Nested& nested) { nested.be16(CTA_PROTO_SRC_PORT, 1); })},
      {"one address", tuple_of([](Nested& nested) { nested.be32(CTA_IP_V4_SRC, 1); }, proto)},
      {"two families in a tuple",
       tuple_of([&](Nested& nested) { nested.addresses(kOriginal).addresses(six); }, proto)},
      {"a short IPv6 address",
       tuple_of([](Nested& nested) { nested.be32(CTA_IP_V6_SRC, 1).be32(CTA_IP_V6_DST, 1); }, proto)},
      {"a short IPv4 address",
       tuple_of([](Nested& nested) { nested.be16(CTA_IP_V4_SRC, 1).be16(CTA_IP_V4_DST, 1); }, proto)},
  };
  for (const auto& [what, tuple] : tuples) {
    INFO(what);
    check(tuple);
  }
  SECTION("no reply, no original") {
    auto message = new_flow();
    check_malformed(message.build());
    check_malformed(NlMessageBuilder(message).tuple(CTA_TUPLE_ORIG, kOriginal).build());
    check_malformed(NlMessageBuilder(message).tuple(CTA_TUPLE_REPLY, kReply).build());
  }
  SECTION("two families in a flow") {
    check_malformed(message_with(kOriginal, six).build());
  }
  SECTION("two protocols in a flow") {
    auto other = kReply;
    other.protocol = IPPROTO_UDP;
    check_malformed(message_with(kOriginal, other).build());
  }
}

TEST_CASE("decoder reads bytes at any alignment", "[conntrack][decoder]") {
  const Bytes whole = full_destroy().build();
  const Decoded expected = decode_copy(whole);
  for (std::size_t shift = 1; shift < 8; ++shift) {
    Bytes shifted(shift);
    shifted.insert(shifted.end(), whole.begin(), whole.end());
    Decoded decoded;
    decoded.result = decode(std::span(shifted).subspan(shift), decoded.event, decoded.counters);
    CHECK(decoded.result == DecodeResult::kEvent);
    CHECK(decoded.event == expected.event);
  }
}

}  // namespace natsession::testing
