#include "query/port_peers.h"

#include <algorithm>
#include <cstring>

namespace natsession {
namespace {

constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;

std::uint64_t mixed_peer(std::uint64_t hash) {
  hash = (hash ^ hash >> 32) * 0xbf58476d1ce4e5b9;
  return hash ^ hash >> 29;
}

std::uint64_t peer_address_hash(const IpAddress& address) {
  std::uint64_t words[2];
  std::memcpy(words, address.bytes().data(), sizeof(words));
  return mixed_peer(mixed_peer(words[0] * kOdd) ^ words[1]);
}

std::uint64_t peer_hash(std::uint64_t nat, std::uint64_t pub, std::uint16_t pub_port, std::uint8_t protocol) {
  return mixed_peer(nat * 3 + pub + (std::uint64_t{pub_port} << 8 | protocol) * kOdd);
}

// As ==, which asks memcmp() for each address.
bool same_peer(const PortPeer& a, const PortPeer& b) {
  const auto differs = [](const IpAddress& one, const IpAddress& other) {
    std::uint64_t words[4];
    std::memcpy(words, one.bytes().data(), 16);
    std::memcpy(words + 2, other.bytes().data(), 16);
    return (words[0] ^ words[2]) | (words[1] ^ words[3]);
  };
  return (differs(a.nat_ip, b.nat_ip) | differs(a.pub_ip, b.pub_ip)) == 0 && a.pub_port == b.pub_port &&
         a.protocol == b.protocol;
}

}  // namespace

std::uint64_t PortPeer::hash() const {
  return peer_hash(peer_address_hash(nat_ip), peer_address_hash(pub_ip), pub_port, protocol);
}

void PortPeers::add(const ScanBatch& batch) {
  const AddressColumn& nat = batch.addresses(Field::kNatIp);
  const AddressColumn& pub = batch.addresses(Field::kPubIp);
  const auto protocols = batch.small(Field::kProtocol);
  const auto pub_ports = batch.ports(Field::kPubPort);
  const auto hash_all = [](const AddressColumn& column, std::vector<std::uint64_t>& hashes) {
    hashes.clear();
    for (const IpAddress& address : column.distinct) hashes.push_back(peer_address_hash(address));
  };
  hash_all(nat, nat_hashes_);
  hash_all(pub, pub_hashes_);
  hashes_.clear();
  for (const std::uint32_t row : batch.rows()) {
    hashes_.push_back(
        peer_hash(nat_hashes_[nat.index[row]], pub_hashes_[pub.index[row]], pub_ports[row], protocols[row]));
  }
  constexpr std::size_t kAhead = 12;
  const auto rows = batch.rows();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i + kAhead < rows.size()) __builtin_prefetch(&entries_[hashes_[i + kAhead] % kSlots]);
    const std::uint32_t row = rows[i];
    add({nat.distinct[nat.index[row]], pub.distinct[pub.index[row]], pub_ports[row], protocols[row]},
        hashes_[i], 1);
  }
}

void PortPeers::add(const PortPeer& peer, std::uint64_t hash, std::uint64_t records) {
  std::size_t slot = hash % kSlots;
  for (; entries_[slot].records != 0; slot = (slot + 1) % kSlots) {
    if (entries_[slot].hash != hash || !same_peer(entries_[slot].peer, peer)) continue;
    entries_[slot].records += records;
    return;
  }
  entries_[slot] = {hash, records, peer};
  if (++size_ > kRoom) make_room();
}

void PortPeers::add(const PortPeers& other) {
  for (const Entry& entry : other.entries_) {
    if (entry.records != 0) add(entry.peer, entry.hash, entry.records);
  }
}

// Takes the median from all: half of them are gone then.
void PortPeers::make_room() {
  std::vector<std::uint64_t> counts;
  std::vector<Entry> left;
  counts.reserve(size_);
  for (const Entry& entry : entries_) {
    if (entry.records != 0) counts.push_back(entry.records);
  }
  const auto middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2);
  std::nth_element(counts.begin(), middle, counts.end());
  const std::uint64_t median = *middle;
  for (Entry& entry : entries_) {
    if (entry.records > median) left.push_back(entry);
    entry.records = 0;
  }
  size_ = 0;
  for (const Entry& entry : left) add(entry.peer, entry.hash, entry.records - median);
}

std::vector<PortPeer> PortPeers::largest(std::size_t count) const {
  std::vector<const Entry*> all;
  for (const Entry& entry : entries_) {
    if (entry.records != 0) all.push_back(&entry);
  }
  const auto order = [](const Entry* a, const Entry* b) {
    return a->records != b->records ? a->records > b->records : a->peer < b->peer;
  };
  const std::size_t kept = std::min(count, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept), all.end(), order);
  std::vector<PortPeer> peers;
  for (std::size_t i = 0; i < kept; ++i) peers.push_back(all[i]->peer);
  return peers;
}

}  // namespace natsession
