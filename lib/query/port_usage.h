// SNAT ports in use over time: per nat_ip and protocol, and per destination, as the kernel's limit is per
// destination: one (nat_ip, nat_port) serves many sessions as long as (pub_ip, pub_port) differ.
//
// A port is in use from session_start (or, where that is not known, from the start of the first record) to
// the end of the session's last record; a session that is still open and moved traffic is in its interim
// records, one that did not can be added from the daemon (PortQuestion::live). In-use is seen at points of
// time `step` apart; what came and went between two points is not seen, so choose the step below the shortest
// timeout (conntrack keeps a closed TCP session for two minutes, a UDP one for thirty seconds). Records are
// taken in the order of their ends; what the ledger has more than a frame out of order (a clock that was set
// back) may seem to be in use for too short a time.
// Destinations: those are looked at that have the most records, of the question's, and surely all that have
// more than one in kPeerShare of them.
//
// Threads: find_ports() from any.
#pragma once

#include <span>

#include "query/scan.h"

namespace natsession {

struct PortQuestion {
  static constexpr std::size_t kMaxPoints = 10'000;
  static constexpr std::size_t kMaxKeys = 512;  // nat_ip and protocol; further ones are counted, not shown
  static constexpr std::size_t kMaxDestinations = 50;
  static constexpr std::uint64_t kPeerShare = 50'000;

  UnixMs from, until;
  std::chrono::milliseconds step{10'000};
  std::vector<FieldTest> where;      // of nat_ip, protocol, pub_ip …
  std::size_t destinations = 10;     // how many to show; 0: none, and the ledger is read once only
  std::uint16_t lowest_port = 1024;  // the range that SNAT may use
  std::uint16_t highest_port = 65535;
  // Sessions that the daemon knows to be open, as of `until`; start_time: when they began.
  std::vector<SessionRecord> live;
};

// In use at points of time.
struct PortSeries {
  std::vector<std::uint32_t> in_use;  // at from, from + step, …
  std::uint32_t now = 0;              // at the last point
  std::uint32_t peak = 0;
  UnixMs peak_at;
  double peak_share = 0;  // of the range
  double now_share = 0;
  double per_hour = 0;  // the slope of the straight line through all points (least squares)
  std::optional<UnixMs>
      full_at;  // when that line reaches the size of the range: if it rises, and within a year
};

struct PortKeyUse {
  IpAddress nat_ip;
  std::uint8_t protocol = 0;
  std::uint64_t records = 0;
  PortSeries ports;  // different nat_ports
};

struct DestinationUse {
  IpAddress nat_ip;
  std::uint8_t protocol = 0;
  IpAddress pub_ip;
  std::uint16_t pub_port = 0;
  std::uint64_t records = 0;
  PortSeries ports;
};

struct PortResult {
  UnixMs from;
  std::chrono::milliseconds step{};
  std::size_t points = 0;
  std::uint32_t range = 0;                   // how many ports SNAT may use
  std::vector<PortKeyUse> addresses;         // by nat_ip and protocol
  std::vector<DestinationUse> destinations;  // the highest peak first
  std::uint64_t records_left_out = 0;        // of nat_ip and protocol beyond kMaxKeys
  ScanReport report;
};

// Errors: kUsage if there would be too many points; kIo, kPermission.
[[nodiscard]] Result<PortResult> find_ports(const LedgerView& ledger, const PortQuestion& question,
                                            const ScanControl& control);

// Least squares through `values` at 0, 1, 2 …
struct Line {
  double at_zero = 0;
  double slope = 0;
};
[[nodiscard]] Line line_through(std::span<const std::uint32_t> values);

}  // namespace natsession
