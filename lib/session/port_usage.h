// PortUsage: how many SNAT ports are in use, for each nat_ip and protocol. A port that several sessions use,
// to different destinations, counts once.
// Threads: one.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <vector>

#include <tsl/robin_map.h>

#include "net/ip_address.h"

namespace natsession {

class PortUsage {
 public:
  struct Entry {
    IpAddress nat_ip;
    std::uint8_t protocol = 0;  // IANA number
    std::uint32_t ports = 0;    // distinct
    std::uint64_t sessions = 0;
  };

  // Each takes 8 KiB while it is counted. Sessions of further ones are counted in left_out().
  static constexpr std::size_t kMaxPairs = 8192;

  void add(const IpAddress& nat_ip, std::uint8_t protocol, std::uint16_t nat_port);

  // By address, then protocol.
  [[nodiscard]] std::vector<Entry> entries() const;
  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }

 private:
  struct Pair {
    IpAddress nat_ip;
    std::uint8_t protocol = 0;
    friend bool operator==(const Pair&, const Pair&) = default;
  };
  struct Hash {
    std::size_t operator()(const Pair& pair) const;
  };
  struct Ports {
    std::bitset<65536> used;
    std::uint64_t sessions = 0;
  };

  tsl::robin_map<Pair, std::unique_ptr<Ports>, Hash> pairs_;
  std::uint64_t left_out_ = 0;
};

}  // namespace natsession
