// Runs ip(8) in the test's own network namespace.
#pragma once

#include <cstdlib>
#include <string>

#include <catch2/catch.hpp>

#include "net/ip_address.h"
#include "support/private_network.h"

namespace natsession::testing {

inline void ip(const std::string& words) {
  INFO(words);
  REQUIRE(std::system(("PATH=\"$PATH:/usr/sbin:/sbin\" ip " + words).c_str()) == 0);
}

inline void sysctl_net(const std::string& name, const std::string& value) {
  std::ofstream file("/proc/sys/net/" + name);
  file << value << std::flush;
  REQUIRE(file.good());
}

inline IpAddress address(const std::string& text) {
  const auto parsed = IpAddress::parse(text);
  REQUIRE(parsed);
  return *parsed;
}

}  // namespace natsession::testing
