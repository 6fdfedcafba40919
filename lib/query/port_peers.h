// PortPeers: which (nat_ip, protocol, pub_ip, pub_port) have the most records, in bounded memory: the
// algorithm of Misra and Gries, in its batch form. Whatever has more than one record in half its room is
// found.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <vector>

#include "query/scan_batch.h"

namespace natsession {

struct PortPeer {
  IpAddress nat_ip;
  IpAddress pub_ip;
  std::uint16_t pub_port = 0;
  std::uint8_t protocol = 0;
  friend auto operator<=>(const PortPeer&, const PortPeer&) = default;

  [[nodiscard]] std::uint64_t hash() const;
};

struct PortPeerHash {
  [[nodiscard]] std::size_t operator()(const PortPeer& peer) const { return peer.hash(); }
};

class PortPeers {
 public:
  static constexpr std::size_t kRoom = 100'000;

  PortPeers() : entries_(kSlots) {}

  // The batch has nat_ip, pub_ip, protocol and pub_port.
  void add(const ScanBatch& batch);
  void add(const PortPeer& peer, std::uint64_t records = 1) { add(peer, peer.hash(), records); }
  void add(const PortPeers& other);
  // The largest first; ties by the peer.
  [[nodiscard]] std::vector<PortPeer> largest(std::size_t count) const;

 private:
  static constexpr std::size_t kSlots = std::size_t{1} << 18;
  struct alignas(64) Entry {  // of a processor's line, which is asked for ahead
    std::uint64_t hash = 0;
    std::uint64_t records = 0;  // 0: there is none
    PortPeer peer;
  };

  void add(const PortPeer& peer, std::uint64_t hash, std::uint64_t records);
  void make_room();

  std::vector<Entry> entries_;
  std::size_t size_ = 0;
  // Of the batch.
  std::vector<std::uint64_t> nat_hashes_, pub_hashes_;
  std::vector<std::uint64_t> hashes_;
};

}  // namespace natsession
