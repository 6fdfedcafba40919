// SNAT ports in use over time: per nat_ip and protocol, and per destination, as the kernel's limit is per
// destination: one (nat_ip, nat_port) serves many sessions as long as (pub_ip, pub_port) differ.
//
// A port is in use from session_start to the end of the session's last record; where session_start is not
// known, in the time of its records, and if it was silent between them the answer says that it is not
// complete. Records of a day behind the time are read for those that were silent in it. What has had no
// record since can be added from the daemon (PortQuestion::live); where it has too many of them, its count of
// the ports in use now stands at the end of the time (PortQuestion::counted). The peak is that of these
// times, to the millisecond. The line through the time is one through points `step` apart. Records are taken
// in the order of their ends; what the ledger has more than a frame out of order (a clock that was set back)
// may seem to be in use for too short a time. Destinations: those are looked at that have the most records,
// of the question's, and surely all that have more than one in kPeerShare of them.
//
// Threads: find_ports() from any.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "query/log_store.h"
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
  // Sessions that the daemon knows to be open; start_time: when they began.
  std::vector<SessionRecord> live;
  // How many ports the daemon counts at `until`, where it has more sessions than `live`; else empty.
  struct Counted {
    IpAddress nat_ip;
    std::uint8_t protocol = 0;
    std::uint32_t ports = 0;
  };
  std::vector<Counted> counted;
  // As TraceOptions::live_at.
  std::optional<UnixMs> live_at;
};

struct PortSeries {
  std::vector<std::uint32_t> in_use;  // at from, from + step, …
  std::uint32_t now = 0;              // at the last of these
  std::uint32_t peak = 0;             // the most at any time, whatever the step is
  UnixMs peak_at;                     // the first time that it was so
  double peak_share = 0;              // of the range
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
[[nodiscard]] Result<PortResult> find_ports(const LogStore& ledger, const PortQuestion& question,
                                            const ScanControl& control);

// Points of time: from, from + step, …
class PointGrid {
 public:
  PointGrid(UnixMs from, std::chrono::milliseconds step, std::size_t points)
      : from_(from.time_since_epoch().count()),
        step_(step.count()),
        points_(static_cast<std::int64_t>(points)) {}
  // The first point at or behind a time; points() if none is.
  [[nodiscard]] std::uint16_t first_at(std::int64_t time) const {
    if (time <= from_) return 0;
    const auto behind = static_cast<std::uint64_t>(time) - static_cast<std::uint64_t>(from_);
    const std::uint64_t point = (behind - 1) / static_cast<std::uint64_t>(step_) + 1;
    return static_cast<std::uint16_t>(std::min<std::uint64_t>(point, static_cast<std::uint64_t>(points_)));
  }
  [[nodiscard]] std::size_t points() const { return static_cast<std::size_t>(points_); }
  [[nodiscard]] UnixMs time_of(std::size_t point) const {
    return UnixMs(std::chrono::milliseconds(from_ + static_cast<std::int64_t>(point) * step_));
  }

 private:
  std::int64_t from_;
  std::int64_t step_;
  std::int64_t points_;
};

// Least squares through `values` at 0, 1, 2 …
struct Line {
  double at_zero = 0;
  double slope = 0;
};
[[nodiscard]] Line line_through(std::span<const std::uint32_t> values);

// What follows from the ports in use at the points of a grid.
[[nodiscard]] PortSeries port_series(std::vector<std::uint32_t> in_use, const PointGrid& grid,
                                     std::uint32_t range);

}  // namespace natsession
