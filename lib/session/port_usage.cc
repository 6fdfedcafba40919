#include "session/port_usage.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include <xxhash.h>

namespace natsession {

std::size_t PortUsage::Hash::operator()(const Pair& pair) const {
  return XXH3_64bits_withSeed(pair.nat_ip.bytes().data(), pair.nat_ip.bytes().size(), pair.protocol);
}

void PortUsage::add(const IpAddress& nat_ip, std::uint8_t protocol, std::uint16_t nat_port) {
  const Pair pair{nat_ip, protocol};
  auto found = pairs_.find(pair);
  if (found == pairs_.end()) {
    if (pairs_.size() == kMaxPairs) {
      ++left_out_;
      return;
    }
    found = pairs_.emplace(pair, std::make_unique<Ports>()).first;
  }
  Ports& ports = *found.value();
  ports.used.set(nat_port);
  ++ports.sessions;
}

std::vector<PortUsage::Entry> PortUsage::entries() const {
  std::vector<Entry> all;
  all.reserve(pairs_.size());
  for (const auto& [pair, ports] : pairs_) {
    all.push_back(
        {pair.nat_ip, pair.protocol, static_cast<std::uint32_t>(ports->used.count()), ports->sessions});
  }
  std::sort(all.begin(), all.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.nat_ip, a.protocol) < std::tie(b.nat_ip, b.protocol);
  });
  return all;
}

}  // namespace natsession
