// PortSweep: how many different ports are in use at points of time, from when each use began and ended.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "query/port_report.h"

namespace natsession {

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

// Uses are added in the order of their ends, the latest first. Then all of a port's uses so far that reach
// beyond the end of the next one cover one stretch, which begins where the earliest of them began: one number
// for each port.
class PortSweep {
 public:
  explicit PortSweep(std::size_t points)
      : began_(65536, static_cast<std::uint16_t>(points)), changes_(points + 1) {}

  // At the points in [begin, end).
  void add(std::uint16_t port, std::uint16_t begin, std::uint16_t end) {
    std::uint16_t& known = began_[port];
    if (begin >= known) return;
    const std::uint16_t until = std::min(end, known);
    if (begin < until) {
      ++changes_[begin];
      --changes_[until];
    }
    known = begin;
  }

  [[nodiscard]] PortSeries series(const PointGrid& grid, std::uint32_t range) const;

 private:
  std::vector<std::uint16_t> began_;
  std::vector<std::int32_t> changes_;
};

// Least squares through `values` at 0, 1, 2 …
struct Line {
  double at_zero = 0;
  double slope = 0;
};
[[nodiscard]] Line line_through(std::span<const std::uint32_t> values);

}  // namespace natsession
