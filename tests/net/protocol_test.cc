#include "net/protocol.h"

#include <catch2/catch.hpp>

namespace natsession {
namespace {

TEST_CASE("a protocol is read by name or number and shown by name", "[net]") {
  CHECK(*parse_protocol("tcp") == 6);
  CHECK(*parse_protocol("132") == 132);
  CHECK(*parse_protocol("0") == 0);
  CHECK(protocol_text(58) == "icmpv6");
  CHECK(protocol_text(99) == "99");
  CHECK(protocol_name(99).empty());
}

TEST_CASE("what is no protocol is named with what would do", "[net]") {
  for (const char* const text : {"", "tpc", "256", "-1", "6 ", "TCP"}) {
    const auto protocol = parse_protocol(text);
    INFO(text);
    REQUIRE_FALSE(protocol);
    CHECK(protocol.error().kind == ErrorKind::kUsage);
    CHECK(protocol.error().message ==
          "'" + std::string(text) +
              "' is not a protocol: icmp, tcp, udp, dccp, gre, icmpv6, sctp, udplite, "
              "or a number up to 255");
  }
}

}  // namespace
}  // namespace natsession
