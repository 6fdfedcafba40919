#include "query/port_peers.h"

#include <algorithm>
#include <cstring>

namespace natsession {

std::size_t PortPeerHash::operator()(const PortPeer& peer) const {
  std::uint64_t words[4];
  std::memcpy(words, peer.nat_ip.bytes().data(), 16);
  std::memcpy(words + 2, peer.pub_ip.bytes().data(), 16);
  std::uint64_t hash = (std::uint64_t{peer.pub_port} << 8 | peer.protocol) * 0x9e3779b97f4a7c15;
  for (const std::uint64_t word : words) {
    hash = (hash ^ word) * 0xbf58476d1ce4e5b9;
    hash ^= hash >> 29;
  }
  return hash;
}

void PortPeers::add(const PortPeer& peer, std::uint64_t records) {
  records_[peer] += records;
  if (records_.size() > kRoom) make_room();
}

void PortPeers::add(const PortPeers& other) {
  for (const auto& [peer, records] : other.records_) add(peer, records);
}

// Takes the median from all: half of them are gone then.
void PortPeers::make_room() {
  std::vector<std::uint64_t> counts;
  counts.reserve(records_.size());
  for (const auto& [peer, records] : records_) counts.push_back(records);
  const auto middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2);
  std::nth_element(counts.begin(), middle, counts.end());
  const std::uint64_t median = *middle;
  for (auto place = records_.begin(); place != records_.end();) {
    if (place->second <= median) {
      place = records_.erase(place);
    } else {
      place->second -= median;
      ++place;
    }
  }
}

std::vector<PortPeer> PortPeers::largest(std::size_t count) const {
  std::vector<std::pair<std::uint64_t, PortPeer>> all;
  for (const auto& [peer, records] : records_) all.emplace_back(records, peer);
  const auto order = [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  };
  const std::size_t kept = std::min(count, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept), all.end(), order);
  std::vector<PortPeer> peers;
  for (std::size_t i = 0; i < kept; ++i) peers.push_back(all[i].second);
  return peers;
}

}  // namespace natsession
