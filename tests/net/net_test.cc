#include <arpa/inet.h>

#include <catch2/catch.hpp>

#include "net/host_port.h"
#include "net/ip_address.h"
#include "net/protocol.h"

namespace natsession {
namespace {

using namespace std::string_literals;

std::string canonical(std::string_view text) {
  const auto address = IpAddress::parse(text);
  return address ? address->to_string() : "refused: " + address.error().message;
}

TEST_CASE("IPv4 addresses are read and written", "[net][address]") {
  for (const std::string_view text :
       {"0.0.0.0", "1.2.3.4", "10.20.30.40", "192.168.100.99", "255.255.255.255"}) {
    CHECK(canonical(text) == text);
  }
}

TEST_CASE("an IPv4 address is what the kernel has in network byte order", "[net][address]") {
  const auto parsed = IpAddress::parse("192.0.2.33");
  REQUIRE(parsed);
  CHECK(parsed->is_v4());
  CHECK(parsed->v4() == htonl(0xc000'0221));
  CHECK(*parsed == IpAddress::from_v4(htonl(0xc000'0221)));
  const std::array<std::uint8_t, 16> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 33};
  CHECK(parsed->bytes() == mapped);
}

TEST_CASE("an IPv4-mapped address is the IPv4 address", "[net][address]") {
  CHECK(canonical("::ffff:192.0.2.33") == "192.0.2.33");
  CHECK(canonical("::ffff:c000:221") == "192.0.2.33");
  CHECK(IpAddress::parse("::ffff:10.0.0.1")->is_v4());
  CHECK_FALSE(IpAddress::parse("::fffe:10.0.0.1")->is_v4());
  CHECK_FALSE(IpAddress::parse("::10.0.0.1")->is_v4());
  CHECK_FALSE(IpAddress::parse("1::ffff:10.0.0.1")->is_v4());
}

TEST_CASE("IPv6 addresses are written as RFC 5952 recommends", "[net][address]") {
  // Sections 4.1 to 4.3 and 5; the first four are the RFC's own examples.
  CHECK(canonical("2001:0db8::0001") == "2001:db8::1");
  CHECK(canonical("2001:db8:0:0:0:0:2:1") == "2001:db8::2:1");
  CHECK(canonical("2001:db8::1:1:1:1:1") == "2001:db8:0:1:1:1:1:1");
  CHECK(canonical("2001:0:0:1:0:0:0:1") == "2001:0:0:1::1");
  CHECK(canonical("2001:db8:0:0:1:0:0:1") == "2001:db8::1:0:0:1");
  CHECK(canonical("2001:DB8::ABCD") == "2001:db8::abcd");
  CHECK(canonical("0:0:0:0:0:0:0:0") == "::");
  CHECK(canonical("0:0:0:0:0:0:0:1") == "::1");
  CHECK(canonical("fe80:0:0:0:0:0:0:0") == "fe80::");
  CHECK(canonical("64:ff9b::192.0.2.33") == "64:ff9b::c000:221");
}

TEST_CASE("the longest text fits kMaxTextLength", "[net][address]") {
  const std::string longest = "abcd:abcd:abcd:abcd:abcd:abcd:abcd:abcd";
  CHECK(canonical(longest) == longest);
  CHECK(longest.size() <= IpAddress::kMaxTextLength);
}

TEST_CASE("write() puts no NUL behind the text", "[net][address]") {
  for (const std::string_view text : {"1.2.3.4", "2001:db8::1"}) {
    std::string buffer(IpAddress::kMaxTextLength + 1, '#');
    char* const end = IpAddress::parse(text)->write(buffer.data());
    CHECK(std::string_view(buffer.data(), static_cast<std::size_t>(end - buffer.data())) == text);
    CHECK(*end == '#');
  }
}

TEST_CASE("what is no address is refused by name", "[net][address]") {
  for (const std::string& text : {""s,           "1.2.3"s,       "1.2.3.4.5"s,     "1.2.3.256"s,
                                  "01.2.3.4"s,   "1.2.3.4 "s,    " 1.2.3.4"s,      "1.2.3.-4"s,
                                  "0x7f.0.0.1"s, "1.2.3.4/8"s,   "localhost"s,     ":"s,
                                  ":::"s,        "1::2::3"s,     "1:2:3:4:5:6:7"s, "1:2:3:4:5:6:7:8:9"s,
                                  "12345::"s,    "g::"s,         "fe80::1%eth0"s,  "[::1]"s,
                                  "1.2.3.4\0"s,  "1.2.3.4\0.5"s, "::1\0x"s}) {
    const auto address = IpAddress::parse(text);
    INFO(text);
    REQUIRE_FALSE(address);
    CHECK(address.error().kind == ErrorKind::kUsage);
    CHECK(address.error().message == "'" + text + "' is not an IPv4 or IPv6 address");
  }
}

TEST_CASE("addresses compare by their bytes, IPv4 by the number it stands for", "[net][address]") {
  CHECK(*IpAddress::parse("9.0.0.0") < *IpAddress::parse("10.0.0.0"));
  CHECK(*IpAddress::parse("10.0.0.255") < *IpAddress::parse("10.0.1.0"));
  CHECK(*IpAddress::parse("255.255.255.255") < *IpAddress::parse("2001:db8::"));
  CHECK(*IpAddress::parse("2001:DB8::") == *IpAddress::parse("2001:db8:0::0"));
  CHECK(IpAddress() == *IpAddress::parse("::"));
}

bool contains(std::string_view prefix, std::string_view address) {
  const auto parsed_prefix = Prefix::parse(prefix);
  const auto parsed_address = IpAddress::parse(address);
  REQUIRE(parsed_prefix);
  REQUIRE(parsed_address);
  return parsed_prefix->contains(*parsed_address);
}

TEST_CASE("prefixes are read and written, an address alone as its full length", "[net][prefix]") {
  CHECK(Prefix::parse("10.0.0.0/8")->to_string() == "10.0.0.0/8");
  CHECK(Prefix::parse("0.0.0.0/0")->to_string() == "0.0.0.0/0");
  CHECK(Prefix::parse("192.0.2.33")->to_string() == "192.0.2.33/32");
  CHECK(Prefix::parse("FD00::/8")->to_string() == "fd00::/8");
  CHECK(Prefix::parse("::/0")->to_string() == "::/0");
  CHECK(Prefix::parse("2001:db8::1")->to_string() == "2001:db8::1/128");
  CHECK(Prefix::parse("10.0.0.0/8")->length() == 8);
  CHECK(Prefix::parse("fd00::/8")->length() == 8);
}

TEST_CASE("a prefix contains its first and last address and not their neighbours", "[net][prefix]") {
  CHECK(contains("10.0.0.0/8", "10.0.0.0"));
  CHECK(contains("10.0.0.0/8", "10.255.255.255"));
  CHECK_FALSE(contains("10.0.0.0/8", "9.255.255.255"));
  CHECK_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  CHECK(contains("192.168.8.0/21", "192.168.15.255"));
  CHECK_FALSE(contains("192.168.8.0/21", "192.168.16.0"));
  CHECK(contains("192.0.2.33", "192.0.2.33"));
  CHECK_FALSE(contains("192.0.2.33", "192.0.2.32"));
  CHECK(contains("2001:db8:8000::/33", "2001:db8:ffff::1"));
  CHECK_FALSE(contains("2001:db8:8000::/33", "2001:db8:7fff::1"));
}

TEST_CASE("a prefix contains no address of the other family, not even the empty prefix", "[net][prefix]") {
  CHECK(contains("0.0.0.0/0", "255.1.2.3"));
  CHECK_FALSE(contains("0.0.0.0/0", "2001:db8::1"));
  CHECK(contains("::/0", "2001:db8::1"));
  CHECK_FALSE(contains("::/0", "10.0.0.1"));
}

TEST_CASE("what is no prefix is refused with what is wrong", "[net][prefix]") {
  const auto message = [](const std::string& text) {
    const auto prefix = Prefix::parse(text);
    if (!prefix) CHECK(prefix.error().kind == ErrorKind::kUsage);
    return prefix ? "accepted" : prefix.error().message;
  };
  CHECK(message("") == "'' is not an address prefix such as 10.0.0.0/8");
  CHECK(message("10/8") == "'10/8' is not an address prefix such as 10.0.0.0/8");
  CHECK(message("/8") == "'/8' is not an address prefix such as 10.0.0.0/8");
  for (const std::string& text :
       {"10.0.0.0/"s, "10.0.0.0/33"s, "10.0.0.0/-1"s, "10.0.0.0/+8"s, "10.0.0.0/8 "s, "10.0.0.0/8/8"s,
        "10.0.0.0/255.0.0.0"s, "10.0.0.0/99999999999"s, "10.0.0.0/8\0"s}) {
    CHECK(message(text) == "'" + text + "' has a bad prefix length: 0 to 32");
  }
  CHECK(message("fd00::/129") == "'fd00::/129' has a bad prefix length: 0 to 128");
  CHECK(message("10.0.0.1/8") == "'10.0.0.1/8' has bits set behind its length");
  CHECK(message("192.168.9.0/22") == "'192.168.9.0/22' has bits set behind its length");
  CHECK(message("fd00::1/127") == "'fd00::1/127' has bits set behind its length");
}

TEST_CASE("a host and a port are read, and written as they are read", "[net]") {
  for (const char* text :
       {"127.0.0.1:9469", "[2001:db8::1]:514", "[fe80::1%eth0]:1", "log-1.example_net:65535", ":1"}) {
    CAPTURE(text);
    const auto where = HostPort::parse(text);
    REQUIRE(where);
    CHECK(where->to_string() == text);
  }
  CHECK(*HostPort::parse("host", 514) == HostPort{"host", 514});
  CHECK(*HostPort::parse("[::1]", 514) == HostPort{"::1", 514});
  CHECK(*HostPort::parse("[::1]:1", 514) == HostPort{"::1", 1});
}

TEST_CASE("what is no host and port is refused with what is wrong", "[net]") {
  const auto [text, why] = GENERATE(table<std::string, std::string>({
      {"", "a port is missing"},
      {"host", "a port is missing"},
      {"[::1]", "a port is missing"},
      {"host:0", "':0' is not a port"},
      {"host:65536", "':65536' is not a port"},
      {"host:", "':' is not a port"},
      {"host:1x", "':1x' is not a port"},
      {"[::1]514", "'514' is not a port"},
      {"::1:9469", "an IPv6 address stands in brackets"},
      {"[::1", "a ] is missing"},
      {"[]:1", "'' is not a host"},
      {"a b:1", "'a b' is not a host"},
      {"a/b:1", "'a/b' is not a host"},
  }));
  CAPTURE(text);
  const auto where = HostPort::parse(text);
  REQUIRE_FALSE(where);
  CHECK(where.error().kind == ErrorKind::kUsage);
  CHECK(where.error().message.find(why) != std::string::npos);
}

TEST_CASE("the prefix of an address has no bits behind its length", "[net][prefix]") {
  CHECK(Prefix::of(*IpAddress::parse("10.1.2.3"), 24).to_string() == "10.1.2.0/24");
  CHECK(Prefix::of(*IpAddress::parse("10.1.2.3"), 0).to_string() == "0.0.0.0/0");
  CHECK(Prefix::of(*IpAddress::parse("10.1.2.3"), 128).to_string() == "10.1.2.3/32");
  CHECK(Prefix::of(*IpAddress::parse("fd01:2::3"), 17).to_string() == "fd01::/17");
  CHECK(Prefix::of(*IpAddress::parse("fd01::3"), 128) == *Prefix::parse("fd01::3"));
}

TEST_CASE("a protocol is read by name or number and shown by name", "[net]") {
  CHECK(*parse_protocol("tcp") == 6);
  CHECK(*parse_protocol("132") == 132);
  CHECK(*parse_protocol("0") == 0);
  CHECK(protocol_text(58) == "icmpv6");
  CHECK(protocol_text(99) == "99");
  CHECK(protocol_name(99).empty());
}

TEST_CASE("what is no protocol is named with what would do", "[net]") {
  for (const char* const text : {"", "tpc", "256", "-1", "6 ", "TCPX"}) {
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
