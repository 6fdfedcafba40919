#include "net/host_port.h"

#include <catch2/catch.hpp>

using namespace natsession;

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
