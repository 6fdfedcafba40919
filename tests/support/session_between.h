// The ends of a session, for records that are written out.
#pragma once

#include <stdexcept>
#include <string_view>

#include "record/session_record.h"

namespace natsession::testing {

inline IpAddress ip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  if (!address) throw std::invalid_argument(address.error().message);
  return *address;
}

struct End {
  std::string_view address;
  std::uint16_t port = 0;
};

inline SessionRecord session_between(std::uint8_t protocol, const End& pri, const End& pub, const End& nat) {
  SessionRecord record;
  record.protocol = protocol;
  record.pri_ip = ip(pri.address);
  record.pri_port = pri.port;
  record.pub_ip = ip(pub.address);
  record.pub_port = pub.port;
  record.nat_ip = ip(nat.address);
  record.nat_port = nat.port;
  return record;
}

}  // namespace natsession::testing
