// PortPeers: which (nat_ip, protocol, pub_ip, pub_port) have the most records, in bounded memory: the
// algorithm of Misra and Gries, in its batch form. Whatever has more than one record in half its room is
// found.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "net/ip_address.h"

namespace natsession {

struct PortPeer {
  IpAddress nat_ip;
  IpAddress pub_ip;
  std::uint16_t pub_port = 0;
  std::uint8_t protocol = 0;
  friend auto operator<=>(const PortPeer&, const PortPeer&) = default;
};

struct PortPeerHash {
  [[nodiscard]] std::size_t operator()(const PortPeer& peer) const;
};

class PortPeers {
 public:
  static constexpr std::size_t kRoom = 100'000;

  void add(const PortPeer& peer, std::uint64_t records = 1);
  void add(const PortPeers& other);
  // The largest first; ties by the peer.
  [[nodiscard]] std::vector<PortPeer> largest(std::size_t count) const;

 private:
  void make_room();
  std::unordered_map<PortPeer, std::uint64_t, PortPeerHash> records_;
};

}  // namespace natsession
