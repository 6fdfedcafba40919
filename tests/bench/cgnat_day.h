// CgnatDay: the session records of a generated day at a carrier-grade NAT, in the order of their ends, as
// many as are asked for. The same options give the same records, on every machine. For benchmarks of the
// ledger and of queries.
//
// How it is made up. Nothing here was chosen with a codec in mind; where nature is unknown, the harder case
// is taken.
//   hosts         20,000 subscribers, at random among the 32,768 addresses of 100.64.0.0/17. How many
//                 sessions each has is lognormal (sigma 1.2).
//   destinations  200,000 addresses, uniformly random over the public IPv4 space: networks that hold many
//                 popular ones, as real ones do, are not assumed. Popularity is Zipf's, exponent 1. Roles:
//                 web 72 %, DNS, other TCP, other UDP, peer to peer, ICMP. Four of the first ten are DNS.
//   ports         web: TCP 443, UDP 443 where the destination speaks QUIC, TCP 80. DNS: UDP 53, some TCP.
//                 Others: 123, 3478, 993, 5228, 22 …, one each destination; peers: any.
//   pri_port      uniform in the ephemeral range of the host's system: to 60999 from 32768, to 65535 from
//                 49152 or from 1024.
//   nat_ip        64 addresses, one for each host, always the same.
//   nat_port      as pri_port for 70 % of the sessions, independently; else uniform in 1024 to 65535.
//   sizes         payload each way: lognormal (web down: median 5.5 kB, sigma 1.9) with a Pareto tail (1.15).
//                 Packets come of it by segment size, acknowledgements, handshakes and loss; bytes are
//                 payload and headers. DNS, NTP and echo have sizes of their own. Some get no answer.
//   durations     activity lognormal (TCP: median 2.5 s, sigma 1.6), longer for large transfers, some idle
//                 before they close; then conntrack's timeout (10, 30 or 120 s), then up to 2 s.
//   day           a curve over 24 hours with its low at 4:00 (a quarter) and its high at 21:00. Within a
//                 window of ten minutes sessions begin uniformly.
//   windows       ten minutes: a session that moved traffic in a window and lives on gets an interim record
//                 at its end, with that window's increase; what is alive at 24:00 ends with such a record.
//                 Interim records of one boundary come in random order, as those of a table dump do.
// A session has 1.2 records in the mean.
//
// Threads: one for each object. The records point to texts of this object.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "bench/chance.h"
#include "record/session_record.h"

namespace natsession::bench {

// --- what one session of a given destination is like: protocol, ports, packets, bytes, how long

enum class Role : std::uint8_t { kWeb, kDns, kOtherTcp, kOtherUdp, kPeer, kIcmp };

struct Destination {
  std::uint32_t address = 0;  // IPv4, as a number
  std::uint16_t port = 0;
  Role role = Role::kWeb;
  bool quic = false;
};

struct Traffic {
  std::uint64_t bytes_from_vpc = 0;
  std::uint64_t bytes_from_pub = 0;
  std::uint32_t pkts_from_vpc = 0;
  std::uint32_t pkts_from_pub = 0;
  std::uint32_t active_ms = 0;   // from the first packet to the last
  std::uint32_t timeout_ms = 0;  // what conntrack waits then
  std::uint16_t pub_port = 0;
  std::uint8_t protocol = 0;
  TcpState state = TcpState::kNone;  // in the end
};

// The destinations of rank 0, 1, 2 …
[[nodiscard]] std::vector<Destination> make_destinations(std::uint32_t count, Chance& chance);

[[nodiscard]] Traffic make_traffic(const Destination& destination, Chance& chance);

// --- the day

struct CgnatOptions {
  std::uint64_t sessions = 1'000'000;
  std::uint64_t seed = 1;
  UnixMs midnight{std::chrono::milliseconds(1'795'219'200'000)};  // 2026-11-21, UTC
  std::chrono::milliseconds window = std::chrono::minutes(10);    // a day is a whole number of them
  std::uint32_t hosts = 20'000;                                   // at most 32,768
  std::uint32_t destinations = 200'000;
  std::uint32_t nat_addresses = 64;
  unsigned kept_ports_percent = 70;
};

class CgnatDay {
 public:
  explicit CgnatDay(const CgnatOptions& options);
  ~CgnatDay();

  // Fills `out` from the front, and returns how many records there are; 0 when the day is over.
  std::size_t next(std::span<SessionRecord> out);

  [[nodiscard]] std::uint64_t sessions_begun() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace natsession::bench
